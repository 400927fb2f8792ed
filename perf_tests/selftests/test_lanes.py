"""The commands as people give them: a small CPU run from end to end, verdicts from
stored records, and everything that is refused."""

import errno
import json
import re
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest

from analytic.ceilings_file import read_ceilings
from baselines import plugin
from baselines import store as stores
from baselines.codec import FormatError, read
from baselines.history.opening import open_history
from baselines.history.place import Place as Kept
from baselines.judging import Judged
from baselines.locking import locked
from baselines.policy import POLICY
from baselines.record import Record
from baselines.run import RunFolder, run_ceilings
from baselines.store import Baseline, Store
from baselines.verdict import Status, Verdict
from perf_tests.cases import LANES, lane_cases
from perf_tests.selftests.records import record, run_folder
from perf_tests.selftests.tiny import Done, Junit, Place, read_junit, write_config
from perf_tests.selftests.trackers import bencher, github_action_benchmark

USAGE_ERROR = 4

# --- one real run of the CPU lane, asked about from all sides ----------------

MEASURED = ("prefill-b1-p32-fp32-eager", "decode-b1-c128-fp32-eager", "generate-b1-p32-n16-fp32-eager")
# Of the gpu lane, without a GPU: selected, and skipped.
NO_GPU = "decode-b1-c128-fp16-eager"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRun:
    """A finished run: what it said, wrote and changed."""

    done: Done
    place: Place
    appeared: set[str]
    junit: Junit
    benchmarks: list[dict]

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.place.home / "out")

    def benchmark(self, case_id: str) -> dict:
        (found,) = (b for b in self.benchmarks if b["name"].endswith(f"[{case_id}]"))
        return found


@pytest.fixture(scope="module")
def lane_run(place: Place, torch_installed: None) -> LaneRun:  # noqa: ARG001 - it skips
    home = place.home
    before = place.files()
    done = place.pytest(
        *("-m", "cpu or gpu", "--perf-allow-no-gpu"),
        *("-k", "b1 and (c128-fp32 or c128-fp16 or p32-fp32 or p32-n16)"),
        *("--perf-model", write_config(home / "tiny")),
        *("--perf-out", home / "out", "--perf-baselines", home / "store", "--perf-update", "missing"),
        *(f"--junitxml={home}/junit.xml", f"--benchmark-json={home}/bench.json"),
        # A URL with a password may stand anywhere on the command line.
        *(f"--perf-history=sqlite:///{home}/history.sqlite", "--log-date-format=db://ann:secret@host"),
        *("perf_tests/test_decode.py", "perf_tests/test_generate.py"),
        *("perf_tests/test_prefill.py", "perf_tests/test_verdict.py"),
    )
    assert done.rc == 0, done.out
    return LaneRun(
        done=done,
        place=place,
        appeared=place.files() - before,
        junit=read_junit(home / "junit.xml"),
        benchmarks=json.loads((home / "bench.json").read_text(encoding="utf-8"))["benchmarks"],
    )


def test_cases_are_measured_first_and_judged_last(lane_run: LaneRun) -> None:
    names = lane_run.junit.names
    phases = (c.partition("-")[0] for c in (*MEASURED, NO_GPU))

    assert names[:4] == tuple(f"test_{p}[{c}]" for p, c in zip(phases, (*MEASURED, NO_GPU), strict=True))
    assert set(names[4:]) == {f"test_verdict[{case_id}]" for case_id in (*MEASURED, NO_GPU)}


def test_a_gpu_case_without_a_gpu_skips_and_is_kept_as_not_measured(lane_run: LaneRun) -> None:
    said = lane_run.junit.messages[f"test_decode[{NO_GPU}]"]
    (planned,) = (p for p in lane_run.folder.info().planned if p.lane == "gpu")

    assert any(why in said for why in ("is built without CUDA", "finds no usable GPU"))
    assert "roofgate: -m gpu was asked for" not in lane_run.done.out  # as it may be absent
    assert "roofgate: -m cpu was asked for" not in lane_run.done.out  # as it ran
    assert planned.case.id == NO_GPU
    assert planned.not_run
    assert planned.not_run in said
    assert lane_run.junit.properties[f"test_verdict[{NO_GPU}]"]["verdict"] == "not_measured"


