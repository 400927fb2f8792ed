"""Whether runs may be the sessions of one baseline: of one machine and one code, and not
picked from beside runs of the same code that failed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from analytic import SpecError
from baselines.codec import FormatError
from baselines.comparison import EXPLAINING
from baselines.record import HardKey, Record
from baselines.refresh.errors import RefreshError
from baselines.run import RunFolder, given_twice
from baselines.verdict import Status

#: The records of each case, one per session.
ByCase = Mapping[str, Sequence[Record]]

# What a run failed by, so that one of the same code that passes is its retry.
FAILED = (Status.REGRESSED, Status.BELOW_BAND, Status.IMPOSSIBLE, Status.SHIFTED, Status.SUSPECT)

# Where a tree is no checkout all commits are called so.
_UNKNOWN = "unknown"


def collect(runs: Sequence[RunFolder]) -> dict[str, list[Record]]:
    """The records of each case, one per session.

    Raises RefreshError for a run that did not pass or is a confirmation, and where a case
    is missing or invalid in a session: half a baseline is none.
    """
    by_case: dict[str, list[Record]] = {}
    if twice := given_twice(runs):
        raise RefreshError(twice)
    for run in runs:
        if why := run.disowned:
            raise RefreshError(f"{run.path}: {why}: no session of a baseline; name whole runs")
        info = run.info()
        if info.exit_status != 0:
            ended = "was cut off" if info.exit_status is None else f"ended with exit code {info.exit_status}"
            raise RefreshError(f"{run.path}: the run {ended}; only a run that passed becomes a baseline")
        invalid = sorted(v.case for v in run.verdicts() if v.status is Status.INVALID)
        if invalid:
            raise RefreshError(f"{run.path}: invalid measurements: {', '.join(invalid)}")
        for record in run.records():
            by_case.setdefault(record.case.id, []).append(record)
    if not by_case:
        raise RefreshError("no session measured any case: nothing was stored")
    for case_id, records in by_case.items():
        if len({r.run for r in records}) != len(runs):
            raise RefreshError(
                f"{case_id} was measured in {len({r.run for r in records})} of {len(runs)} runs "
                "(every session must measure it once): nothing was stored"
            )
    return by_case


def _dirty(run_id: str) -> str:
    return (
        f"{run_id}: measured with local changes in the tree; commit them and measure anew, or --allow-dirty"
    )


def unfit(runs: Sequence[RunFolder], by_case: ByCase, *, allow_dirty: bool) -> list[str]:
    """Why the runs are no sessions of one baseline, in words."""
    found = [f"{words}; the sessions of a baseline share it: measure anew" for words in _unlike(by_case)]
    if any(words.startswith("gpu_uuid") for words in found):
        found.append("two cards were measured: store the one, then add the other with --add")
    found += [words for run in runs for words in _unproved(run, by_case)]
    if not allow_dirty:
        found += map(_dirty, _dirty_runs(by_case))
    found += [
        f"{words}; what passed beside it is a retry: measure anew, without --from"
        for words in _failed_beside(runs, by_case)
    ]
    return found


def _unproved(run: RunFolder, by_case: ByCase) -> list[str]:
    """What the gate has not said of a run, or has said against it."""
    verdicts = run.verdicts()
    failing = sorted(f"{v.case} {v.status}" for v in verdicts if v.fails)
    found = [f"{run.path}: failing verdicts: {', '.join(failing)}"] if failing else []
    if unjudged := sorted(set(by_case) - {v.case for v in verdicts}):
        found.append(
            f"{run.path}: not judged: {', '.join(unjudged)}; only what the gate has judged becomes a baseline"
        )
    return found


def _unlike(by_case: ByCase) -> list[str]:
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


def _dirty_runs(by_case: ByCase) -> list[str]:
    """The ids of runs whose tree differed from its commit."""
    return list(dict.fromkeys(r.run for records in by_case.values() for r in records if r.dirty))


def _failed_beside(runs: Sequence[RunFolder], by_case: ByCase) -> list[str]:
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
    if not run.exists() or run.disowned:
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
