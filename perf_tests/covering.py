"""At the end of a run: whether the store and the tables of cases still belong together."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analytic import SpecError, text
from baselines.codec import FormatError
from baselines.coverage import Coverage, coverage
from baselines.plugin import NOTES, PerfState, state
from baselines.refresh_command import refresh_lane
from baselines.run import Planned
from perf_tests.case_options import OTHER_CASES
from perf_tests.cases import LANES, TABLE, lane_cases
from perf_tests.collecting import planned

# So many names stand in a note.
_NAMED = 3


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(config: pytest.Config) -> None:
    """After --perf-update has filled what gaps it may."""
    perf = state(config)
    # Other cases than the tables' say nothing of the tables.
    if perf.opened and all(config.getoption(option) is None for option in OTHER_CASES):
        try:
            config.stash[NOTES] += _notes(config, perf)
        except (OSError, SpecError) as error:
            config.stash[NOTES].append(f"whether the store fits the cases could not be told: {error}")


def _notes(config: pytest.Config, perf: PerfState) -> Iterator[str]:
    """Of the GPUs and models that were measured. All that the tables plan counts, whatever
    was selected; a case that this machine could not run leaves no gap."""
    derived = perf.judged.derived if perf.judged else ()
    places = dict.fromkeys(perf.store.root / d.record.gpu / d.record.case.model for d in derived)
    if not places:
        return
    not_run = _not_run(perf)
    plan = [replace(p, not_run=not_run.get((p.lane, p.case.id))) for p in planned(config)]
    found = coverage(perf.store, [*plan, *_on_request()], gpus={place.parent.name for place in places})
    for place in places:
        refresh = refresh_lane(place.parent.name, perf.store.root)
        if any(place.glob("*.json")):
            yield from _said(found.within(place), refresh=refresh)
        elif found.within(place).gaps:
            root = perf.store.root
            where = f"in {root}" if root.is_dir() else f"in {root}, which is no folder"
            what = f"no baseline of {place.name} on {place.parent.name} is stored {where}"
            yield f"{what}: {refresh} stores them"


def _on_request() -> Iterator[Planned]:
    """The cases of the tables beside cases.toml: their baselines are no orphans, and
    nobody has to have them."""
    for file in sorted(TABLE.parent.glob("*_cases.toml")):
        for lane in LANES:
            for case in lane_cases(lane, file=file):
                yield Planned(case=case, lane=lane, not_run=f"only by --perf-cases={file.name}")


def _not_run(perf: PerfState) -> dict[tuple[str, str], str]:
    """A run whose own file cannot be read has said so."""
    try:
        kept = perf.folder.info().planned if perf.folder else ()
    except FormatError:
        return {}
    return {(p.lane, p.case.id): p.not_run for p in kept if p.not_run}


def _said(found: Coverage, *, refresh: str) -> Iterator[str]:
    if found.orphans:
        whose = text.counted(len(found.orphans), "baseline has no case", "baselines have no case")
        which, theirs = ("it", "its case") if len(found.orphans) == 1 else ("them", "their cases")
        yield (
            f"{whose} any more: {_named(found.orphans)}; delete {which} or restore {theirs} "
            "(what only options ask for may stay)"
        )
    if found.gaps:
        whose = text.counted(len(found.gaps), "case has", "cases have")
        yield f"{whose} no baseline: {_named(found.gaps)}; {refresh} stores them all"


def _named(paths: Sequence[Path]) -> str:
    rest = len(paths) - _NAMED
    names = [*(path.stem for path in paths[:_NAMED]), *([f"{rest} more"] if rest > 0 else [])]
    return ", ".join(names)