def test_the_run_keeps_all_it_promises(lane_run: LaneRun) -> None:
    sent = {"history.json"} if find_spec("sqlalchemy") else set()
    here = {str(p.relative_to(lane_run.folder.path)) for p in lane_run.folder.path.rglob("*") if p.is_file()}

    assert here == {
        *("run.json", "verdicts.json", "ceilings.json", "records.csv"),
        *("roofline.png", "breakdown.png", "summary.md", "report.html"),
        *(f"records/{case_id}.json" for case_id in MEASURED),
        *sent,
    }
    assert f"report: {lane_run.folder.path}/report.html" in lane_run.done.out


def test_the_ceilings_are_kept_for_the_command_line(lane_run: LaneRun) -> None:
    assert read_ceilings(lane_run.folder.path / "ceilings.json") == run_ceilings(lane_run.folder.records())


def test_nothing_is_written_elsewhere(lane_run: LaneRun) -> None:
    """The run's folder, the store and the two files asked for; the checkout stays as it was."""
    # pytest-benchmark makes its own folder of saved runs, empty.
    assert lane_run.appeared - {".benchmarks"} == set()
    assert {p.name for p in lane_run.place.home.iterdir()} >= {"out", "store", "junit.xml", "bench.json"}


def test_every_record_is_in_the_history(lane_run: LaneRun) -> None:
    pytest.importorskip("sqlalchemy")
    place = Kept(url=f"sqlite:///{lane_run.place.home}/history.sqlite", origin="")
    with open_history(place, create=False) as history:
        seen = history.observations()
        records = [history.record(one.key) for one in seen]

    assert {o.case: (o.gpu, o.exit_status, o.status) for o in seen} == dict.fromkeys(
        MEASURED, ("cpu", 0, "no_baseline")
    )
    assert sorted(records, key=lambda r: r.case.id) == sorted(
        lane_run.folder.records(), key=lambda r: r.case.id
    )
    assert "roofgate: history" not in lane_run.done.out


def test_run_json_says_how_and_how_it_ended(lane_run: LaneRun) -> None:
    info = lane_run.folder.info()

    assert info.exit_status == 0
    assert info.command.startswith("pytest ")
    assert "--perf-update missing" in info.command
    assert "db://ann:***@host" in info.command
    assert [(p.case.id, p.lane) for p in info.planned] == [*((c, "cpu") for c in MEASURED), (NO_GPU, "gpu")]
    assert {p.not_run for p in info.planned if p.lane == "cpu"} == {None}
    assert {v.case: v.status for v in lane_run.folder.verdicts()} == {
        **dict.fromkeys(MEASURED, Status.NO_BASELINE),
        NO_GPU: Status.NOT_MEASURED,
    }


def test_records_hold_what_a_cpu_can_tell(lane_run: LaneRun) -> None:
    records = {r.case.id: r for r in lane_run.folder.records()}

    assert set(records) == set(MEASURED)
    for case_id, one in records.items():
        sampled = one.measurement
        assert (one.gpu, one.model.name, one.hard.checkpoint) == ("cpu", "tiny", "random weights")
        assert 3 <= len(sampled.wall_s) <= 10
        assert sampled.device_s is None
        assert one.ceilings is not None
        assert one.ceilings.event_resolution_s is not None
        assert sampled.prepare_s is not None
        assert sampled.warmup_stop in ("settled", "budget", "one")
        assert sampled.conditions is sampled.energy_j is sampled.kernels is sampled.back_to_back_s is None
        assert (sampled.teardown, sampled.retried) == (True, ())
        assert sampled.tokens is not None
        assert sampled.tokens.produced == (16 if case_id.startswith("generate") else 1)
    for case_id in MEASURED[:2]:
        sampled = records[case_id].measurement
        assert sampled.device_note == "a CPU has no device clock"
        # Two layers: some hundred calls of ATen, some thousand of Python, the same each time.
        assert sampled.counts is not None
        assert 50 < (sampled.counts.aten_ops or 0) < 1_000
        assert 500 < (sampled.counts.python_calls or 0) < 20_000
        assert sampled.counts.launches is sampled.counts.syncs is sampled.counts.allocated_bytes is None
    generated = records["generate-b1-p32-n16-fp32-eager"].measurement
    assert generated.device_note == "generate() is timed on the wall; its steps are cases of their own"
    assert generated.counts is None
    assert generated.first_token_s is not None
    assert len(generated.first_token_s) == len(generated.wall_s) == 3


