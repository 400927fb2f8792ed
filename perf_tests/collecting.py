"""Which items there are, in which order, and which lanes have run.

Measure items make records and fail only where measuring failed; verdict items
(test_verdict.py) come last and judge.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from analytic import Case, Phase, SpecError, load_model
from baselines.plugin import NOTES, state
from baselines.run import Planned
from perf_tests.case_options import Asked, read_options, replaced
from perf_tests.cases import LANES, lane_cases

PHASE_MARK = "measures"
VERDICT_MARK = "judges"
# The property of an item that its line on the terminal shows (and JUnit keeps).
SAID = "roofgate"
RAN = pytest.StashKey[dict[str, bool]]()
PLANNED = pytest.StashKey[tuple[Planned, ...]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """A name that is wrong is said once, before anything is collected."""
    planned(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    measures = metafunc.definition.get_closest_marker(PHASE_MARK)
    judges = metafunc.definition.get_closest_marker(VERDICT_MARK)
    if measures is None and judges is None:
        return
    phases = tuple(Phase) if measures is None else (Phase(measures.args[0]),)
    metafunc.parametrize(
        "case",
        [
            pytest.param(p.case, id=p.case.id, marks=getattr(pytest.mark, p.lane))
            for p in planned(metafunc.config)
            if p.case.phase in phases
        ],
    )


def planned(config: pytest.Config) -> tuple[Planned, ...]:
    """The plan, read once: every test function asks for it."""
    if PLANNED not in config.stash:
        config.stash[PLANNED] = tuple(_plan(config))
    return config.stash[PLANNED]


def _plan(config: pytest.Config) -> list[Planned]:
    """The cases of a stored run, else those of every lane, by --perf-cases or
    cases.toml and the options that ask for others."""
    perf = state(config)
    if perf.stored and perf.folder is not None:
        return list(perf.folder.info().planned)
    try:
        name, file = _model_name(config), case_file(config)
        asked = read_options(config.getoption, base=config.invocation_params.dir)
        tables = {lane: lane_cases(lane, model=name, file=file) for lane in _lanes(config, asked)}
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error
    lanes = tables if asked is None else {lane: replaced(cases, asked) for lane, cases in tables.items()}
    for lane, cases in lanes.items():
        if asked is not None and tables[lane] and not cases:
            config.stash[NOTES].append(
                f"{asked.by} leaves no case of the {lane} lane: it has none of such a length"
            )
    return [Planned(case=case, lane=lane) for lane, cases in lanes.items() for case in cases]


def _lanes(config: pytest.Config, asked: Asked | None) -> tuple[str, ...]:
    """Both, but where options ask for cases: lanes that came to have the same ones
    would be told apart by no name, so of `-m gpu` that lane alone is planned."""
    named = config.getoption("markexpr", default="").strip()
    return (named,) if asked is not None and named in LANES else LANES


def case_file(config: pytest.Config) -> Path | None:
    """The file of cases that --perf-cases names; None for cases.toml."""
    given = config.getoption("--perf-cases")
    return Path(given) if given is not None else None


def _model_name(config: pytest.Config) -> str | None:
    if model := config.getoption("--perf-model"):
        if "," in model and not Path(model).exists():
            raise SpecError(f"--perf-model={model}: one model is measured a run; name one")
        return load_model(model).name
    if checkpoint := config.getoption("--perf-checkpoint"):
        from perf_tests.checkpoint import model_name

        return model_name(checkpoint)
    return None


def case_of(item: pytest.Item) -> Case | None:
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    return case if isinstance(case, Case) else None


def lane_of(item: pytest.Item) -> str:
    return next(lane for lane in LANES if item.get_closest_marker(lane))


def is_measure(item: pytest.Item) -> bool:
    return item.get_closest_marker(PHASE_MARK) is not None


def is_verdict(item: pytest.Item) -> bool:
    return item.get_closest_marker(VERDICT_MARK) is not None


def _refuse_twins(measured: list[pytest.Item]) -> None:
    """A run keeps one record a case: its name does not say the lane."""
    seen: dict[str, str] = {}
    for item in measured:
        case, lane = case_of(item), lane_of(item)
        if case is not None and seen.setdefault(case.id, lane) != lane:
            raise pytest.UsageError(f"both lanes have {case.id}; name one of them: -m cpu or -m gpu")


def _drop_without_case(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What pytest makes of a phase without a case is an item that measures nothing."""
    empty = [i for i in items if (is_measure(i) or is_verdict(i)) and case_of(i) is None]
    if empty:
        config.hook.pytest_deselected(items=empty)
        items[:] = [item for item in items if item not in empty]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Measure items by lane, precision and engine, so that a model is loaded once, and
    eager cases before those that compile; verdicts last."""

    def place(item: pytest.Item) -> tuple[Any, ...]:
        if is_verdict(item):
            return (2,)
        case = case_of(item)
        if not is_measure(item) or case is None:
            return (0,)
        engine = (case.engine != "eager", case.engine)
        return (1, LANES.index(lane_of(item)), case.precision, engine, tuple(Phase).index(case.phase))

    _drop_without_case(config, items)
    items.sort(key=place)
    measured = [item for item in items if is_measure(item)]
    if not measured:
        return
    _refuse_twins(measured)
    perf = state(config)
    if perf.stored:
        skip = pytest.mark.skip(reason=f"records are read from {perf.folder.path}")
        for item in measured:
            item.add_marker(skip)
        return
    for flag in ("benchmark_only", "benchmark_skip", "benchmark_disable"):
        if config.getoption(flag, default=False):
            option = f"--{flag.replace('_', '-')}"
            why = "would skip the verdicts" if flag == "benchmark_only" else "would measure nothing"
            raise pytest.UsageError(f"{option} {why}; leave it out, or deselect with -m 'not (cpu or gpu)'")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Notes the lanes that were asked for by name, and have not run yet."""
    config = session.config
    # `-m gpu` asks for the gpu lane; `-m 'not gpu'` leaves none of its items.
    wanted = set(re.findall(r"\w+", config.getoption("markexpr", default="") or ""))
    lanes = {lane for item in session.items for lane in LANES if item.get_closest_marker(lane)}
    if config.option.collectonly:
        lanes.clear()
    config.stash[RAN] = dict.fromkeys(sorted(wanted & lanes), False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    # A verdict item runs nothing of its lane, but where it judges an earlier run.
    counts = not is_verdict(item) or state(item.config).stored
    if counts and call.when == "call" and not report.skipped:
        ran = item.config.stash.get(RAN, {})
        ran.update({lane: True for lane in ran if item.get_closest_marker(lane)})
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Under -v, the times of a measure item and the status of a verdict item."""
    if report.when != "call" or not report.passed:
        return None
    properties = dict(report.user_properties)
    said = properties.get(SAID) or properties.get("verdict")
    return (report.outcome, ".", f"PASSED {said}") if said else None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if not ended or session.shouldstop or session.shouldfail:
        state(config).stop_measuring("the session was stopped")
    for lane, ran in config.stash.get(RAN, {}).items():
        if ran or (lane == "gpu" and config.getoption("--perf-allow-no-gpu")):
            continue
        allow = " (--perf-allow-no-gpu lets that pass)" if lane == "gpu" else ""
        config.stash[NOTES].append(f"-m {lane} was asked for, and nothing of it ran{allow}")
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
