"""The history in a real PostgreSQL, and many writers at once in either database."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from baselines.__main__ import main
from baselines.history.keeping import keep
from baselines.history.opening import open_history
from perf_tests.selftests.histories import AnyDatabase, a_run, kept, named, on_disk
from perf_tests.selftests.needs import skip_for_want_of
from perf_tests.selftests.tiny import ROOT, environment

pytestmark = pytest.mark.long

WRITERS, RUNS = 8, 20


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl: Debian's newest, or the one on PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A private PostgreSQL, reached by a socket in its own folder."""

    bin: Path
    home: Path

    def command(self, name: str, *arguments: str) -> str:
        # PostgreSQL refuses root.
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*user, str(self.bin / name), *arguments],
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.home}"
        log = str(self.home / "log")
        self.command("pg_ctl", "-D", str(self.home / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str) -> None:
        self.command("pg_ctl", "-D", str(self.home / "data"), "-w", "-m", mode, "stop")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.home}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    for package in ("sqlalchemy", "psycopg"):
        if find_spec(package) is None:
            skip_for_want_of(f"{package} is not installed: pip install 'roofgate[history]'")
    found = binaries()
    if found is None:
        skip_for_want_of("no PostgreSQL here: neither /usr/lib/postgresql/*/bin/initdb nor initdb on PATH")
    # Not in tmp_path: a socket's path has 107 characters at most, and root's folders are closed to others.
    home = Path(tempfile.mkdtemp(prefix="roofgate-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, "postgres")
        here = Server(bin=found, home=home)
        here.command("initdb", "-D", str(home / "data"), "-U", "postgres", "-A", "trust", "--no-sync")
        here.start()
        try:
            yield here
        finally:
            here.stop("immediate")
    finally:
        shutil.rmtree(home)


@pytest.fixture
def postgres(server: Server, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of this test's own."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    server.command("createdb", "-h", str(server.home), "-U", "postgres", name)
    return server.url(name)


class TestPostgres(AnyDatabase):
    @pytest.fixture
    def url(self, postgres: str) -> str:
        return postgres


def test_where_nothing_may_skip_a_missing_postgresql_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFGATE_NO_SKIP", "1")
    with pytest.raises(pytest.fail.Exception, match="ROOFGATE_NO_SKIP=1: not here"):
        skip_for_want_of("not here")
    monkeypatch.delenv("ROOFGATE_NO_SKIP")
    with pytest.raises(pytest.skip.Exception, match="not here"):
        skip_for_want_of("not here")


# --- many at once ------------------------------------------------------------


def begin(count: int, runs: int, root: Path, url: str) -> list[subprocess.Popen[str]]:
    """Writers that have their runs on disk and send them from now on, all at once."""
    command = (sys.executable, "-m", "perf_tests.selftests.history_writer")
    writers = [
        subprocess.Popen(
            [*command, f"writer-{i}", str(runs), str(root), url],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return writers


def said(writers: list[subprocess.Popen[str]]) -> list[str]:
    """What was said of each run; empty of those that are in the history."""
    lines: list[str] = []
    for writer in writers:
        out, _ = writer.communicate(timeout=90)
        assert writer.returncode == 0
        lines += [line.partition(": ")[2] for line in out.splitlines()]
    return lines


def count(url: str) -> int:
    with open_history(named(url), create=False) as history:
        return len(history.observations())


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_writers_at_once_lose_nothing(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    """The tables are made by whoever is first."""
    url = f"sqlite:///{tmp_path}/history.sqlite"
    if database == "postgres":
        url = request.getfixturevalue("postgres")
    writers = begin(WRITERS, RUNS, tmp_path / "runs", url)

    assert said(writers) == [""] * WRITERS * RUNS
    # Each id and case once of every writer.
    assert kept(url) == dict.fromkeys(on_disk(tmp_path / "runs"), WRITERS)
    assert len(kept(url)) == RUNS * 2


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_the_same_runs_pushed_at_once_are_there_once(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/history.sqlite"
    if database == "postgres":
        url = request.getfixturevalue("postgres")
    for number in range(RUNS):
        a_run(tmp_path / "runs" / f"run-{number}")
    command = (sys.executable, "-m", "baselines", "push", str(tmp_path / "runs"), "--perf-history", url)
    pushing = [
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    sent = 0
    for process in pushing:
        out, _ = process.communicate(timeout=90)
        assert process.returncode == 0
        sent += out.count(": 2 records sent\n")

    assert kept(url) == on_disk(tmp_path)
    assert sent == RUNS


def test_a_killed_server_costs_no_run(tmp_path: Path, server: Server, postgres: str) -> None:
    """It is killed while four write, and stays down for a while; push sends what is missing."""
    with open_history(named(postgres), create=True):
        pass
    writers = begin(4, 3 * RUNS, tmp_path / "runs", postgres)
    deadline = time.monotonic() + 30
    while count(postgres) < 20:
        assert time.monotonic() < deadline
    server.stop("immediate")
    notes = [note for note in said(writers) if note]
    assert 0 < len(notes) < 4 * 3 * RUNS
    assert all(note.startswith("history: postgresql://postgres@/") for note in notes)
    assert all("python -m baselines push" in note for note in notes)
    assert main(["push", str(tmp_path / "runs"), "--perf-history", postgres]) == 1
    server.start()

    assert count(postgres) < 4 * 3 * RUNS * 2
    assert main(["push", str(tmp_path / "runs"), "--perf-history", postgres]) == 0
    assert kept(postgres) == dict.fromkeys(on_disk(tmp_path / "runs"), 4)


def test_a_lock_of_another_does_not_hold_up_a_run_for_good(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baselines.history import database

    monkeypatch.setattr(database, "_STATEMENT_MS", 300)
    with open_history(named(postgres), create=True) as other, other._engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE roofgate_records")
        said = keep(a_run(tmp_path / "run"), named(postgres))

    assert "statement timeout" in said
    assert count(postgres) == 0


def test_a_wrong_database_is_named(tmp_path: Path, server: Server) -> None:
    url = server.url("nowhere")

    said = keep(a_run(tmp_path / "run"), named(url))

    assert said.startswith("history: postgresql://postgres@/nowhere cannot be used: ")
    assert 'database "nowhere" does not exist' in said