@pytest.mark.parametrize("case_id", MEASURED)
def test_pytest_benchmark_keeps_the_same_samples(lane_run: LaneRun, case_id: str) -> None:
    (one,) = (r for r in lane_run.folder.records() if r.case.id == case_id)
    stats = lane_run.benchmark(case_id)["stats"]

    assert tuple(stats["data"]) == one.measurement.wall_s
    assert stats["rounds"] == len(one.measurement.wall_s)


@pytest.mark.parametrize("case_id", MEASURED)
def test_pytest_benchmark_carries_the_bound(lane_run: LaneRun, case_id: str) -> None:
    (one,) = (r for r in lane_run.folder.records() if r.case.id == case_id)
    told = lane_run.benchmark(case_id)["extra_info"]

    assert told["case"] == case_id
    assert (told["model"], told["gpu"]) == ("tiny", "cpu")
    assert told["device_s"] is told["device_fraction"] is None
    assert told["conditions"] is None
    assert (told["counts"] is None) is case_id.startswith("generate")
    lower_s = told["bound"]["lower_s"]
    assert lower_s > 0
    assert told["wall_fraction"] > 0
    assert told["mfu"] > 0
    assert told["mbu"] > 0
    assert told["tokens_per_s"] > 0
    # The bound shown beside a test is that of its own ceilings.
    assert told["wall_fraction"] * median(one.measurement.wall_s) == pytest.approx(lower_s)
    assert told["bound"]["flops"] > 0


def test_the_tools_that_track_benchmarks_read_the_wall(lane_run: LaneRun) -> None:
    text = (lane_run.place.home / "bench.json").read_text(encoding="utf-8")
    walls = {r.case.id: r.measurement.wall_s for r in lane_run.folder.records()}

    for point in (*bencher(text, average="median"), *bencher(text), *github_action_benchmark(text)):
        case_id = point.name.partition("[")[2].removesuffix("]")
        seconds = 1 / point.value if point.higher_is_better else point.value / 1e9
        assert min(walls[case_id]) <= seconds <= max(walls[case_id])
    assert len(bencher(text)) == len(github_action_benchmark(text)) == len(MEASURED)


def test_junit_says_the_verdict(lane_run: LaneRun) -> None:
    for case_id in MEASURED:
        assert lane_run.junit.properties[f"test_verdict[{case_id}]"]["verdict"] == "no_baseline"
    assert lane_run.junit.failures == 0


def test_missing_baselines_are_stored(lane_run: LaneRun) -> None:
    store = lane_run.place.home / "store"

    assert "--perf-update missing: stored 3 baselines in" in lane_run.done.out
    for one in lane_run.folder.records():
        baseline = read(Baseline, store / "cpu" / "tiny" / f"{one.case.id}.json")
        assert baseline.hard == one.hard
        assert [s.wall_s for s in baseline.sessions] == [one.measurement.wall_s]


# --- verdicts from stored records: no torch, no GPU --------------------------

CASE = "decode-b1-c512-fp16-eager"
DEVICE_S = 0.0080
WALL_S = 0.040
# The spread between five sessions on a quiet H100: 0.15 %.
SESSIONS = (0.9985, 0.9995, 1.0, 1.0005, 1.0015)


