"""python -m baselines refresh: what becomes a baseline, and all that does not."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.__main__ import main
from baselines.codec import FormatError
from baselines.commands import refresh as refreshing
from baselines.commit import Commit
from baselines.record import Record
from baselines.refresh.errors import RefreshError
from baselines.refresh.measuring import _joined, measure_sessions
from baselines.refresh.sessions import collect
from baselines.refresh.storing import store_sessions
from baselines.refresh.table import change_table
from baselines.run import RunFolder
from baselines.store import Store
from baselines.verdict import Status
from perf_tests.selftests.records import DECODE, hard_key, record, soft_key
from perf_tests.selftests.refreshes import PREFILL, five, loaded, refresh, session, squeezed, tree
from perf_tests.selftests.tiny import ROOT, environment

FAILING = (Status.IMPOSSIBLE, Status.BELOW_BAND, Status.REGRESSED)


class TestStored:
    def test_five_runs_become_five_sessions_of_each_case(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = tmp_path / "store"

        assert refresh(store, five(tmp_path)) == 0

        assert sorted(tree(store)) == [
            f"h100-sxm/mistral-7b-v0.1/{DECODE}.json",
            f"h100-sxm/mistral-7b-v0.1/{PREFILL}.json",
        ]
        stored = loaded(store)
        assert stored.device_medians_s == pytest.approx((0.008, 0.00801, 0.00802, 0.00803, 0.00804))
        assert [s.run for s in stored.sessions] == [f"run-{i}" for i in range(5)]
        assert stored.command.startswith("python -m baselines refresh --from ")
        assert str(tmp_path / "run-4") in stored.command
        out = squeezed(capsys.readouterr().out)
        assert (
            f"| `{DECODE}` | 5 (1 card) | – → 8.020 ± 0.020 ms | – | – → 16.040 ± 0.039 ms | – | new |"
        ) in out
        assert f"Stored in {store}: 2. Review the change, then commit it" in out

    def test_old_and_new_are_shown_with_the_change(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = tmp_path / "store"
        assert refresh(store, five(tmp_path)) == 0
        capsys.readouterr()

        assert refresh(store, five(tmp_path / "later", first_s=0.0072)) == 0

        today = loaded(store).written[:10]
        assert (
            f"| `{DECODE}` | 5 (1 card) | 8.020 ± 0.020 ms → 7.220 ± 0.020 ms | -9.98 % "
            f"| 16.040 ± 0.039 ms → 14.440 ± 0.039 ms | -9.98 % since {today} | |"
        ) in squeezed(capsys.readouterr().out)

    def test_a_case_of_the_wall_alone_shows_the_change_of_the_wall(self, tmp_path: Path) -> None:
        def undevised(one: Record) -> Record:
            return replace(one, measurement=replace(one.measurement, device_s=None))

        store = Store(tmp_path / "store")
        old = [session(tmp_path / "old", cases=[DECODE], device_s=0.010, change=undevised)]
        new = [session(tmp_path / "new", cases=[DECODE], device_s=0.009, change=undevised)]
        store_sessions(store, old, command="a test")
        (change,) = store_sessions(store, new, command="a test")

        assert change.share == ("wall", pytest.approx(-0.1))
        assert squeezed(change_table([change])).endswith(
            f"| `{DECODE}` | 1 (1 card) | – | wall -10.00 % | 20.000 ms → 18.000 ms "
            f"| -10.00 % since {change.new.written[:10]} | does not judge yet: 1 of 3 sessions |"
        )

    def test_other_cases_of_the_store_stay_as_they_are(self, tmp_path: Path) -> None:
        store = tmp_path / "store"
        refresh(store, five(tmp_path))
        before = tree(store)
        assert refresh(store, five(tmp_path / "again", cases=[DECODE], first_s=0.0079)) == 0
        after = tree(store)

        assert sorted(k for k in before if before[k] != after[k]) == [
            f"h100-sxm/mistral-7b-v0.1/{DECODE}.json"
        ]
        assert before.keys() == after.keys()

    @pytest.mark.parametrize("status", [s for s in Status if s not in (*FAILING, Status.INVALID)])
    def test_a_run_that_passed_counts_whatever_else_was_said(self, status: Status, tmp_path: Path) -> None:
        run = session(tmp_path / "run", status=status)

        assert sorted(collect([run])) == [DECODE, PREFILL]

    @pytest.mark.parametrize("status", FAILING)
    def test_a_verdict_that_fails_does_not_whatever_the_exit_code(
        self, status: Status, tmp_path: Path
    ) -> None:
        run = session(tmp_path / "run", status=status)

        with pytest.raises(RefreshError, match=f"failing verdicts: {DECODE} {status}"):
            store_sessions(Store(tmp_path / "store"), [run], command="a test")
        assert not (tmp_path / "store").exists()

    def test_sessions_may_differ_in_the_soft_key(self, tmp_path: Path) -> None:
        def moved(one: Record) -> Record:
            return replace(one, soft=replace(soft_key(), host="host-b"))

        runs = [session(tmp_path / "a"), session(tmp_path / "b", change=moved)]

        assert refresh(tmp_path / "store", runs) == 0


class TestRefused:
    """Exit code 1, and not a byte of the store changes."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        """A store that holds a good baseline of the decode case alone."""
        store = tmp_path / "store"
        store_sessions(Store(store), [session(tmp_path / "was", cases=[DECODE])], command="a test")
        return store

    def refused(
        self, store: Path, runs: Sequence[RunFolder], capsys: pytest.CaptureFixture[str], *, code: int = 1
    ) -> str:
        before = tree(store)
        capsys.readouterr()

        assert refresh(store, runs) == code

        assert tree(store) == before
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("refused: " if code == 1 else "error: ")
        return err

    @pytest.mark.parametrize("place", [0, 2, 4])
    @pytest.mark.parametrize(
        ("exit_status", "said"),
        [
            (1, "the run ended with exit code 1; only a run that passed becomes a baseline"),
            (5, "the run ended with exit code 5; only"),
            (None, "the run was cut off; only a run that passed becomes a baseline"),
        ],
    )
    def test_a_run_that_did_not_pass(
        self,
        *,
        place: int,
        exit_status: int | None,
        said: str,
        store: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        runs = five(tmp_path)
        runs[place].write_info(replace(runs[place].info(), exit_status=exit_status))

        assert f"{runs[place].path}: {said}" in self.refused(store, runs, capsys)

    def test_an_invalid_measurement(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = [session(tmp_path / "a"), session(tmp_path / "b", status=Status.INVALID)]

        assert f"{tmp_path / 'b'}: invalid measurements: {DECODE}" in self.refused(store, runs, capsys)

    @pytest.mark.parametrize("place", [0, 1])
    def test_a_case_that_one_session_lacks(
        self, place: int, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = [session(tmp_path / name) for name in ("a", "b", "c")]
        runs[place] = session(tmp_path / "less", cases=[DECODE])

        assert f"{PREFILL} was measured in 2 of 3 runs" in self.refused(store, runs, capsys)

    def test_no_case_at_all(self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        runs = [session(tmp_path / "a", cases=[]), session(tmp_path / "b", cases=[])]

        assert "no session measured any case: nothing was stored" in self.refused(store, runs, capsys)

    def test_one_run_named_twice(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = session(tmp_path / "a")

        said = self.refused(store, [run, session(tmp_path / "b"), run], capsys)
        assert f"{run.path}: the same run as {run.path} (a): that is one session, not two" in said

    def test_a_copy_of_a_run(self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run, copy = session(tmp_path / "a"), session(tmp_path / "copies" / "a")

        said = self.refused(store, [run, copy], capsys)
        assert f"{copy.path}: the same run as {run.path} (a)" in said

    def test_a_damaged_baseline_even_of_another_case(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = Store(store).path(record(PREFILL))
        path.write_text("{", encoding="utf-8")

        said = self.refused(store, five(tmp_path), capsys, code=2)
        assert f"{path}: not JSON, or cut short" in said
        assert path.read_text(encoding="utf-8") == "{"

    def test_sessions_under_different_hard_keys_even_of_the_last_case(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def recapped(one: Record) -> Record:
            hard = replace(hard_key(), power_limit_w=400.0)
            return replace(one, hard=hard) if one.case.id == PREFILL else one

        runs = [session(tmp_path / "a"), session(tmp_path / "b", change=recapped)]

        said = self.refused(store, runs, capsys)
        assert "power_limit_w is 700.0 in a and 400.0 in b; the sessions of a baseline share it" in said

    def test_a_folder_that_is_no_run(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = [session(tmp_path / "a"), RunFolder(tmp_path / "nothing")]

        said = self.refused(store, runs, capsys, code=2)
        assert f"{tmp_path / 'nothing'}: neither a run's folder" in said

    def test_a_damaged_record(self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run = session(tmp_path / "a")
        (run.path / "records" / f"{DECODE}.json").write_text("", encoding="utf-8")

        assert f"{DECODE}.json: not JSON" in self.refused(store, [run], capsys, code=2)

    def test_a_store_that_is_a_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        store = tmp_path / "store"
        store.write_text("mine", encoding="utf-8")

        assert refresh(store, five(tmp_path)) == 2
        assert capsys.readouterr().err.startswith("error: ")
        assert store.read_text(encoding="utf-8") == "mine"

    def test_the_functions_raise_what_the_command_says(self, store: Path, tmp_path: Path) -> None:
        bad = session(tmp_path / "a", exit_status=1)

        with pytest.raises(RefreshError, match="exit code 1"):
            collect([bad])
        with pytest.raises(RefreshError, match="exit code 1"):
            store_sessions(Store(store), [bad], command="a test")
        Store(store).path(record(DECODE)).write_text("[]", encoding="utf-8")
        with pytest.raises(FormatError, match="no schema number"):
            store_sessions(Store(store), [session(tmp_path / "b")], command="a test")


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["refresh", "--help"])
    said = " ".join(capsys.readouterr().out.split())

    assert "Exit codes: 0 stored, or with --dry-run would be; 1 refused, nothing stored; 2 bad input" in said


class TestArguments:
    @pytest.mark.parametrize("sessions", ["0", "-1"])
    def test_sessions_must_be_at_least_one(
        self,
        sessions: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", forbidden)

        assert main(["refresh", f"--sessions={sessions}"]) == 2
        assert f"--sessions is {sessions}; at least 1 is needed" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_pytest_options_do_nothing_beside_from(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = tmp_path / "store"

        assert refresh(store, [session(tmp_path / "a")], "-m", "cpu", "--perf-modle") == 2
        assert "--from measures nothing, so -m cpu --perf-modle would do nothing" in capsys.readouterr().err
        assert not store.exists()

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["refesh"],
            ["refresh", "--sessions", "many"],
            ["refresh", "--from"],
            ["refresh", "--from", "a", "--sessions", "2"],
        ],
    )
    def test_what_argparse_refuses_is_exit_code_2(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subprocess, "run", forbidden)

        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tree is in which these tests run."""
    monkeypatch.setattr(refreshing, "commit", lambda _: Commit(hash="abc1234", dirty=False))


