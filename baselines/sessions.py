"""Whether runs may be the sessions of one baseline: of one machine and one code, and not
picked from beside runs of the same code that failed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from analytic import SpecError
from baselines.codec import FormatError
from baselines.comparison import EXPLAINING
from baselines.record import HardKey, Record
from baselines.run import RunFolder
from baselines.verdict import Status

#: The records of each case, one per session.
ByCase = Mapping[str, Sequence[Record]]

# What a run failed by, so that one of the same code that passes is its retry.
FAILED = (Status.REGRESSED, Status.BELOW_BAND, Status.IMPOSSIBLE, Status.SHIFTED, Status.SUSPECT)

# Where a tree is no checkout all commits are called so.
_UNKNOWN = "unknown"


def is_confirmation(run: RunFolder) -> bool:
    """Whether it measured again what was suspect: a few cases, chosen for being slow."""
    return run.path.resolve().parent.name == "confirmations"


def unlike(by_case: ByCase) -> list[str]:
    """What the sessions do not share, each with both values and both runs, in words. A
    host may have another name: in a container it has one of its own."""
    found: dict[str, None] = {}
    for records in by_case.values():
        first = _shared(records[0])
        for record in records[1:]:
            for name, value in _shared(record).items():
                if value != first[name]:
                    found[f"{name} is {first[name]!r} in {records[0].run} and {value!r} in {record.run}"] = (
                        None
                    )
    return list(found)


def _shared(record: Record) -> dict[str, object]:
    seen = record.measurement.conditions
    return {
        "model": record.case.model,
        "gpu": record.gpu,
        **{name: getattr(record.hard, name) for name in HardKey.__slots__},
        **{name: getattr(record.soft, name) for name in EXPLAINING},
        "commit": record.commit,
        "sm_clock_max_mhz": seen.sm_clock_max_mhz if seen else None,
        "memory_clock_max_mhz": seen.memory_clock_max_mhz if seen else None,
    }


def dirty_runs(by_case: ByCase) -> list[str]:
    """The ids of runs whose tree differed from its commit."""
    return list(dict.fromkeys(r.run for records in by_case.values() for r in records if r.dirty))


def failed_beside(runs: Sequence[RunFolder], by_case: ByCase) -> list[str]:
    """The runs in the same folders that measured one of these cases, of the same commit on
    the same card, and failed by it, in words: of the same code those that passed are not
    chosen from. A folder that cannot be read says nothing."""
    given = {run.path.resolve() for run in runs}
    measured = {
        (case_id, r.commit, r.dirty, r.soft.gpu_uuid)
        for case_id, records in by_case.items()
        for r in records
        if r.commit != _UNKNOWN
    }
    found = []
    for path in _beside(given):
        with suppress(FormatError, SpecError, OSError):
            if words := _failed(RunFolder(path), measured):
                found.append(f"{path} failed, at the same commit and on the same card: {words}")
    return found


def _beside(given: set[Path]) -> Iterator[Path]:
    for folder in sorted({path.parent for path in given}):
        yield from (path for path in sorted(folder.iterdir()) if path.resolve() not in given)


def _failed(run: RunFolder, measured: set[tuple[str, str, bool, str | None]]) -> str:
    if not run.exists():
        return ""
    info = run.info()
    if info.exit_status in (0, None) or (info.commit, info.dirty) not in {key[1:3] for key in measured}:
        return ""
    failed = {v.case: v.status for v in run.verdicts() if v.status in FAILED}
    same = [
        r.case.id
        for r in run.records()
        if r.case.id in failed and (r.case.id, r.commit, r.dirty, r.soft.gpu_uuid) in measured
    ]
    return ", ".join(f"{case_id} {failed[case_id]}" for case_id in same)