def tampered(factor: float, *, run: str = "now") -> Record:
    return record(CASE, wall_s=WALL_S * factor, device_s=DEVICE_S * factor, run=run)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a store of five sessions of CASE."""
    sessions = [tampered(factor, run=f"session-{i}") for i, factor in enumerate(SESSIONS)]
    Store(tmp_path / "store").write(sessions, written="2026-11-22", command="test")
    return tmp_path


def confirmed_run(home: Path, *records: Record) -> RunFolder:
    """A run whose suspects fresh processes measured just so again."""
    for number in range(1, POLICY.rounds + 1):
        run_folder(home / "run" / "confirmations" / str(number), records)
    return run_folder(home / "run", records)


def judged(place: Place, home: Path, *records: Record, options: tuple[str, ...] = ()) -> tuple[Done, Junit]:
    confirmed_run(home, *records)
    done = place.pytest(
        *(*place.without_torch(), "perf_tests/test_verdict.py", "--perf-run", home / "run"),
        *("--perf-baselines", home / "store", f"--junitxml={home}/junit.xml", *options),
    )
    return done, read_junit(home / "junit.xml")


def test_unchanged_records_pass_without_torch(place: Place, home: Path) -> None:
    before = {p: p.read_bytes() for p in home.rglob("*.json")}
    done, junit = judged(place, home, tampered(1.0))

    assert done.rc == 0, done.out
    assert junit.names == (f"test_verdict[{CASE}]",)
    assert junit.properties[junit.names[0]]["verdict"] == "pass"
    assert {p: p.read_bytes() for p in before} == before
    # Judging an earlier run does not rewrite what was said of it.
    assert not (home / "run" / "verdicts.json").exists()


@pytest.mark.parametrize(
    ("factor", "status", "numbers"),
    [
        (
            1.03,
            "regressed",
            (
                "device time 8.240 ms: +3.00 % against 8.000 ms, the mean of 5 sessions (+3.00 %, ",
                "in 3 fresh",
            ),
        ),
        (1.6, "below_band", ("lower_s/device_s 0.333 < 0.47, below the band 0.47 to 0.62", "12.800 ms")),
        (0.3, "impossible", ("device time 2.400 ms < 4.", "the measurement is broken")),
    ],
)
def test_a_tampered_record_fails(
    place: Place, home: Path, factor: float, status: str, numbers: tuple[str, ...]
) -> None:
    done, junit = judged(place, home, tampered(factor))
    name = f"test_verdict[{CASE}]"

    assert done.rc == 1, done.out
    assert (junit.failures, junit.names) == (1, (name,))
    assert junit.properties[name]["verdict"] == status
    said = junit.messages[name]
    assert said.strip().removeprefix("Failed: ").startswith(f"{status}: ")
    for text in numbers:
        assert text in said
    assert f"FAILED perf_tests/test_verdict.py::{name}" in done.out
    # pytest's own frames, and its word on them, say nothing of the case.
    assert "test_verdict.py:" not in said
    assert "traceback" not in said
    if status == "regressed":
        assert str(home / "store" / "h100-sxm" / "mistral-7b-v0.1" / f"{CASE}.json") in said
        assert f"python -m baselines refresh --sessions 5 -m gpu -k {CASE}" in said


def test_the_change_that_passes_and_the_change_that_fails_are_close(place: Place, home: Path) -> None:
    """0.4 % is within what is claimed of nothing."""
    done, junit = judged(place, home, tampered(1.004))

    assert done.rc == 0, done.out
    assert junit.properties[f"test_verdict[{CASE}]"]["verdict"] == "pass"


def test_without_a_baseline_only_strict_fails(place: Place, home: Path) -> None:
    (home / "store").rename(home / "elsewhere")
    done, junit = judged(place, home, tampered(1.0), options=("--perf-strict",))

    assert done.rc == 1
    assert junit.properties[f"test_verdict[{CASE}]"]["verdict"] == "no_baseline"
    assert "no baseline is stored for this case" in junit.messages[f"test_verdict[{CASE}]"]
    relaxed = place.pytest(
        *(*place.without_torch(), "perf_tests/test_verdict.py", "--perf-run", home / "run"),
        *("--perf-baselines", home / "store"),
    )
    assert relaxed.rc == 0


def test_a_damaged_baseline_fails_its_own_case_alone(place: Place, home: Path) -> None:
    other = "decode-b1-c128-fp16-eager"
    damaged = Store(home / "store").path(tampered(1.0))
    damaged.write_text(damaged.read_text(encoding="utf-8")[:100], encoding="utf-8")
    before = damaged.read_bytes()
    done, junit = judged(
        place,
        home,
        tampered(1.0),
        record(other, wall_s=WALL_S, device_s=DEVICE_S),
    )

    assert done.rc == 1
    assert f"FAILED perf_tests/test_verdict.py::test_verdict[{CASE}]" in done.out
    assert str(damaged) in junit.messages[f"test_verdict[{CASE}]"]
    assert "not JSON, or cut short" in junit.messages[f"test_verdict[{CASE}]"]
    assert junit.properties[f"test_verdict[{other}]"]["verdict"] == "no_baseline"
    assert damaged.read_bytes() == before


def test_measure_items_of_an_earlier_run_skip(place: Place, home: Path) -> None:
    """A whole `pytest --perf-run` measures nothing, and judges."""
    done, junit = judged(place, home, tampered(1.0), options=("perf_tests/test_decode.py",))

    assert done.rc == 0, done.out
    assert junit.names == (f"test_decode[{CASE}]", f"test_verdict[{CASE}]")
    assert "records are read from" in junit.messages[f"test_decode[{CASE}]"]


# --- a lane that was asked for, and cannot run -------------------------------


@pytest.mark.usefixtures("torch_installed")
def test_the_gpu_lane_without_a_gpu_fails_and_says_why(place: Place) -> None:
    done = place.pytest("-m", "gpu", "-k", "b1", "perf_tests/test_decode.py", "perf_tests/test_verdict.py")

    assert done.rc == 1
    assert "roofgate: -m gpu was asked for, and nothing of it ran" in done.out
    assert any(why in done.out for why in ("is built without CUDA", "finds no usable GPU"))
    assert "passed" not in done.out.splitlines()[-1]


def test_the_gpu_lane_without_a_gpu_may_be_allowed(place: Place) -> None:
    """Here without torch too: the reason is that one."""
    options = (*place.without_torch(), "-m", "gpu", "-k", "b1", "perf_tests/test_decode.py")
    refused = place.pytest(*options)
    allowed = place.pytest(*options, "--perf-allow-no-gpu")

    assert (refused.rc, allowed.rc) == (1, 0)
    for done in (refused, allowed):
        assert "torch is not installed: pip install -e '.[torch]'" in done.out
        assert "-m gpu was asked for, and nothing of it ran" in refused.out
    assert not (place.root / "runs").exists()


def test_a_plain_run_skips_what_cannot_run_with_the_reason(place: Place) -> None:
    done = place.pytest(*place.without_torch(), "perf_tests/test_decode.py", "perf_tests/test_verdict.py")

    assert done.rc == 0, done.out
    assert "torch is not installed: pip install -e '.[torch]'" in done.out
    assert "nothing was measured in this session, and no run was named with --perf-run" in done.out
    assert " passed" not in done.out


@pytest.mark.parametrize("expression", ["not gpu", "not (cpu or gpu)"])
def test_a_lane_that_was_deselected_is_not_missed(place: Place, expression: str) -> None:
    done = place.pytest(
        *(*place.without_torch(), "-m", expression, "-k", "test_text or c128"),
        *("perf_tests/test_decode.py", "perf_tests/bounds/test_text.py"),
    )

    assert "was asked for, and nothing of it ran" not in done.out.replace("-m cpu", "") or "cpu" in expression
    assert "-m gpu was asked for" not in done.out


@pytest.mark.parametrize(
    ("options", "others"),
    [
        (("-m", "gpu"), False),
        (("-m", "gpu", "perf_tests"), False),
        (("-m", "gpu or cpu", "perf_tests"), True),
        (("-m", "gpu", "perf_tests", "perf_tests/bounds/test_text.py"), True),
    ],
)
def test_a_lane_reads_no_other_tests_unless_they_are_named(
    place: Place, options: tuple[str, ...], *, others: bool
) -> None:
    done = place.pytest(*options, "--collect-only", "-q")
    read = int(re.findall(r"\d+/(\d+) tests collected", done.out)[-1])
    # Of each case an item that measures and one that judges, of either lane.
    of_lanes = 2 * sum(len(lane_cases(lane)) for lane in LANES)

    assert (read > of_lanes) == others
    assert others or read == of_lanes


# --- refusals ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--benchmark-only",), "--benchmark-only would skip the verdicts; leave it out"),
        (("--benchmark-skip",), "--benchmark-skip would measure nothing; leave it out"),
        (("--benchmark-disable",), "--benchmark-disable would measure nothing; leave it out"),
        (
            ("--perf-model", "mistral-7b-v0.9"),
            "unknown model (neither a preset nor a file) 'mistral-7b-v0.9'. Nearest: mistral-7b-v0.",
        ),
        (
            ("--perf-model", "mistral-7b-v0.1", "--perf-checkpoint", "x"),
            "--perf-checkpoint brings its own config: leave --perf-model out",
        ),
        (("--perf-run", "EMPTY"), "EMPTY: not a run's folder: it has no run.json"),
        (("--perf-run", "NO-RECORD"), "--perf-run NO-RECORD: the run holds no record to judge"),
        (
            ("--perf-run", "HELD", "--perf-cases", "x.toml"),
            "--perf-run judges the cases of an earlier run: leave --perf-cases out",
        ),
        (("--perf-out", "HELD"), "--perf-out HELD: already holds a run; name a new folder"),
        (
            ("--perf-run", "HELD", "--perf-out", "x"),
            "--perf-run judges an earlier run, --perf-out keeps a new one",
        ),
    ],
    ids=lambda value: value[0] if len(value) < 3 else "",
)
def test_what_makes_no_sense_is_refused(
    place: Place, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    (tmp_path / "EMPTY").mkdir()
    run_folder(tmp_path / "NO-RECORD", ())
    run_folder(tmp_path / "HELD", [tampered(1.0)])

    def placed(text: str) -> str:
        for name in ("EMPTY", "NO-RECORD", "HELD"):
            text = text.replace(name, str(tmp_path / name))
        return text

    before = place.files()
    done = place.pytest(
        *(*place.without_torch(), "-m", "cpu", "perf_tests/test_decode.py", "perf_tests/test_verdict.py"),
        *(placed(option) for option in options),
    )

    assert done.rc == USAGE_ERROR, done.out
    assert placed(said) in done.line("ERROR: ")
    assert "Traceback" not in done.out
    # pytest-benchmark makes its own folder of saved runs, empty.
    assert place.files() - before <= {".benchmarks"}


@pytest.mark.parametrize("option", ["--benchmark-skip", "--benchmark-disable", "--benchmark-only"])
def test_they_are_welcome_where_nothing_is_measured(place: Place, option: str) -> None:
    done = place.pytest(option, *place.without_torch(), "perf_tests/bounds/test_text.py")

    assert done.rc == 0, done.out


WORKER = "def pytest_configure(config): config.workerinput = {}"


@pytest.mark.usefixtures("torch_installed")
def test_a_worker_of_xdist_measures_nothing(place: Place) -> None:
    """-n itself is seen by xdist's controller alone, which collects nothing."""
    done = place.pytest(
        *place.plugin("as_worker", WORKER), "-m", "cpu", "-k", "b1 and c128", "perf_tests/test_decode.py"
    )

    assert done.rc == 1
    assert "pytest-xdist would measure cases side by side; run without -n" in done.out
    assert "1 error" in done.out


