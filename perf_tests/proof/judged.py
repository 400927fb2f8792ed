"""Stored runs judged by the gate's own rule against any sessions, nothing of the repository's store."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from analytic import SpecError
from baselines.card_clock import at_card_clock
from baselines.judging import judge_folder, margins
from baselines.policy import Policy
from baselines.record import Record
from baselines.refresh.sessions import ByCase, collect
from baselines.run import Planned, RunFolder, RunInfo
from baselines.store import Store
from baselines.verdict import Status

# What a verdict says of a time; of one without a change in it a warning is of
# something else, such as a missing band.
CHANGES = {Status.REGRESSED: "regressed", Status.IMPROVED: "improved"}
# By one session's time alone: a proof draws one session at a time, and what is suspected
# there is not measured again.
ALONE = Policy(rounds=0, claim_alpha=0.001)
JUDGED = (*CHANGES, Status.AMBIGUOUS, Status.WARN, Status.PASS)
NO_CHANGE = "no change"


def sessions_of(runs: Sequence[RunFolder]) -> ByCase:
    """The cases with a device time in any run. Raises RefreshError for runs that may
    not be sessions: one that failed, one given twice, one that lacks a case."""
    return {
        case: records
        for case, records in collect(runs).items()
        if any(record.measurement.device_s is not None for record in records)
    }


def said(status: Status) -> str:
    """A status as a word on the time alone."""
    if status not in JUDGED:
        return f"not judged: {status}"
    return CHANGES.get(status, NO_CHANGE)


def device_s(record: Record) -> float:
    """The median, at the card's own clock. Raises SpecError for a record without a device time."""
    times = at_card_clock(record).measurement.device_s
    if times is None:
        raise SpecError(
            f"{record.case.id} of run {record.run} has no device time: {record.measurement.device_note}"
        )
    return median(times)


def count(record: Record, name: str) -> int | None:
    """None where it was not counted."""
    return getattr(record.measurement.counts, name, None)


def device_alone(record: Record) -> Record:
    """The record without what it counted, so that a verdict is of its times alone."""
    return replace(record, measurement=replace(record.measurement, counts=None, kernels=None))


def statuses(records: Iterable[Record], sessions: ByCase) -> dict[str, Status]:
    """The gate's verdict of each record, by case, against the sessions; INCOMPARABLE
    for a card that they do not judge. Each is judged in a run of its own, so that no
    case's verdict leans on another's; bands are left out, for they are of the code's
    speed and not of its change."""
    with _stored(sessions) as (folder, store):
        found = {}
        for record in records:
            run = RunFolder(folder / "runs" / record.case.id)
            run.write_info(_info(record))
            run.write_record(record)
            (verdict,) = judge_folder(run, store, rows=(), policy=ALONE).verdicts
            known = comparable_card(record, sessions[record.case.id])
            found[record.case.id] = verdict.status if known else Status.INCOMPARABLE
        return found


def comparable_card(record: Record, sessions: Sequence[Record]) -> bool:
    """Whether the gate judges a record's card by these sessions: not where all are of one other card."""
    card, cards = record.soft.gpu_uuid, {session.soft.gpu_uuid for session in sessions} - {None}
    return card is None or card in cards or len(cards) != 1


def limits(sessions: ByCase) -> dict[str, float]:
    """By case, the relative change of device time from which the gate claims one
    against these sessions; without the cases that they are too few to judge."""
    with _stored(sessions) as (_, store):
        found = margins([records[0] for records in sessions.values()], store, policy=ALONE)
    return {case: math.expm1(margin) for case, margin in found.items()}


@contextmanager
def _stored(sessions: ByCase) -> Iterator[tuple[Path, Store]]:
    """A folder for a while, and in it a store that holds the sessions and nothing else."""
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place) / "store")
        for of_case in sessions.values():
            store.write(of_case, written=of_case[0].started, command="perf_tests.proof")
        yield Path(place), store


def _info(record: Record) -> RunInfo:
    return RunInfo(
        id=record.run,
        started=record.started,
        commit=record.commit,
        dirty=record.dirty,
        command="perf_tests.proof",
        planned=(Planned(case=record.case, lane="gpu"),),
    )


def folders(paths: Sequence[Path]) -> list[RunFolder]:
    """Raises SpecError for a path that holds no run."""
    for path in paths:
        if not RunFolder(path).exists():
            raise SpecError(f"{path}: not a run's folder: it has no run.json")
    return [RunFolder(path) for path in paths]
