"""The fixtures that measure a case and give its verdict."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analytic import Bound, Case, SpecError, text
from baselines.codec import FormatError
from baselines.plugin import PerfState, state
from baselines.record import Record
from baselines.run import Planned, RunFolder, RunInfo
from baselines.verdict import Verdict, not_measured
from perf_tests.cases import default_model
from perf_tests.collecting import SAID, case_file, case_of, is_measure, lane_of

HARNESSES = pytest.StashKey[dict[str, Any]]()


@pytest.fixture
def harness(lane: str | None, pytestconfig: pytest.Config) -> Any:
    """The lane's harness; skips with the reason where it cannot run here. A test
    of no lane gets the CPU's."""
    lane = lane or "cpu"
    from perf_tests.gpu_presence import gpu_problem, torch_problem

    problem = gpu_problem() if lane == "gpu" else torch_problem()
    if problem:
        pytest.skip(problem)
    # Set in the workers of pytest-xdist, where -n itself is not to be seen.
    if hasattr(pytestconfig, "workerinput"):
        raise pytest.UsageError("pytest-xdist would measure cases side by side; run without -n")
    harnesses = pytestconfig.stash.setdefault(HARNESSES, {})
    if lane not in harnesses:
        try:
            harnesses[lane] = _open_harness(lane, pytestconfig)
        except SpecError as error:
            harnesses[lane] = error
    if isinstance(harnesses[lane], SpecError):
        pytest.fail(str(harnesses[lane]), pytrace=False)
    return harnesses[lane]


def _open_harness(lane: str | None, config: pytest.Config) -> Any:
    from perf_tests.checkpoint import checkpoint_source, random_source
    from perf_tests.device import open_device
    from perf_tests.fingerprint import commit
    from perf_tests.harness import Harness

    if name := config.getoption("--perf-checkpoint"):
        source = checkpoint_source(name)
    else:
        source = random_source(
            config.getoption("--perf-model") or default_model(lane, file=case_file(config))
        )
    return Harness(device=open_device(lane), source=source, commit=commit(config.rootpath))


@pytest.fixture
def run_folder(harness: Any, request: pytest.FixtureRequest) -> RunFolder:
    """The folder of this session's run, made when its first case is to be measured."""
    config = request.config
    perf = state(config)
    if perf.folder is not None and perf.opened:
        return perf.folder
    now = dt.datetime.now(dt.UTC)
    run_id = f"{now:%Y%m%dT%H%M%S}-{harness.commit.hash}"
    if perf.folder is None:
        perf.folder = RunFolder(_fresh(config.rootpath / "runs" / run_id))
    from perf_tests.gpu_presence import gpu_problem

    measured = [item for item in request.session.items if is_measure(item)]
    no_gpu = gpu_problem() if "gpu" in map(lane_of, measured) else None
    planned = (
        Planned(case=case_of(item), lane=lane_of(item), not_run=no_gpu if lane_of(item) == "gpu" else None)
        for item in measured
    )
    info = RunInfo(
        id=run_id,
        started=now.isoformat(timespec="seconds"),
        commit=harness.commit.hash,
        dirty=harness.commit.dirty,
        command=" ".join(["pytest", *map(str, config.invocation_params.args)]),
        planned=tuple(planned),
    )
    try:
        perf.folder.start(info)
    except FormatError as error:
        raise pytest.UsageError(str(error)) from error
    perf.opened = True
    return perf.folder


def _fresh(path: Path) -> Path:
    """`path`, with a number behind it if a run of the same second is there."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


@pytest.fixture(scope="session", autouse=True)
def _close_harnesses(pytestconfig: pytest.Config) -> Iterator[None]:
    """Frees the models at the end of the session, and keeps the ceilings with the
    run: of two lanes the GPU's, as a CPU's drift from record to record."""
    yield
    perf = state(pytestconfig)
    for _, opened in sorted(pytestconfig.stash.get(HARNESSES, {}).items()):
        if isinstance(opened, SpecError):
            continue
        opened.close()
        if perf.opened and opened.ceilings is not None:
            perf.folder.write_ceilings(opened.ceilings)


@pytest.fixture
def measure(
    case: Case,
    harness: Any,
    run_folder: RunFolder,
    request: pytest.FixtureRequest,
) -> Callable[[Bound], Record]:
    """Measures the test's case and keeps its record. Skips what cannot run here,
    with the reason, and fails where measuring failed."""
    from perf_tests.harness import MeasuringError

    if case.model != harness.source.spec.name:
        raise pytest.UsageError(
            f"{case.id} is of {case.model}, the session measures {harness.source.spec.name}: "
            "name the model with --perf-model"
        )

    def timer(step: Any, rounds: int) -> tuple[list[float], Any]:
        # Not before: a benchmark that was asked for and not used is a warning.
        benchmark = request.getfixturevalue("benchmark")
        output = benchmark.pedantic(step.run, setup=step.reset, rounds=rounds, iterations=1)
        return list(benchmark.stats.stats.data), output

    def measure_case(bound: Bound) -> Record:
        __tracebackhide__ = True
        planned = harness.plan(case)
        if planned.skip:
            run_folder.note_not_run(case, planned.skip)
            pytest.skip(f"{case.id} {planned.skip}")
        run_id, failure = run_folder.info().id, ""
        try:
            record = harness.measure(case, timer, run_id=run_id, predicted_bytes=planned.footprint_bytes)
        except MeasuringError as error:
            failure = str(error)
        if failure:  # failed outside of `except`: pytest keeps a traceback, and it the model
            run_folder.note_not_run(case, failure)
            pytest.fail(failure, pytrace=False)
        run_folder.write_record(record)
        _tell(request, record, bound)
        return record

    return measure_case


def _tell(request: pytest.FixtureRequest, record: Record, bound: Bound) -> None:
    """Puts the bound, the fractions and the GPU's state beside pytest-benchmark's
    own figures, and the times on the item's line."""
    from baselines.codec import to_json
    from baselines.derived import derive

    derived = derive(record, record.ceilings)
    sampled = record.measurement
    request.getfixturevalue("benchmark").extra_info.update(
        case=record.case.id,
        model=record.case.model,
        gpu=record.gpu,
        bound=to_json(bound),
        device_s=to_json(sampled.device_s),
        device_fraction=derived.device_fraction,
        wall_fraction=derived.wall_fraction,
        mfu=derived.mfu,
        mbu=derived.mbu,
        tokens_per_s=derived.tokens_per_s,
        gpu_state_before=to_json(sampled.state_before),
        gpu_state_after=to_json(sampled.state_after),
    )
    said = (
        f"bound {text.seconds(bound.lower_s)}, device {text.seconds(derived.device_s)}, "
        f"wall {text.seconds(derived.wall_s)}"
    )
    request.node.user_properties.append((SAID, said))


@pytest.fixture
def verdict(case: Case, pytestconfig: pytest.Config) -> Verdict:
    """The verdict of a case of this run."""
    perf: PerfState = state(pytestconfig)
    if not perf.has_run:
        pytest.skip("nothing was measured in this session, and no run was named with --perf-run")
    try:
        judged = perf.judge()
    except (FormatError, SpecError) as error:
        pytest.fail(str(error), pytrace=False)
    perf.judged_items.add(case.id)
    unselected = not_measured(case.id, "its measure item was not selected in this session")
    return next((v for v in judged.verdicts if v.case == case.id), unselected)