@pytest.mark.long
def test_xdist_is_refused(place: Place) -> None:
    pytest.importorskip("xdist")
    done = place.pytest("-n", "2", "-m", "cpu", "-k", "b1", "perf_tests/test_decode.py")

    assert done.rc == 1
    assert "pytest-xdist would measure cases side by side; run without -n" in done.out


# --- what costs nothing ------------------------------------------------------

LOADED = """
import sys
def pytest_unconfigure(config):
    print("LOADED", *(m for m in ("torch", "transformers", "pandas", "matplotlib") if m in sys.modules))
"""


@pytest.mark.parametrize("option", ["--collect-only", "--help"])
def test_listing_loads_nothing_heavy_and_makes_no_folder(place: Place, option: str) -> None:
    """All files are collected, those of the harness's tests too."""
    before = place.files()
    ignored = ("--ignore=perf_tests/selftests/test_reports.py",)  # draws, so it imports matplotlib
    done = place.pytest(*place.plugin("what_is_loaded", LOADED), option, "-q", *ignored, "-m", "cpu or gpu")

    assert done.rc == 0, done.out
    loaded = done.line("LOADED").split()
    assert "torch" not in loaded
    assert "transformers" not in loaded
    # pytest-benchmark begins its own store, if it is not there yet.
    assert place.files() - {".benchmarks"} == before - {".benchmarks"}
    if option == "--collect-only":
        assert "test_decode[decode-b1-c128-fp16-eager]" in done.out
    else:
        assert "--perf-allow-no-gpu" in done.out


