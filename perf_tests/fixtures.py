"""The fixtures that measure a case and give its verdict."""

import datetime as dt
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from analytic import Bound, Case, SpecError, text
from baselines.codec import FormatError
from baselines.passwords import without_password
from baselines.plugin import NOTES, PerfState, state
from baselines.record import Record
from baselines.run import Planned, RunFolder, RunInfo
from baselines.verdict import Verdict, not_measured
from perf_tests.cases import default_model
from perf_tests.collecting import SAID, case_file, case_of, is_measure, lane_of
from perf_tests.confirming import Confirming

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
        from perf_tests.gpu_lock import GpuBusyError

        try:
            harnesses[lane] = _open_harness(lane, pytestconfig)
        except GpuBusyError as error:  # said once, not by every item
            pytest.exit(str(error), returncode=pytest.ExitCode.TESTS_FAILED)
        except SpecError as error:
            harnesses[lane] = error
    if isinstance(harnesses[lane], SpecError):
        pytest.fail(str(harnesses[lane]), pytrace=False)
    return harnesses[lane]


def _open_harness(lane: str | None, config: pytest.Config) -> Any:
    from baselines.commit import commit
    from perf_tests.checkpoint import checkpoint_source, random_source
    from perf_tests.device import open_device
    from perf_tests.harness import Harness

    if name := config.getoption("--perf-checkpoint"):
        source = checkpoint_source(name, trust_remote_code=config.getoption("--perf-trust-remote-code"))
    else:
        source = random_source(
            config.getoption("--perf-model") or default_model(lane, file=case_file(config))
        )
    device = open_device(lane)
    _obey_sigterm(config)
    return Harness(device=device, source=source, commit=commit(config.rootpath))


def _obey_sigterm(config: pytest.Config) -> None:
    """From now on SIGTERM ends the session as Ctrl-C does: what was measured is
    judged and reported, and the GPU's lock is freed."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may

    def stop(*_: object) -> NoReturn:
        config.stash[NOTES].append("stopped by SIGTERM; what was measured before it is kept")
        raise KeyboardInterrupt("SIGTERM")

    earlier = signal.signal(signal.SIGTERM, stop)
    config.add_cleanup(lambda: signal.signal(signal.SIGTERM, earlier))


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
        command=without_password(" ".join(["pytest", *map(str, config.invocation_params.args)])),
        planned=tuple(planned),
    )
    try:
        perf.folder.start(info)
    except (FormatError, OSError) as error:  # nothing that is measured could be kept
        pytest.exit(f"--perf-out {perf.folder.path}: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    perf.opened = True
    perf.remeasure = Confirming(request.session, free=lambda: _free(config)).measure_again
    return perf.folder


def _free(config: pytest.Config) -> None:
    """Gives the models' memory back; a harness that is used again loads its own."""
    for opened in config.stash.get(HARNESSES, {}).values():
        if not isinstance(opened, SpecError):
            opened.close()


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
        if not perf.opened:
            continue
        pytestconfig.stash[NOTES].append(_spent(opened))
        try:
            if opened.ceilings is not None:
                perf.folder.write_ceilings(opened.ceilings)
            info = perf.folder.info()
            perf.folder.write_info(replace(info, spent_s={**info.spent_s, **opened.spent.seconds}))
        except OSError as error:
            pytestconfig.stash[NOTES].append(f"the run's own file could not be stored: {error}")


def _spent(harness: Any) -> str:
    """Where the measuring's time went, longest first."""
    seconds = harness.spent.seconds
    parts = sorted(seconds.items(), key=lambda item: -item[1])
    told = ", ".join(f"{work} {text.seconds(spent_s)}" for work, spent_s in parts)
    return f"{harness.device.key}: measured for {text.seconds(sum(seconds.values()))}: {told}"


@pytest.fixture
def measure(
    case: Case,
    harness: Any,
    run_folder: RunFolder,
    request: pytest.FixtureRequest,
) -> Callable[[Bound], Record]:
    """Measures the test's case and keeps its record. Skips what cannot run here,
    with the reason, and fails where measuring failed."""
    if case.model != harness.source.spec.name:
        raise pytest.UsageError(
            f"{case.id} is of {case.model}, the session measures {harness.source.spec.name}: "
            "name the model with --perf-model"
        )

    def measure_case(bound: Bound) -> Record:
        __tracebackhide__ = True
        planned = None if harness.lost else harness.plan(case)
        skip = harness.lost if planned is None else planned.skip and f"{case.id} {planned.skip}"
        if skip:
            _note_not_run(run_folder, case, planned.skip if planned else skip)
            pytest.skip(skip)
        found = _record(harness, case, run_folder, request, predicted_bytes=planned.footprint_bytes)
        if isinstance(found, str):  # failed outside of `except`: pytest keeps a traceback, and it the model
            _note_not_run(run_folder, case, found)
            pytest.fail(found, pytrace=False)
        _tell(request, found, bound)
        return found

    return measure_case


def _record(
    harness: Any, case: Case, run_folder: RunFolder, request: pytest.FixtureRequest, *, predicted_bytes: int
) -> Record | str:
    """The case's record, measured and stored; why there is none, in words."""
    from perf_tests.harness import ContextLostError, MeasuringError
    from perf_tests.rounds import time_rounds

    def timer(step: Any, rounds: int) -> tuple[list[float], Any]:
        # Not before: a benchmark that was asked for and not used is a warning.
        return time_rounds(request.getfixturevalue("benchmark"), step, rounds)

    run_id = run_folder.info().id
    try:
        record: Record = harness.measure(case, timer, run_id=run_id, predicted_bytes=predicted_bytes)
        run_folder.write_record(record)
    except ContextLostError as error:
        request.config.stash[NOTES].append(str(error))
        return str(error)
    except MeasuringError as error:
        return str(error)
    except OSError as error:
        return f"{case.id} was measured, and its record could not be stored: {error}"
    return record


def _note_not_run(run_folder: RunFolder, case: Case, reason: str) -> None:
    """Also where the disk is full: the failing item says the reason then."""
    try:
        run_folder.note_not_run(case, reason)
    except OSError:
        return


def _tell(request: pytest.FixtureRequest, record: Record, bound: Bound) -> None:
    """Puts the bound, the fractions and the GPU's state beside pytest-benchmark's
    own figures, and the times on the item's line."""
    from baselines.codec import to_json
    from baselines.derived import derive

    derived = derive(record, record.ceilings)
    sampled = derived.record.measurement
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
        counts=to_json(sampled.counts),
        conditions=to_json(sampled.conditions),
    )
    said = (
        f"bound {text.seconds(bound.lower_s)}, device {text.seconds(derived.device_s)}, "
        f"wall {text.seconds(derived.wall_s)}"
    )
    request.node.user_properties.append((SAID, said))


@pytest.fixture
def verdict(case: Case, lane: str | None, pytestconfig: pytest.Config) -> Verdict:
    """The verdict of a case of this run."""
    perf: PerfState = state(pytestconfig)
    if not perf.has_run:
        why = "nothing was measured in this session, and no run was named with --perf-run"
        allowed = lane == "gpu" and pytestconfig.getoption("--perf-allow-no-gpu")
        if allowed or not pytestconfig.getoption("--perf-strict"):
            pytest.skip(why)
        return not_measured(case.id, why)
    try:
        judged = perf.judge()
    except (FormatError, SpecError, OSError) as error:
        pytest.fail(str(error), pytrace=False)
    perf.judged_items.add(case.id)
    unselected = not_measured(case.id, "its measure item was not selected in this session")
    return next((v for v in judged.verdicts if v.case == case.id), unselected)
