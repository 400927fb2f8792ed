"""The history in SQLite, where it is kept, and all that may go wrong with it."""

import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analytic import SpecError
from baselines import plugin
from baselines.__main__ import main
from baselines.history.errors import HistoryError
from baselines.history.keeping import check_choice, keep
from baselines.history.opening import open_history
from baselines.history.outbox import NOTE
from baselines.history.place import Place, chosen
from baselines.passwords import without_password
from baselines.store import Store
from perf_tests.selftests.histories import DECODE, AnyDatabase, a_run, kept, named, on_disk
from perf_tests.selftests.test_lanes import Session
from perf_tests.selftests.tiny import Place as Checkout
from perf_tests.selftests.tiny import environment, run


@pytest.fixture(autouse=True)
def _sqlalchemy() -> None:
    pytest.importorskip("sqlalchemy")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/history.sqlite"


class TestSqlite(AnyDatabase):
    pass


class TestPlace:
    ROOT = Path("/a/checkout")

    @pytest.mark.parametrize(
        ("option", "variable", "url"),
        [
            (None, None, "sqlite:////a/checkout/runs/history.sqlite"),
            (None, "", "sqlite:////a/checkout/runs/history.sqlite"),
            (None, "sqlite:///v", "sqlite:///v"),
            ("sqlite:///o", "sqlite:///v", "sqlite:///o"),
            ("none", "sqlite:///v", None),
            ("sqlite:///o", "none", "sqlite:///o"),
            (None, "none", None),
        ],
    )
    def test_the_option_goes_before_the_environment(
        self, option: str | None, variable: str | None, url: str | None
    ) -> None:
        environment = {} if variable is None else {"ROOFGATE_HISTORY": variable}

        assert chosen(option, root=self.ROOT, environment=environment).url == url

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("postgresql://ann:secret@host/db", "postgresql://ann:***@host/db"),
            ("postgresql://ann:sec@ret@host/db", "postgresql://ann:***@host/db"),
            ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
            ("postgresql://host/db?user=ann&password=secret", "postgresql://host/db?user=ann&password=***"),
            ("postgresql://host/db?sslpassword=secret&a=b", "postgresql://host/db?sslpassword=***&a=b"),
            (
                "pytest -m gpu --perf-history postgresql://ann:secret@host/db -k b1",
                "pytest -m gpu --perf-history postgresql://ann:***@host/db -k b1",
            ),
            ("postgresql://ann@host:5432/db", "postgresql://ann@host:5432/db"),
            ("sqlite:///runs/a@b:c.sqlite", "sqlite:///runs/a@b:c.sqlite"),
        ],
    )
    def test_a_password_is_hidden_wherever_it_stands(self, given: str, shown: str) -> None:
        assert without_password(given) == shown

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            ("history.sqlite", "'history.sqlite' is no URL; a database URL such as sqlite:///"),
            ("postgres://ann:secret@host/db", "'postgres://ann:***@host/db': no such kind of database"),
            ("postgresql://ann:secret@host:port/db", "is no URL"),
            ("sqlite://", "SQLite keeps nothing without a file"),
            ("sqlite:///:memory:", "SQLite keeps nothing without a file"),
        ],
    )
    def test_a_bad_url_is_refused_with_what_named_it(
        self, bad: str, why: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SpecError, match="--perf-history ") as by_option:
            check_choice(bad, root=self.ROOT)
        monkeypatch.setenv("ROOFGATE_HISTORY", bad)
        with pytest.raises(SpecError, match="ROOFGATE_HISTORY "):
            check_choice(None, root=self.ROOT)

        assert why in str(by_option.value)
        assert "secret" not in str(by_option.value)