def forbidden(*_arguments: object, **_options: object) -> None:
    raise AssertionError("a process was started")


class Pytest:
    """Stands in for the pytest processes: each writes a run's folder and ends
    with the next of `codes`."""

    def __init__(self, *codes: int, cases: Sequence[str] = (DECODE,), dirty: bool = False) -> None:
        self.codes = list(codes)
        self.dirty = dirty
        self.cases = cases
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], *, check: bool) -> "subprocess.CompletedProcess[bytes]":
        assert not check
        self.commands.append(command)
        path, code = Path(value(command, "--perf-out")), self.codes[len(self.commands) - 1]
        folder = session(path, cases=self.cases, exit_status=code)
        folder.write_info(replace(folder.info(), id=f"id-{path.name}", dirty=self.dirty))
        for one in folder.records():
            folder.write_record(replace(one, run=f"id-{path.name}", dirty=self.dirty))
        return subprocess.CompletedProcess(command, code)


# What stands in for a session that takes long.
SLEEPS = """
import os, pathlib, time

def pytest_addoption(parser):
    parser.addoption("--perf-out")
    parser.addoption("--perf-baselines")

def pytest_configure(config):
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(600)
"""


def value(command: Sequence[str], option: str) -> str:
    """The value of an option that is given once."""
    (given,) = [argument for argument in command if argument.startswith(f"{option}=")]
    return given.partition("=")[2]


