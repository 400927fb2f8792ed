"""The store's lock: who waits for whom, what is said, and where there is none."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from analytic import SpecError
from baselines import plugin
from baselines import store as stores
from baselines.__main__ import main
from baselines.locking import NAME, FolderBusyError, locked
from baselines.store import Store, baseline_of
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, record, run_folder
from perf_tests.selftests.tiny import ROOT, environment

PREFILL = "prefill-b1-p512-fp16-eager"
WHEN = "2026-11-22T12:00:00+00:00"

HOLDER = """
import sys, time
from pathlib import Path
from baselines.locking import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of `store`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "store")],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_message_names_the_holder_and_what_to_do(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(FolderBusyError) as busy, locked(tmp_path / "store", wait_s=0.1):
        pass
    message = str(busy.value)

    assert isinstance(busy.value, SpecError)
    assert message.startswith(f"{tmp_path / 'store'} is being written by process {holder.pid} (")
    assert "-c " in message, "its command"
    assert f" since {time.strftime('%Y-', time.gmtime())}" in message
    assert message.endswith(
        "and was not free within 0.1 s, so nothing was stored: wait until it has ended, or end it, and try again"
    )
    assert message.isprintable()


def test_its_death_frees_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait(30)

    with locked(tmp_path / "store", wait_s=0):
        pass


def test_one_that_is_freed_in_time_is_waited_for(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    threading.Timer(0.2, holder.kill).start()

    with locked(tmp_path / "store", wait_s=30):
        assert holder.wait(30) == -9


def test_threads_keep_each_other_out(tmp_path: Path) -> None:
    inside = most = 0

    def enter() -> None:
        nonlocal inside, most
        with locked(tmp_path):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert (most, inside) == (1, 0)


def test_a_lock_names_its_holder_while_it_is_held_alone(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert (tmp_path / NAME).read_text(encoding="utf-8").startswith(f"{os.getpid()}\n")

    assert (tmp_path / NAME).read_bytes() == b""


def test_a_body_that_fails_frees_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path, wait_s=0):
        pass


def test_who_cannot_be_named_is_not(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / NAME).write_text("999999999\nthen\nsomebody\n", encoding="utf-8")

        with pytest.raises(FolderBusyError, match="is being written by a process that is not named, and"):
            locked(tmp_path, wait_s=0).__enter__()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_plain_file_is_no_lock(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / NAME)

    with pytest.raises(OSError, match=NAME), locked(tmp_path):
        pytest.fail("it was taken")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_filesystem_without_locks_is_named_and_written_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    store = Store(tmp_path / "store")

    # Under this project's own filters, by which a warning is an error.
    with warnings.catch_warnings(record=True) as said:
        store.write([record(DECODE)], written=WHEN, command="a test")
    (warning,) = said
    assert str(warning.message) == (
        f"{store.root} cannot be locked ({os.strerror(number)}): let no two processes write there at once"
    )
    assert store.load(record(DECODE)) is not None


def test_a_lock_that_another_user_made_is_held_unsigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anything, so that the call itself refuses."""
    (tmp_path / NAME).touch()
    real = os.open

    def refuse(name: Path, flags: int, *rest: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with locked(tmp_path):
        assert (tmp_path / NAME).read_bytes() == b""
        with pytest.raises(FolderBusyError):
            locked(tmp_path, wait_s=0).__enter__()


class TestStore:
    def test_reading_makes_no_lock_and_waits_for_none(
        self, tmp_path: Path, holder: subprocess.Popen[str]
    ) -> None:
        store = Store(tmp_path / "store")

        assert store.load(record(DECODE)) is None
        assert store.suite(record(DECODE)) == []
        assert holder.poll() is None
        assert Store(tmp_path / "none").load(record(DECODE)) is None
        assert not (tmp_path / "none").exists()

    def test_a_refresh_that_waited_in_vain_is_refused(
        self,
        tmp_path: Path,
        holder: subprocess.Popen[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(stores, "locked", partial(locked, wait_s=0.05))
        passed = [Verdict(case=DECODE, status=Status.PASS, reasons=("a test",))]
        run = run_folder(tmp_path / "run", [record(DECODE)], verdicts=passed)
        run.write_info(replace(run.info(), exit_status=0))

        assert main(["refresh", "--from", str(run.path), "--perf-baselines", str(tmp_path / "store")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"refused: {tmp_path / 'store'} is being written by process {holder.pid} (")
        assert list((tmp_path / "store").iterdir()) == [tmp_path / "store" / NAME]

    def test_what_killed_writers_left_goes_with_the_next_write_and_nothing_else(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        path = store.write([record(DECODE)], written=WHEN, command="a test")
        other = store.write([record(PREFILL, gpu="t4")], written=WHEN, command="a test")
        left = [path.with_name(f".{path.name}.k3j2h1_b"), other.with_name(f".{other.name}.abcdefgh")]
        kept = [
            path.with_name(name)
            for name in (".notes", ".settings.abcdefgh", "README.md", f"{path.name}.orig")
        ]
        for each in (*left, *kept):
            each.write_text("{", encoding="utf-8")

        assert store.load(record(DECODE)) is not None
        assert [p for p, _ in store.suite(record(DECODE))] == [path]
        store.write([record(DECODE)], written=WHEN, command="a test")
        assert [p for p in left if p.exists()] == []
        assert [p for p in kept if not p.exists()] == []

    def test_what_lies_behind_a_link_is_not_swept(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside" / f".{DECODE}.json.k3j2h1_b"
        outside.parent.mkdir()
        outside.write_text("mine", encoding="utf-8")
        store = Store(tmp_path / "store")
        store.root.mkdir()
        (store.root / "t4").symlink_to(outside.parent)
        store.write([record(DECODE)], written=WHEN, command="a test")

        assert outside.read_text(encoding="utf-8") == "mine"

    def test_a_damaged_file_of_several_keeps_them_all(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        records = [record(c) for c in (DECODE, PREFILL)]
        first, second = (store.write([one], written=WHEN, command="a test") for one in records)
        second.write_text("{", encoding="utf-8")
        before = first.read_bytes()
        new = [baseline_of([one], written=WHEN, command="another") for one in records]

        with pytest.raises(ValueError, match="not JSON"):
            store.put(new)
        assert (first.read_bytes(), second.read_bytes()) == (before, b"{")


class TestMissing:
    """--perf-update missing beside another writer."""

    @pytest.fixture
    def perf(self, tmp_path: Path) -> plugin.PerfState:
        verdicts = [Verdict(case=DECODE, status=Status.NO_BASELINE, reasons=("a test",))]
        folder = run_folder(tmp_path / "run", [record(DECODE, device_s=0.008)], verdicts=verdicts)
        return plugin.PerfState(store=Store(tmp_path / "store"), folder=folder, stored=False, opened=True)

    def test_a_baseline_that_was_stored_meanwhile_is_kept(self, perf: plugin.PerfState) -> None:
        said: list[str] = []
        perf.judge()
        thread = threading.Thread(target=lambda: said.append(plugin._store_missing(perf, passed=True)))
        theirs = baseline_of(
            [replace(record(DECODE, device_s=0.009), run="theirs")], written=WHEN, command="a test"
        )
        with perf.store.locked():
            thread.start()
            time.sleep(0.2)
            assert thread.is_alive()
            (path,) = perf.store.put([theirs])
            before = path.read_bytes()
        thread.join(30)

        assert said == [f"--perf-update missing: stored 0 baselines in {perf.store.root}"]
        assert path.read_bytes() == before