class TestBroken:
    """A note, never a failure: the run stays on disk and is sent later."""

    def test_a_server_that_is_down(self, tmp_path: Path) -> None:
        pytest.importorskip("psycopg")
        folder = a_run(tmp_path / "run")

        said = keep(folder, named("postgresql://ann:secret@127.0.0.1:1/db?connect_timeout=2"))

        assert said.startswith("history: postgresql://ann:***@127.0.0.1:1/db cannot be used: ")
        assert "refused" in said
        assert said.endswith(
            f"; the run stays in {folder.path}, send it by `python -m baselines push {folder.path}`"
        )
        assert "\n" not in said
        assert "secret" not in said
        assert not (folder.path / NOTE).exists()

    def test_the_command_that_sends_it_later_sees_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Plain push sees runs/ alone."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").touch()
        broken = named(f"sqlite:///{tmp_path}/file/history.sqlite")

        assert keep(a_run(tmp_path / "runs" / "a"), broken).endswith("by `python -m baselines push`")
        elsewhere = keep(a_run(tmp_path / "my runs" / "b"), broken)
        assert elsewhere.endswith(f"by `python -m baselines push '{tmp_path}/my runs/b'`")

    def test_how_many_were_not_sent_is_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").touch()
        a_run(tmp_path / "run")

        assert main(["push", str(tmp_path), "--perf-history", f"sqlite:///{tmp_path}/file/h.sqlite"]) == 1
        assert capsys.readouterr().err.endswith("; 1 of 1 run not sent\n")

    def test_a_server_that_never_answers(self, tmp_path: Path) -> None:
        pytest.importorskip("psycopg")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            said = keep(
                a_run(tmp_path / "run"), named(f"postgresql://ann@127.0.0.1:{port}/db?connect_timeout=2")
            )

        assert "cannot be used: connection timeout expired" in said

    def test_another_writer_that_does_not_end(self, tmp_path: Path, url: str) -> None:
        keep(a_run(tmp_path / "first"), named(url))
        writer = sqlite3.connect(tmp_path / "history.sqlite")
        writer.execute("BEGIN IMMEDIATE")
        said = keep(a_run(tmp_path / "run"), named(f"{url}?timeout=0.2"))
        writer.close()

        assert "cannot be used: database is locked; the run stays in" in said
        assert main(["push", str(tmp_path), "--perf-history", url]) == 0
        assert kept(url) == on_disk(tmp_path)

    def test_a_damaged_file_is_left_as_it_is(self, tmp_path: Path, url: str) -> None:
        file = tmp_path / "history.sqlite"
        file.write_bytes(b"no database at all" * 100)
        said = keep(a_run(tmp_path / "run"), named(url))

        assert f"{url} cannot be used: file is not a database" in said
        assert file.read_bytes() == b"no database at all" * 100

    def test_a_full_disk(self, tmp_path: Path) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")

        assert "database or disk is full" in keep(a_run(tmp_path / "run"), named("sqlite:////dev/full"))

    def test_a_file_that_is_read_only(self, tmp_path: Path, url: str) -> None:
        keep(a_run(tmp_path / "first"), named(url))
        read_only = f"sqlite:///file:{tmp_path}/history.sqlite?mode=ro&uri=true"

        assert "attempt to write a readonly database" in keep(a_run(tmp_path / "run"), named(read_only))

    def test_a_file_where_a_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        said = keep(a_run(tmp_path / "run"), named(f"sqlite:///{tmp_path}/file/history.sqlite"))

        assert said.startswith(f"history: sqlite:///{tmp_path}/file/history.sqlite cannot be made: ")

    def test_whatever_a_driver_raises(
        self, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from baselines.history.database import History

        def dies(*_: object) -> None:
            raise ZeroDivisionError("of the driver")

        monkeypatch.setattr(History, "append", dies)

        said = keep(a_run(tmp_path / "run"), named(url))

        assert said.startswith("history not kept: ZeroDivisionError: of the driver; the run stays in")

    def test_no_sqlalchemy(
        self, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An offline GPU machine; the URL cannot be checked there either."""
        for module in [name for name in sys.modules if name.partition(".")[0] == "sqlalchemy"]:
            monkeypatch.delitem(sys.modules, module)
        for module in ("database", "tables"):
            monkeypatch.delitem(sys.modules, f"baselines.history.{module}", raising=False)
        monkeypatch.setitem(sys.modules, "sqlalchemy", None)

        assert check_choice("no URL", root=tmp_path).url == "no URL"
        assert keep(a_run(tmp_path / "run"), named(url)) == (
            "history not kept: SQLAlchemy is not installed (pip install sqlalchemy); "
            f"`python -m baselines push {tmp_path / 'run'}` sends it later"
        )
        assert main(["push", str(tmp_path), "--perf-history", url]) == 1
        assert "SQLAlchemy is not installed" in capsys.readouterr().err
        assert keep(a_run(tmp_path / "run"), Place(url=None, origin="")) == ""

    def test_a_record_that_the_model_no_longer_knows_is_kept(
        self, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from baselines.history import entry

        def unknown(*_: object) -> None:
            raise SpecError("unknown GPU")

        monkeypatch.setattr(entry, "derive", unknown)
        keep(a_run(tmp_path / "run", cases=[DECODE]), named(url))
        with open_history(named(url), create=False) as history:
            (one,) = history.observations()

        assert (one.device_s, one.lower_s, one.device_as_run_s, one.wall_s) == (None, None, 0.008, 0.04)


class TestNoSession:
    def test_it_is_no_part_of_any_history(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = f"sqlite:///{tmp_path}/history.sqlite"
        monkeypatch.chdir(tmp_path)
        slowed = a_run(tmp_path / "runs" / "slowed")
        slowed.disown("slowed on purpose by x")
        a_run(tmp_path / "runs" / "other")

        assert keep(slowed, named(url)) == ""
        assert main(["push", "--perf-history", url]) == 0
        assert main(["push", "runs/slowed", "--perf-history", url]) == 0
        assert {run for run, _ in kept(url)} == {"other"}
        assert "slowed on purpose by x: no part of any history" in capsys.readouterr().out


class TestPush:
    def test_a_run_that_cannot_be_read_is_named_and_the_others_are_sent(
        self, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        a_run(tmp_path / "a")
        damaged = a_run(tmp_path / "b").path / "records" / f"{DECODE}.json"
        damaged.write_text("{", encoding="utf-8")
        a_run(tmp_path / "c")

        assert main(["push", str(tmp_path), "--perf-history", url]) == 1
        assert f"error: {damaged}: not JSON, or cut short" in capsys.readouterr().err
        assert {run for run, _ in kept(url)} == {"a", "c"}

    def test_by_default_all_in_runs_that_were_not_sent(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("ROOFGATE_HISTORY", raising=False)
        assert main(["push"]) == 0
        assert capsys.readouterr().out == "no run in runs/\n"
        a_run(tmp_path / "runs" / "one")
        assert main(["push"]) == 0
        a_run(tmp_path / "runs" / "refresh-x" / "session-1")
        assert main(["push"]) == 0
        note = (tmp_path / "runs" / "one" / NOTE).read_bytes()

        assert capsys.readouterr().out.splitlines() == [
            "runs/one: 2 records sent",
            "runs/one: there already",
            "runs/refresh-x/session-1: 2 records sent",
        ]
        assert kept(f"sqlite:///{tmp_path}/runs/history.sqlite") == on_disk(tmp_path)
        assert (tmp_path / "runs" / "one" / NOTE).read_bytes() == note

    def test_the_note_of_another_database_hides_nothing(
        self, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        keep(a_run(tmp_path / "runs" / "run"), named(f"sqlite:///{tmp_path}/elsewhere.sqlite"))

        assert main(["push", "--perf-history", url]) == 0
        assert kept(url) == on_disk(tmp_path)

    @pytest.mark.parametrize("note", [None, "", "{}"])
    def test_a_lost_note_harms_nothing(self, tmp_path: Path, url: str, note: str | None) -> None:
        folder = a_run(tmp_path / "run")
        keep(folder, named(url))
        (folder.path / NOTE).unlink()
        if note is not None:
            (folder.path / NOTE).write_text(note, encoding="utf-8")
        main(["push", str(tmp_path), "--perf-history", url])

        assert kept(url) == on_disk(tmp_path)

    def test_a_run_that_is_no_history_is_sent_only_by_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        folder = a_run(tmp_path / "runs" / "run")
        a_run(tmp_path / "runs" / "other")
        assert keep(folder, Place(url=None, origin="--perf-history")) == ""
        main(["push", "--perf-history", url])
        main(["push", "runs", "--perf-history", url])
        without = {run for run, _ in kept(url)}
        main(["push", "runs/run", "--perf-history", url])

        assert without == {"other"}
        assert "runs/run: kept out of every history, as the run asked" in capsys.readouterr().out
        assert {run for run, _ in kept(url)} == {"other", "run"}

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (["nowhere"], "nowhere: no run's folder, and none below it"),
            (["--perf-history", "none"], "--perf-history is none; a database URL is needed"),
            (["--perf-history", "no URL"], "--perf-history 'no URL' is no URL"),
            (["run/confirmations/1"], "run/confirmations/1: measured again for "),
            (["run/confirmations"], "run/confirmations: measured again for "),
            (["run", "--perf-history", "no URL"], "--perf-history 'no URL' is no URL"),
        ],
    )
    def test_bad_input(
        self,
        tmp_path: Path,
        arguments: list[str],
        why: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        a_run(tmp_path / "run")
        a_run(tmp_path / "run" / "confirmations" / "1")

        assert main(["push", *arguments]) == 2
        assert why in capsys.readouterr().err


class TestSession:
    """What pytest does at the end of a run."""

    @pytest.fixture
    def finished(self, tmp_path: Path) -> Callable[..., list[str]]:
        def finish(place: Place, **changes: bool) -> list[str]:
            folder = a_run(tmp_path / "run", cases=[DECODE], exit_status=None, status=None)
            perf = plugin.PerfState(
                store=Store(tmp_path / "store"),
                folder=folder,
                history=place,
                **({"stored": False, "opened": True} | changes),
            )
            session = Session(perf)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            session.finish()
            assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
            return session.notes

        return finish

    def test_the_run_is_kept_with_its_verdicts_and_how_it_ended(
        self, finished: Callable[..., list[str]], url: str
    ) -> None:
        assert finished(named(url)) == []
        with open_history(named(url), create=False) as history:
            (one,) = history.observations()
        assert (one.exit_status, one.status) == (1, "no_baseline")

    def test_a_database_that_cannot_be_used_is_a_note(
        self, finished: Callable[..., list[str]], tmp_path: Path, url: str
    ) -> None:
        (tmp_path / "history.sqlite").write_bytes(b"damaged" * 1000)

        (note,) = finished(named(url))
        assert note.startswith(f"history: {url} cannot be used: ")

    def test_an_earlier_run_that_is_judged_again_is_not_kept(
        self, finished: Callable[..., list[str]], tmp_path: Path, url: str
    ) -> None:
        assert finished(named(url), stored=True, opened=False) == []
        assert not (tmp_path / "history.sqlite").exists()

    def test_a_bad_url_is_said_before_anything_is_measured(self, place: Checkout) -> None:
        done = place.pytest("-m", "cpu", "--perf-history=postgres://ann:secret@host/db")

        assert done.rc == pytest.ExitCode.USAGE_ERROR
        assert "--perf-history 'postgres://ann:***@host/db': no such kind of database" in done.out
        assert "secret" not in done.out


LAZY = """
import sys
import baselines, baselines.plugin, baselines.__main__
from baselines.history.keeping import check_choice
from pathlib import Path
check_choice(None, root=Path("/"))
baselines.__main__._parser(())  # as --help does: every command
print(*(m for m in ("sqlalchemy", "psycopg", "pandas", "torch") if m in sys.modules))
"""


def test_the_default_costs_no_import(place: Checkout) -> None:
    done = run(sys.executable, "-c", LAZY, cwd=place.root, env=environment(ROOFGATE_HISTORY=""))

    assert (done.rc, done.out) == (0, "\n")


def test_reading_makes_no_file(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trend", "--perf-history", url]) == 1
    assert f"there is no history at {url} yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_record_of_that_key(url: str) -> None:
    with (
        open_history(named(url), create=True) as history,
        pytest.raises(HistoryError, match="holds no record feed"),
    ):
        history.record("feed")