# --- verdicts that no item gives, and --perf-update: the session's end --------


class Session:
    """What baselines.plugin reads of pytest's session."""

    def __init__(self, perf: plugin.PerfState, *, update: str | None = None) -> None:
        options = {"--perf-strict": False, "--perf-update": update}
        self.exitstatus: int = pytest.ExitCode.OK
        self.notes: list[str] = []
        stash = pytest.Stash()
        stash[plugin.STATE] = perf
        stash[plugin.NOTES] = self.notes
        self.config = SimpleNamespace(stash=stash, getoption=options.__getitem__)

    def finish(self) -> None:
        plugin.pytest_sessionfinish(self)


@pytest.fixture
def perf(home: Path) -> plugin.PerfState:
    folder = confirmed_run(home, tampered(1.03))
    return plugin.PerfState(store=Store(home / "store"), folder=folder, stored=False, opened=True)


def test_a_failing_verdict_that_no_item_gave_fails_the_run(perf: plugin.PerfState) -> None:
    session = Session(perf)
    session.finish()

    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    assert session.notes == [f"failing verdicts that no test item gave: {CASE}"]
    assert perf.folder is not None
    assert perf.folder.info().exit_status == 1
    assert [v.status for v in perf.folder.verdicts()] == [Status.REGRESSED]


