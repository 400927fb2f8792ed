"""Stored runs judged by the gate's own rule against any sessions, nothing of the repository's store."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from analytic import SpecError
from baselines.judging import judge_folder
from baselines.record import Record
from baselines.refresh import collect
from baselines.run import Planned, RunFolder, RunInfo
from baselines.store import Store
from baselines.verdict import Verdict

#: The records of each case, one per session.
Sessions = Mapping[str, Sequence[Record]]


def sessions_of(runs: Sequence[RunFolder]) -> Sessions:
    """Raises RefreshError for runs that may not be sessions: one that failed, one
    given twice, one that lacks a case."""
    return {
        case: records
        for case, records in collect(runs).items()
        if records[0].measurement.device_s is not None
    }


def device_s(record: Record) -> float:
    """Raises SpecError for a record without a device time."""
    times = record.measurement.device_s
    if times is None:
        raise SpecError(
            f"{record.case.id} of run {record.run} has no device time: {record.measurement.device_note}"
        )
    return median(times)


def device_alone(record: Record) -> Record:
    """The record without what it counted, so that a verdict is of its times alone."""
    return replace(record, measurement=replace(record.measurement, counts=None, kernels=None))


def verdicts(records: Iterable[Record], sessions: Sessions) -> dict[str, Verdict]:
    """The gate's verdict of each record, by case, against the sessions. Each is
    judged in a run of its own, so that no case's verdict leans on another's; bands
    are left out, for they are of the code's speed and not of its change."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        for of_case in sessions.values():
            store.write(of_case, written=of_case[0].started, command="perf_tests.proof")
        found = {}
        for record in records:
            run = RunFolder(Path(folder) / "runs" / record.case.id)
            run.write_info(_info(record))
            run.write_record(record)
            (verdict,) = judge_folder(run, store, rows=()).verdicts
            found[record.case.id] = verdict
        return found


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