def test_an_option_keeps_its_folder() -> None:
    """A folder that stands alone would make pytest look for its configuration there."""
    given = ["-m", "gpu", "--perf-checkpoint", "/models/mistral", "--perf-strict", "-k", "decode"]

    assert _joined(given) == [
        "-m",
        "gpu",
        "--perf-checkpoint=/models/mistral",
        "--perf-strict",
        "-k",
        "decode",
    ]


class TestMeasured:
    def test_each_session_is_a_process_with_a_folder_of_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stub = Pytest(0, 0, 0)
        monkeypatch.setattr(subprocess, "run", stub)
        runs = measure_sessions(tmp_path, [], sessions=3)
        nothing = str(tmp_path / "no-baselines")

        assert stub.commands == [
            [
                *(sys.executable, "-m", "pytest", "-m", "gpu"),
                *(f"--perf-out={tmp_path / f'session-{n}'}", f"--perf-baselines={nothing}"),
            ]
            for n in (1, 2, 3)
        ]
        assert [r.path for r in runs] == [tmp_path / f"session-{n}" for n in (1, 2, 3)]
        assert not Path(nothing).exists()
        assert "session 3 of 3: " in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("given", "passed"),
        [
            (["-k", "decode"], ["-m", "gpu", "-k", "decode"]),
            (["-m", "cpu"], ["-m", "cpu"]),
            (["-k", "decode", "-m", "cpu", "-x"], ["-k", "decode", "-m", "cpu", "-x"]),
        ],
    )
    def test_the_gpu_lane_unless_told(
        self, given: list[str], passed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub = Pytest(0)
        monkeypatch.setattr(subprocess, "run", stub)
        measure_sessions(tmp_path, given, sessions=1)

        assert stub.commands[0][3:-2] == passed

    @pytest.mark.parametrize("code", [1, 2, 5, -9])
    def test_the_first_that_fails_ends_it(
        self, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub = Pytest(0, code, 0)
        monkeypatch.setattr(subprocess, "run", stub)

        with pytest.raises(RefreshError, match=f"session 2 failed with exit code {code}: nothing was stored"):
            measure_sessions(tmp_path, [], sessions=3)
        assert len(stub.commands) == 2

    def test_the_command_measures_and_stores(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stub = Pytest(0, 0)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", stub)
        arguments = [
            "refresh",
            "--sessions",
            "2",
            "--perf-baselines",
            "store",
            "-m",
            "cpu",
            "-k",
            "decode and b1",
        ]

        assert main(arguments) == 0

        assert [c[3:7] for c in stub.commands] == [["-m", "cpu", "-k", "decode and b1"]] * 2
        (folder,) = (tmp_path / "runs").iterdir()
        assert folder.name.startswith("refresh-2")
        assert [value(c, "--perf-out") for c in stub.commands] == [
            f"runs/{folder.name}/session-1",
            f"runs/{folder.name}/session-2",
        ]
        # Not the store that is being replaced.
        assert value(stub.commands[0], "--perf-baselines") == f"runs/{folder.name}/no-baselines"
        stored = loaded(tmp_path / "store")
        assert [s.run for s in stored.sessions] == ["id-session-1", "id-session-2"]
        assert stored.command == (
            "python -m baselines refresh --sessions 2 --perf-baselines store -m cpu -k 'decode and b1'"
        )
        assert "Stored in store: 1." in capsys.readouterr().out

    def test_one_session_will_do_and_the_command_line_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = ["refresh", "--sessions", "1", "--perf-baselines", "store", "-m", "cpu"]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", Pytest(0))
        monkeypatch.setattr(sys, "argv", ["baselines/__main__.py", *arguments])

        assert main() == 0
        stored = loaded(tmp_path / "store")
        assert stored.command == "python -m baselines refresh --sessions 1 --perf-baselines store -m cpu"

    def test_five_sessions_and_the_store_in_the_checkout_by_default(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub = Pytest(*[0] * 5)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", stub)

        assert main(["refresh"]) == 0
        assert len(stub.commands) == 5
        assert list(tree(tmp_path / "baselines" / "data")) == [f"h100-sxm/mistral-7b-v0.1/{DECODE}.json"]

    def test_a_dirty_tree_is_known_before_anything_is_measured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(refreshing, "commit", lambda _: Commit(hash="abc1234", dirty=True))
        monkeypatch.setattr(subprocess, "run", forbidden)

        assert main(["refresh", "--sessions", "3", "--perf-baselines", "store"]) == 1
        said = "refused: the tree has local changes; commit them, or --allow-dirty"
        assert capsys.readouterr().err.startswith(said)
        assert not (tmp_path / "store").exists()

    def test_a_tree_that_is_changed_meanwhile_is_refused_with_what_was_measured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", Pytest(0, 0, 0, dirty=True))

        assert main(["refresh", "--sessions", "3", "--perf-baselines", "store"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("refused: id-session-1: measured with local changes in the tree")
        assert "Nothing was stored. The runs: --from runs/refresh-" in said.out
        assert not (tmp_path / "store").exists()

    def test_a_store_that_is_a_file_is_known_before_anything_is_measured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(subprocess, "run", forbidden)
        (tmp_path / "store").touch()

        assert main(["refresh", "--perf-baselines", str(tmp_path / "store")]) == 2
        assert "/store: a file; a folder is needed" in capsys.readouterr().err

    def test_sessions_that_are_stored_already_change_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As after a kill between two files: who took them and why is not lost."""
        store, runs = tmp_path / "store", five(tmp_path)
        assert refresh(store, runs) == 0
        before = tree(store)

        assert refresh(store, runs, "--accept-regression", "why") == 0
        assert "These sessions are stored in" in capsys.readouterr().out
        assert tree(store) == before

    def test_what_was_accepted_is_not_asked_for_again(self, tmp_path: Path) -> None:
        store, wide = (
            tmp_path / "store",
            [session(tmp_path / f"r{i}", device_s=0.008 + i * 1e-3) for i in range(3)],
        )

        assert refresh(store, wide) == 1
        assert refresh(store, wide, "--accept-blind") == 0
        assert refresh(store, wide) == 0

    def test_a_folder_of_sessions_is_taken_as_they_are(self, tmp_path: Path) -> None:
        for i, run in enumerate(five(tmp_path), start=1):
            run.path.rename(tmp_path / f"session-{i}")

        assert refresh(tmp_path / "store", [tmp_path]) == 0
        assert [s.run for s in loaded(tmp_path / "store").sessions] == [f"run-{i}" for i in range(5)]

    def test_what_is_no_session_is_refused_wherever_it_is_copied_to(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        again = session(tmp_path / "a" / "confirmations" / "1")
        again.disown("a fresh process that measured suspects again")
        copy = shutil.copytree(again.path, tmp_path / "copy")

        assert refresh(tmp_path / "s", [copy]) == 1
        assert (
            "a fresh process that measured suspects again: no session of a baseline"
            in capsys.readouterr().err
        )
        assert not (tmp_path / "s").exists()

    def test_a_refresh_that_is_ended_ends_its_pytest(self, tmp_path: Path) -> None:
        """Else it would hold the GPU for whoever comes next."""
        (tmp_path / "conftest.py").write_text(SLEEPS, encoding="utf-8")
        command = [sys.executable, "-m", "baselines", "refresh", "--allow-dirty", "-m", "gpu"]
        place = environment(PYTHONPATH=str(ROOT))
        with subprocess.Popen(command, cwd=tmp_path, env=place, stdout=subprocess.DEVNULL) as refreshing:
            started = tmp_path / "pid"
            while not (started.exists() and started.read_text(encoding="utf-8")):
                assert refreshing.poll() is None
                time.sleep(0.05)
            pid = int(started.read_text(encoding="utf-8"))
            refreshing.terminate()

            assert refreshing.wait(timeout=60) == 143
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_a_dry_run_measures_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stub = Pytest(0, 0)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", stub)

        assert main(["refresh", "--sessions", "2", "--dry-run", "--perf-baselines", "store"]) == 0
        assert len(stub.commands) == 2
        assert not any("--dry-run" in argument for command in stub.commands for argument in command)
        assert "Dry run: nothing was stored. 1 would be in store" in capsys.readouterr().out
        assert not (tmp_path / "store").exists()

    def test_a_session_that_fails_stores_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(subprocess, "run", Pytest(0, 1))

        assert main(["refresh", "--sessions", "2", "--perf-baselines", "store"]) == 1
        assert "refused: session 2 failed with exit code 1: nothing was stored" in capsys.readouterr().err
        assert not (tmp_path / "store").exists()
