"""The gate can go red: stored baselines are scaled, and a real session of pytest must fail by
them, again and again; and what could not be judged must be seen."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from analytic import Case
from baselines.judging import judge_folder
from baselines.policy import POLICY
from baselines.record import Record
from baselines.run import CONFIRMATIONS, RunFolder
from baselines.store import Store
from baselines.verdict import Status
from perf_tests.selftests.synthetic_gpu import PID, PLUGIN, Card, script, synthetic
from perf_tests.selftests.tiny import Done, Junit, Place, read_junit, write_config

# --- a card of plain numbers: device time ------------------------------------

MODEL = "mistral-7b-v0.1"
CASES = tuple(f"decode-b{batch}-c{length}-fp16-eager" for batch in (1, 8) for length in (128, 512, 2048))
FIRST, SLOW, LAST = CASES[0], CASES[1], CASES[-1]
LANE = ("-m", "gpu", "-k", "decode and fp16", f"--perf-model={MODEL}")
FILES = ("perf_tests/test_decode.py", "perf_tests/test_verdict.py")
NO_REPORT = ("-p", "no:reports.plugin")
CALM = Card()
# The spread between five sessions on a quiet H100: 0.15 %.
SESSIONS = (0.9985, 0.9995, 1.0, 1.0005, 1.0015)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A folder of its own for one run, with a store of five sessions of every case."""

    path: Path

    @property
    def store(self) -> Path:
        return self.path / "store"

    def baseline(self, case_id: str = SLOW) -> Path:
        return next(self.store.rglob(f"{case_id}.json"))

    def scale(self, factor: float, cases: Sequence[str] = (SLOW,)) -> None:
        """Multiplies the stored device times."""
        for path in map(self.baseline, cases):
            stored = json.loads(path.read_text(encoding="utf-8"))
            for session in stored["sessions"]:
                session["device_s"] = [factor * seconds for seconds in session["device_s"]]
            path.write_text(json.dumps(stored), encoding="utf-8")

    def stored(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.store.rglob("*") if path.is_file()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A session that has ended: what it said, wrote, and gave as verdicts."""

    done: Done
    folder: RunFolder
    junit_file: Path

    @property
    def junit(self) -> Junit:
        return read_junit(self.junit_file)

    def status(self, case_id: str = SLOW) -> str:
        return self.junit.properties[f"test_verdict[{case_id}]"]["verdict"]

    def said(self, case_id: str = SLOW) -> str:
        return self.junit.messages[f"test_verdict[{case_id}]"]

    @property
    def fresh(self) -> int:
        """How many fresh processes there were."""
        return len(list((self.folder.path / CONFIRMATIONS).glob("*")))


def kept(case_id: str, **changed: Any) -> list[Record]:
    """The sessions of a case."""
    case = Case.parse(case_id, model=MODEL)
    calm = [synthetic(case, Card(slower=factor), run=f"session-{factor}") for factor in SESSIONS]
    return [replace(one, **changed) for one in calm]


def make_home(path: Path) -> Home:
    for case_id in CASES:
        Store(path / "store").write(kept(case_id), written="2026-11-22", command="a test")
    return Home(path=path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


def measured(
    place: Place,
    home: Home,
    card: Card,
    *options: str,
    fresh: Card | None = None,
    limit_s: float = 60.0,
    report: bool = False,
    **env: str,
) -> Ran:
    """One session on that card, without torch; without a report, most of whose time is
    Matplotlib's."""
    done = place.pytest(
        *(*place.without_torch(), *PLUGIN, *(() if report else NO_REPORT), *LANE),
        f"--perf-out={home.path / 'run'}",
        *(f"--perf-baselines={home.store}", f"--junitxml={home.path / 'junit.xml'}", *options, *FILES),
        **script(card, fresh=fresh, limit_s=limit_s),
        **env,
    )
    return Ran(done=done, folder=RunFolder(home.path / "run"), junit_file=home.path / "junit.xml")


def judged(place: Place, home: Home, *options: str) -> Ran:
    """The run in `home` once more, from its folder, where there is neither GPU nor torch."""
    done = place.pytest(
        *(*place.without_torch(), *NO_REPORT, "perf_tests/test_verdict.py"),
        f"--perf-run={home.path / 'run'}",
        *(f"--perf-baselines={home.store}", f"--junitxml={home.path / 'again.xml'}", *options),
    )
    return Ran(done=done, folder=RunFolder(home.path / "run"), junit_file=home.path / "again.xml")


def test_what_is_as_stored_is_green_and_asks_for_no_fresh_process(place: Place, home: Home) -> None:
    """What all below is held against."""
    ran = measured(place, home, CALM, "--perf-strict")

    assert ran.done.rc == 0, ran.done.out
    assert {ran.status(case_id) for case_id in CASES} == {"pass"}
    assert ran.fresh == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """A session that failed by a baseline 3 % faster than what is measured."""

    home: Home
    ran: Ran
    before: dict[Path, bytes]


@pytest.fixture(scope="module")
def red(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Red:
    home = make_home(tmp_path_factory.mktemp("red"))
    home.scale(1 / 1.03)
    before = home.stored()
    # What the environment asks for is this session's, not that of its fresh processes.
    addopts = {"PYTEST_ADDOPTS": f"--benchmark-json={home.path / 'bench.json'} --perf-update=missing"}
    ran = measured(place, home, CALM, "-o", "junit_suite_name=red", report=True, **addopts)
    return Red(home=home, ran=ran, before=before)


def test_a_step_that_is_slower_than_its_baseline_fails(red: Red) -> None:
    done, junit = red.ran.done, red.ran.junit

    assert done.rc == pytest.ExitCode.TESTS_FAILED, done.out
    assert junit.failures == 1
    assert done.line("FAILED ").startswith(f"FAILED perf_tests/test_verdict.py::test_verdict[{SLOW}]")
    assert {case_id: red.ran.status(case_id) for case_id in CASES} == {
        case_id: "regressed" if case_id == SLOW else "pass" for case_id in CASES
    }
    assert red.ran.folder.info().exit_status == 1


def test_it_says_both_numbers_every_process_and_the_way_out(red: Red) -> None:
    (now,) = (r for r in red.ran.folder.records() if r.case.id == SLOW)
    refresh = f"python -m baselines refresh --sessions 5 -m gpu -k {SLOW} --perf-baselines={red.home.store}"
    now_ms = now.measurement.device_s[0] * 1e3  # type: ignore[index] - the card has a clock

    for words in (
        f"regressed: device time {now_ms:.3f} ms: +3.00 % against {now_ms / 1.03:.3f} ms",
        "(+3.00 %, +3.00 %, +3.00 % in 3 fresh processes)",
        str(red.home.baseline()),
        f"if this is meant: commit it, and {refresh} --accept-regression",
    ):
        assert words in red.ran.said()


def test_each_fresh_process_measured_the_suspect_alone(red: Red) -> None:
    confirmations = red.ran.folder.confirmations()

    assert len(confirmations) == POLICY.rounds
    for one in confirmations:
        assert [r.case.id for r in one.records()] == [SLOW]
        assert one.info().exit_status == 0
    assert f"roofgate: in a fresh process once more: {SLOW}" in red.ran.done.out


def test_a_fresh_process_is_called_as_the_session_was(red: Red, place: Place) -> None:
    one = red.ran.folder.confirmations()[0]
    command = one.info().command.split(" ")

    for words in (
        f"--rootdir={place.root}",
        *(f"-c {place.root / 'pyproject.toml'}", "-m gpu", f"--perf-model={MODEL}"),
        *("-p no_torch", " ".join(PLUGIN), "-p no:hypothesispytest", "-o junit_suite_name=red"),
        *("--perf-history=none", f"--perf-out={one.path}", "--import-mode=importlib"),
    ):
        assert f" {words} " in f" {' '.join(command)} "
    assert command[1] == f"{place.root}/perf_tests/test_decode.py::test_decode[{SLOW}]"


def test_what_the_session_writes_no_fresh_process_writes(red: Red) -> None:
    """Its JUnit file, its benchmarks, its baselines, the history."""
    own = {f"test_decode[{case_id}]" for case_id in CASES} | {f"test_verdict[{case_id}]" for case_id in CASES}
    benchmarks = json.loads((red.home.path / "bench.json").read_text(encoding="utf-8"))["benchmarks"]

    assert set(red.ran.junit.names) == own
    assert len(benchmarks) == len(CASES)
    assert read_junit(red.ran.folder.confirmations()[0].path / "junit.xml").names == (f"test_decode[{SLOW}]",)
    assert len(list(red.ran.folder.path.rglob("summary.md"))) == 1, "the report of the session"
    assert not list(red.ran.folder.path.rglob("no-baselines"))
    assert "--perf-update missing: nothing stored, the run did not pass" in red.ran.done.out
    assert red.home.stored() == red.before


def test_judged_again_from_its_folder_it_is_as_red_and_nothing_is_started(place: Place, red: Red) -> None:
    before = set(red.ran.folder.path.rglob("*"))
    again = judged(place, red.home)

    assert again.done.rc == 1, again.done.out
    assert {case_id: again.status(case_id) for case_id in CASES} == {
        case_id: red.ran.status(case_id) for case_id in CASES
    }
    assert again.said() == red.ran.said()
    assert set(again.folder.path.rglob("*")) - before == set()


def test_without_its_fresh_processes_it_is_suspect(place: Place, red: Red, tmp_path: Path) -> None:
    home = Home(path=tmp_path)
    shutil.copytree(red.home.path, home.path, dirs_exist_ok=True)
    shutil.rmtree(home.path / "run" / CONFIRMATIONS)
    again = judged(place, home, "--perf-strict", "-v")

    assert again.status() == "suspect"
    assert "not confirmed: no fresh process has measured it again" in again.said()
    assert again.done.rc == 1
    assert again.junit.failures == 1


def test_a_retry_fails_again(place: Place, red: Red, tmp_path: Path) -> None:
    home = Home(path=tmp_path)
    shutil.copytree(red.home.store, home.store)
    before = home.stored()
    again = measured(place, home, CALM)

    assert again.done.rc == 1, again.done.out
    assert again.status() == "regressed"
    assert again.junit.failures == 1
    assert again.fresh == POLICY.rounds
    assert home.stored() == before


TWICE = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    if not item.name.startswith("test_verdict"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=item)
    runtestprotocol(item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


@pytest.mark.parametrize(
    ("fresh", "processes"), [(CALM, POLICY.rounds), (Card(then="SIGKILL"), 1)], ids=["regressed", "suspect"]
)
def test_an_item_that_is_run_again_fails_again(place: Place, home: Home, fresh: Card, processes: int) -> None:
    """As pytest-rerunfailures would have it: a session judges once, and asks no further
    process until one answers otherwise."""
    home.scale(1 / 1.03)
    again = place.plugin("twice", TWICE)
    ran = measured(place, home, CALM, *again, "-k", SLOW, "--perf-strict", fresh=fresh)

    assert ran.done.rc == 1, ran.done.out
    assert "2 failed, 1 passed" in ran.done.out.splitlines()[-1]
    assert ran.fresh == processes


def test_a_session_that_alone_was_slow_is_cleared(place: Place, home: Home) -> None:
    ran = measured(place, home, Card(slower=1.03, cases=(SLOW,)), "--perf-strict", fresh=CALM)
    verdicts = {v.case: v for v in ran.folder.verdicts()}

    assert ran.done.rc == 0, ran.done.out
    assert ran.status() == "pass"
    assert "suspected, and cleared (+0.00 % in 1 fresh process)" in "\n".join(verdicts[SLOW].reasons)
    assert ran.fresh == 1


@pytest.mark.parametrize(("options", "rc"), [((), 0), (("--perf-strict",), 1)], ids=["plain", "strict"])
def test_fresh_processes_that_crash_confirm_nothing(
    place: Place, home: Home, options: tuple[str, ...], rc: int
) -> None:
    home.scale(1 / 1.03)
    ran = measured(place, home, CALM, *options, fresh=Card(then="SIGKILL"))
    output = ran.folder.path / CONFIRMATIONS / "1" / "output.txt"
    why = f"the fresh process ended with exit code -9 and measured nothing; see {output}"
    (verdict,) = (v for v in ran.folder.verdicts() if v.case == SLOW)

    assert ran.done.rc == rc, ran.done.out
    assert ran.junit.failures == rc
    assert ran.status() == "suspect"
    assert f"not confirmed: {why}" in "\n".join(verdict.reasons)
    assert f"test_decode[{SLOW}]" in output.read_text(encoding="utf-8")
    assert ran.fresh == 1, "the next one would fare no better"


def assert_gone(ran: Ran) -> None:
    """The process that hung in the first confirmation, once whoever inherited it took note of its end."""
    pid = int((ran.folder.path / CONFIRMATIONS / "1" / PID).read_text(encoding="utf-8"))
    deadline = time.monotonic() + 30
    while _there(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.05)


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_fresh_process_that_hangs_is_ended(place: Place, home: Home) -> None:
    home.scale(1 / 1.03)
    ran = measured(place, home, CALM, "--perf-strict", fresh=Card(then="hang"), limit_s=5.0)

    assert ran.done.rc == 1
    assert ran.status() == "suspect"
    assert "not confirmed: the fresh process did not end within 5 s; see " in ran.said()
    assert ran.fresh == 1
    assert_gone(ran)


def test_a_fresh_process_whose_run_cannot_be_read_spoils_no_verdict(place: Place, home: Home) -> None:
    home.scale(1 / 1.03)
    ran = measured(place, home, CALM, "--perf-strict", fresh=Card(then="leave no run"))

    assert ran.done.rc == 1, ran.done.out
    assert {case_id: ran.status(case_id) for case_id in CASES} == {
        case_id: "suspect" if case_id == SLOW else "pass" for case_id in CASES
    }


@pytest.mark.parametrize(
    ("then", "options", "rc"),
    [
        ("SIGTERM", (), pytest.ExitCode.INTERRUPTED),
        ("Ctrl-C", (), pytest.ExitCode.INTERRUPTED),
        ("fail", ("-x",), pytest.ExitCode.TESTS_FAILED),
    ],
    ids=["SIGTERM", "Ctrl-C", "-x"],
)
def test_a_session_that_is_stopped_starts_no_fresh_process(
    place: Place, home: Home, then: str, options: tuple[str, ...], rc: int
) -> None:
    """Whoever stops it does not want to wait for one more."""
    home.scale(1 / 1.03)
    ran = measured(place, home, Card(at=LAST, then=then), *options, fresh=CALM)
    verdicts = {v.case: v for v in ran.folder.verdicts()}

    assert ran.done.rc == rc, ran.done.out
    assert verdicts[SLOW].status is Status.SUSPECT
    assert "not confirmed: the session was stopped" in "\n".join(verdicts[SLOW].reasons)
    assert verdicts[LAST].status is Status.NOT_MEASURED
    assert ran.fresh == 0


def test_a_session_that_is_stopped_meanwhile_ends_its_fresh_process(place: Place, home: Home) -> None:
    home.scale(1 / 1.03)
    ran = measured(place, home, CALM, fresh=Card(then="stop the session"))
    (verdict,) = (v for v in ran.folder.verdicts() if v.case == SLOW)

    assert ran.done.rc == pytest.ExitCode.INTERRUPTED, ran.done.out
    assert verdict.status is Status.SUSPECT
    assert ran.fresh == 1
    assert_gone(ran)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    home: Home
    ran: Ran


@pytest.fixture(scope="module")
def shifted(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Shifted:
    """Every case is slower than its baseline, by the same 3 %."""
    home = make_home(tmp_path_factory.mktemp("shifted"))
    home.scale(1 / 1.03, CASES)
    return Shifted(home=home, ran=measured(place, home, CALM))


def test_what_moved_all_cases_together_fails_once(shifted: Shifted) -> None:
    ran = shifted.ran

    assert ran.done.rc == 1, ran.done.out
    assert {ran.status(case_id) for case_id in CASES} == {"shifted"}
    assert ran.junit.failures == 1
    assert "neither GPU nor driver nor a library changed: it is the code, or the machine" in ran.said(FIRST)
    assert "6 of 6 cases moved together: device time +3.00 %" in ran.said(FIRST)
    # One process a round for all of them.
    assert ran.fresh == POLICY.rounds


def test_under_another_driver_it_is_shown_and_fails_nothing(
    place: Place, shifted: Shifted, tmp_path: Path
) -> None:
    """The same run, with baselines of another driver."""
    home = Home(path=tmp_path)
    shutil.copytree(shifted.home.path, home.path, dirs_exist_ok=True)
    for path in home.store.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert '"580.159"' in text
        path.write_text(text.replace('"580.159"', '"570.86"'), encoding="utf-8")
    again = judged(place, home, "--perf-strict", "-v")
    said = "changed since the baselines: driver '570.86' -> '580.159'; 6 of 6 cases moved together"

    assert again.done.rc == 0, again.done.out
    assert again.done.out.count("PASSED shifted") == len(CASES)
    first, *others = judge_folder(again.folder, Store(home.store)).verdicts
    assert first.reasons[0].startswith(said)
    assert {v.status for v in (first, *others)} == {Status.SHIFTED}
    assert all(v.reasons[0].startswith(f"moved with all others, see {first.case}; ") for v in others)


# --- what cannot be judged is seen, and fails under --perf-strict -------------


def _lacking_one(home: Home) -> None:
    home.baseline().unlink()


def _lacking_all(home: Home) -> None:
    shutil.rmtree(home.store)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """What a session meets, what it says of SLOW and of FIRST, and what becomes of it
    under --perf-strict and without."""

    card: Card = CALM
    change: Callable[[Home], None] = lambda _: None
    slow: str
    first: str
    words: str
    strict: int
    skipped: int = 0


UNJUDGED = {
    "one baseline is missing": Unjudged(
        change=_lacking_one,
        slow="no_baseline",
        first="pass",
        words="no baseline is stored for this case",
        strict=1,
    ),
    "the store is empty": Unjudged(
        change=_lacking_all,
        slow="no_baseline",
        first="no_baseline",
        words="no baseline is stored for this case",
        strict=len(CASES),
    ),
    "another GPU": Unjudged(
        card=Card(hard={"device": "NVIDIA H100 96GB", "device_memory_bytes": 96 * 10**9}),
        slow="incomparable",
        first="incomparable",
        words="was taken under another hard key: device 'NVIDIA H100 80GB HBM3' -> 'NVIDIA H100 96GB'; "
        "device_memory_bytes ",
        strict=len(CASES),
        skipped=len(CASES),
    ),
    "another card of the same name": Unjudged(
        card=Card(slower=1.1, soft={"gpu_uuid": "GPU-1"}),
        slow="warn",
        first="warn",
        words="on another card (GPU-0; this is GPU-1): shown, not judged",
        strict=0,
    ),
}


@pytest.mark.parametrize("met", UNJUDGED.values(), ids=UNJUDGED)
def test_what_cannot_be_judged_is_seen_and_only_strict_fails(place: Place, home: Home, met: Unjudged) -> None:
    met.change(home)
    strict = measured(place, home, met.card, "--perf-strict", "-rA")
    plain = judged(place, home, "-rA")

    for ran, failures in ((strict, met.strict), (plain, 0)):
        assert ran.done.rc == min(1, failures), ran.done.out
        assert ran.junit.failures == failures
        assert (ran.status(SLOW), ran.status(FIRST)) == (met.slow, met.first)
        assert met.words in "".join(r for v in strict.folder.verdicts() for r in v.reasons if v.case == SLOW)
    assert plain.done.out.count("SKIPPED") == met.skipped
    assert strict.fresh == 0


def test_a_case_that_failed_is_seen_and_the_others_are_judged(place: Place, home: Home) -> None:
    ran = measured(place, home, Card(at=SLOW, then="fail"), "--perf-strict")

    assert ran.done.rc == 1
    assert ran.junit.messages[f"test_decode[{SLOW}]"].strip().startswith("Failed: the engine broke")
    assert "not_measured: the engine broke" in ran.said()
    assert (ran.status(), ran.status(FIRST), ran.junit.failures) == ("not_measured", "pass", 2)


def test_a_run_that_was_killed_names_what_it_did_not_measure(place: Place, home: Home) -> None:
    died = measured(place, home, Card(at=SLOW, then="SIGKILL"))
    plain, strict = judged(place, home), judged(place, home, "--perf-strict")

    assert died.done.rc == -9
    assert [r.case.id for r in died.folder.records()] == [FIRST]
    assert (strict.done.rc, plain.done.rc) == (1, 0)
    assert {case_id: strict.status(case_id) for case_id in CASES} == {
        case_id: "pass" if case_id == FIRST else "not_measured" for case_id in CASES
    }
    assert "the case did not finish; see its measure item" in strict.said()
    assert f"FAILED perf_tests/test_verdict.py::test_verdict[{LAST}]" in strict.done.out


NOTHING = "nothing was measured in this session, and no run was named with --perf-run"


@pytest.mark.parametrize("lane", [("-m", "gpu"), ("-m", "cpu"), ()], ids=["gpu", "cpu", "neither named"])
def test_a_lane_that_is_skipped_is_seen(place: Place, tmp_path: Path, lane: tuple[str, ...]) -> None:
    """Without torch neither runs."""
    said = "torch is not installed: pip install -e '.[torch]'"
    done = place.pytest(
        *(*place.without_torch(), *lane, "-k", "decode-b1-c128", "--perf-strict"),
        *(f"--junitxml={tmp_path}/junit.xml", *FILES),
    )
    junit = read_junit(tmp_path / "junit.xml")
    verdicts = [name for name in junit.names if name.startswith("test_verdict")]

    assert done.rc == 1, done.out
    assert verdicts
    assert junit.failures == len(verdicts)
    for name in verdicts:
        assert junit.properties[name]["verdict"] == "not_measured"
        assert f"not_measured: {NOTHING}" in junit.messages[name]
    assert said in done.out


def test_a_gpu_may_be_missing_even_so(place: Place) -> None:
    options = (*place.without_torch(), "-m", "gpu", "-k", "decode-b1-c128", "--perf-strict", *FILES)
    allowed = place.pytest(*options, "--perf-allow-no-gpu")

    assert allowed.rc == 0, allowed.out
    assert NOTHING in allowed.out


# --- the real CPU lane: counts -----------------------------------------------

LOWERED, SAME, LACKING = (f"prefill-b1-p{length}-fp32-eager" for length in (32, 128, 256))
FEWER = 3

QUICK = """
from perf_tests.selftests.records import CPU_CEILINGS

def pytest_configure(config):
    import perf_tests.ceilings as ceilings
    ceilings.CeilingMeter.measure = lambda self: CPU_CEILINGS  # saves their time
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The CPU lane against a store in which one count of LOWERED is lower than what was
    counted, and LACKING is not there."""

    place: Place
    home: Path
    command: tuple[str, ...]
    aten_ops: int

    def stored(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (self.home / "store").rglob("*.json")}

    def run(self) -> Ran:
        """Into the folder that a run has by default; the command is always the same."""
        runs = self.place.root / "runs"
        known = set(runs.iterdir())
        done = self.place.pytest(*self.command)
        (appeared,) = set(runs.iterdir()) - known
        junit = (self.home / "junit.xml").rename(appeared / "junit.xml")
        return Ran(done=done, folder=RunFolder(appeared), junit_file=junit)


@pytest.fixture(scope="module")
def counted(place: Place, torch_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Counted:  # noqa: ARG001 - it skips
    home = tmp_path_factory.mktemp("counted")
    command = (
        *(*place.plugin("quick", QUICK), *NO_REPORT, "-m", "cpu", "-k", "prefill and b1-p"),
        *(f"--perf-model={write_config(home / 'tiny')}", f"--perf-baselines={home / 'store'}"),
        *(f"--junitxml={home / 'junit.xml'}", "--perf-update=missing"),
        *("perf_tests/test_prefill.py", "perf_tests/test_verdict.py"),
    )
    done = place.pytest(*command)
    assert done.rc == 0, done.out
    folder = home / "store" / "cpu" / "tiny"
    (folder / f"{LACKING}.json").unlink()
    path = folder / f"{LOWERED}.json"
    baseline = json.loads(path.read_text(encoding="utf-8"))
    (session,) = baseline["sessions"]
    aten_ops = session["counts"]["aten_ops"]
    session["counts"]["aten_ops"] = aten_ops - FEWER
    path.write_text(json.dumps(baseline), encoding="utf-8")
    return Counted(place=place, home=home, command=command, aten_ops=aten_ops)


def expect_red(counted: Counted, before: dict[Path, bytes], ran: Ran) -> None:
    now = counted.aten_ops
    (one,) = ran.folder.confirmations()
    (again,) = one.records()

    assert ran.done.rc == 1, ran.done.out
    assert ran.junit.failures == 1
    assert ran.status(LOWERED) == "regressed"
    assert f"regressed: the host does more for a step: ATen ops {now - FEWER:,} -> {now:,}" in ran.said(
        LOWERED
    )
    assert "at least so many in each of 2 processes" in ran.said(LOWERED)
    # The others have no band on a CPU, or no baseline.
    assert (ran.status(SAME), ran.status(LACKING)) == ("warn", "no_baseline")
    assert one.path.name == "1"
    assert again.case.id == LOWERED
    assert again.measurement.counts is not None
    assert again.measurement.counts.aten_ops == now
    # Neither what is missing nor what would make it green is stored.
    assert "--perf-update missing: nothing stored, the run did not pass" in ran.done.out
    assert counted.stored() == before


@pytest.mark.long
def test_a_count_that_grew_fails_a_real_run(counted: Counted) -> None:
    before = counted.stored()
    expect_red(counted, before, counted.run())


@pytest.mark.long
def test_a_retry_of_a_real_run_fails_again(counted: Counted) -> None:
    before = counted.stored()
    expect_red(counted, before, counted.run())
    expect_red(counted, before, counted.run())