def test_verdicts_that_cannot_be_stored_are_given_and_fail_the_run(
    perf: plugin.PerfState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    perf.judged_items.add(CASE)
    monkeypatch.setattr(RunFolder, "write_verdicts", full)
    session = Session(perf)

    assert [v.status for v in perf.judge().verdicts] == [Status.REGRESSED]
    session.finish()
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    assert session.notes == ["the verdicts could not be stored: [Errno 28] No space left on device"]


def test_a_failing_verdict_that_an_item_gave_is_left_to_it(perf: plugin.PerfState) -> None:
    perf.judged_items.add(CASE)
    session = Session(perf)
    session.finish()

    assert (session.exitstatus, session.notes) == (pytest.ExitCode.OK, [])


def test_a_damaged_baseline_that_no_item_met_fails_the_run(perf: plugin.PerfState) -> None:
    unread = Verdict(case=CASE, status=Status.INCOMPARABLE, reasons=("cut short",), damaged=True)
    perf.judged = Judged(derived=(), verdicts=(unread,), shift=None, suspects=(), policy_digest="")
    session = Session(perf)
    session.finish()

    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED


def test_a_report_that_fails_is_known_before_a_baseline_is_stored(pytestconfig: pytest.Config) -> None:
    """Hooks are called from the last of the list to the first."""
    order = [i.plugin_name for i in pytestconfig.hook.pytest_sessionfinish.get_hookimpls()]
    lanes, report, baselines = map(
        order.index, ("perf_tests.collecting", "reports.plugin", "baselines.plugin")
    )

    assert lanes > report > baselines


@pytest.mark.parametrize("table", ["bands", "allowed_changes"])
def test_a_bad_table_is_said_before_anything_is_measured(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad() -> None:
        raise FormatError(f"{table}.toml: row 1: gpu is missing")

    monkeypatch.setattr(plugin, table, bad)
    config: Any = SimpleNamespace(getoption=lambda _: None, rootpath=tmp_path, stash=pytest.Stash())

    with pytest.raises(pytest.UsageError, match=rf"{table}\.toml: row 1: gpu is missing"):
        plugin.pytest_configure(config)


@pytest.fixture
def fresh(tmp_path: Path) -> plugin.PerfState:
    """A run of two cases, one with a baseline."""
    kept, new = tampered(1.0), record("decode-b1-c128-fp16-eager", wall_s=WALL_S, device_s=DEVICE_S)
    store = Store(tmp_path / "store")
    store.write([replace(kept, run="before")], written="2026-11-22", command="test")
    return plugin.PerfState(
        store=store, folder=run_folder(tmp_path / "run", [kept, new]), stored=False, opened=True
    )


def test_only_missing_baselines_are_stored_and_only_once(fresh: plugin.PerfState) -> None:
    first = Session(fresh, update="missing")
    first.finish()
    stored = {p.name: p.read_bytes() for p in fresh.store.root.rglob("*.json")}
    second = Session(fresh, update="missing")
    second.finish()

    assert first.notes == [f"--perf-update missing: stored 1 baseline in {fresh.store.root}"]
    assert second.notes == [f"--perf-update missing: stored 0 baselines in {fresh.store.root}"]
    assert set(stored) == {f"{CASE}.json", "decode-b1-c128-fp16-eager.json"}
    assert {p.name: p.read_bytes() for p in fresh.store.root.rglob("*.json")} == stored
    kept = fresh.store.load(tampered(1.0))
    assert kept is not None
    assert [s.run for s in kept.sessions] == ["before"]


def test_a_store_that_another_writes_is_said_and_the_end_of_the_run_is_kept(
    fresh: plugin.PerfState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "locked", partial(locked, wait_s=0))
    session = Session(fresh, update="missing")
    with locked(fresh.store.root):
        session.finish()

    (note,) = session.notes
    assert note.startswith(
        f"--perf-update missing: not stored: {fresh.store.root} is being written by process "
    )
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    assert fresh.folder is not None
    assert fresh.folder.info().exit_status == pytest.ExitCode.TESTS_FAILED
    assert len(list(fresh.store.root.rglob("*.json"))) == 1


def test_a_run_that_failed_stores_nothing(fresh: plugin.PerfState) -> None:
    session = Session(fresh, update="missing")
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
    session.finish()

    assert session.notes == ["--perf-update missing: nothing stored, the run did not pass"]
    assert len(list(fresh.store.root.rglob("*.json"))) == 1


@pytest.mark.parametrize(
    ("dirty", "why", "said"),
    [(True, "", "the tree has local changes"), (False, "slowed on purpose by x", "slowed on purpose by x")],
)
def test_what_a_refresh_would_refuse_stores_nothing(
    fresh: plugin.PerfState,
    dirty: bool,  # noqa: FBT001 - a parameter of the table
    why: str,
    said: str,
) -> None:
    assert fresh.folder is not None
    fresh.folder.write_info(replace(fresh.folder.info(), dirty=dirty))
    if why:
        fresh.folder.disown(why)
    session = Session(fresh, update="missing")
    session.finish()

    assert session.notes[0].startswith(f"--perf-update missing: nothing stored, {said}")
    assert len(list(fresh.store.root.rglob("*.json"))) == 1


def test_an_invalid_measurement_is_not_stored(fresh: plugin.PerfState) -> None:
    verdicts = tuple(replace(v, status=Status.INVALID) for v in fresh.judge().verdicts)
    fresh.judged = replace(fresh.judge(), verdicts=verdicts)
    session = Session(fresh, update="missing")
    session.finish()

    assert session.notes == [f"--perf-update missing: stored 0 baselines in {fresh.store.root}"]


def test_the_store_is_not_asked_for_where_no_run_was_made(tmp_path: Path) -> None:
    session = Session(plugin.PerfState(store=Store(tmp_path / "store"), folder=None, stored=False))
    session.finish()

    assert (session.exitstatus, session.notes) == (pytest.ExitCode.OK, [])
    assert list(tmp_path.iterdir()) == []
