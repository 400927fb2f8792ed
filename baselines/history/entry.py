"""A record as the history keeps it: whole, as JSON, and beside it the columns that a trend reads."""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from analytic import Ceilings, SpecError
from baselines import codec
from baselines.codec import FormatError
from baselines.derived import derive
from baselines.record import HardKey, Record, SoftKey
from baselines.run import RunFolder, RunInfo, run_ceilings
from baselines.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One case of one run, as a trend reads it. Times are medians in seconds.

    `key` tells it from every other (key_of). `run_started` is in UTC. `device_s` is at
    the card's own clock, as the gate judges it, `device_as_run_s` as it was; both None
    where there was no device time, `device_s` and `lower_s` also where the model knows
    no bound (a GPU that the registry no longer holds). `exit_status` and `status` are
    None where the run was cut off before it was judged; a newer Roofgate may give a
    status that this one does not know.
    """

    key: str
    run: str
    run_started: dt.datetime
    commit: str
    dirty: bool
    exit_status: int | None
    gpu: str
    model: str
    case: str
    hard: str
    soft: SoftKey
    device_s: float | None
    device_as_run_s: float | None
    wall_s: float
    lower_s: float | None
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An observation and its whole record, as JSON."""

    observation: Observation
    record: str


def entries_of(folder: RunFolder) -> tuple[Entry, ...]:
    """What a run's folder holds for the history. Raises FormatError."""
    records = folder.records()
    observed = observations_of(folder.info(), records, folder.verdicts())
    return tuple(
        Entry(observation=o, record=json.dumps(codec.to_json(r), sort_keys=True, allow_nan=False))
        for o, r in zip(observed, records, strict=True)
    )


def observations_of(
    info: RunInfo, records: Sequence[Record], verdicts: Sequence[Verdict]
) -> tuple[Observation, ...]:
    """A run's records as a trend reads them, in their order. Raises FormatError."""
    ceilings = run_ceilings(tuple(records))
    statuses = {v.case: v.status.value for v in verdicts}
    return tuple(_observation(info, r, ceilings, statuses.get(r.case.id)) for r in records)


def _observation(info: RunInfo, record: Record, ceilings: Ceilings | None, status: str | None) -> Observation:
    sampled = record.measurement
    device_s = lower_s = None
    try:
        derived = derive(record, ceilings)
    except SpecError:
        pass  # what was observed is kept, whatever the model makes of it
    else:
        device_s, lower_s = derived.device_s, derived.bound.lower_s
    return Observation(
        key=key_of(record),
        run=info.id,
        run_started=_utc(info),
        commit=info.commit,
        dirty=info.dirty,
        exit_status=info.exit_status,
        gpu=record.gpu,
        model=record.case.model,
        case=record.case.id,
        hard=hard_digest(record.hard),
        soft=record.soft,
        device_s=device_s,
        device_as_run_s=median(sampled.device_s) if sampled.device_s else None,
        wall_s=median(sampled.wall_s),
        lower_s=lower_s,
        status=status,
    )


def key_of(record: Record) -> str:
    """A digest of what was observed, the same whenever and wherever it is computed.

    Runs of two machines may bear one id: the same commit in the same second. Their
    samples differ in the nanoseconds, and their hosts or cards do. Of the record only
    that is taken which no upgrade of the schema changes: a run that an older Roofgate
    sent is not sent again by a newer.
    """
    soft, case = record.soft, record.case
    told = (record.run, record.started, soft.host, soft.gpu_uuid, record.gpu, case.model, case.id)
    return _digest([*told, record.measurement.wall_s])


def hard_digest(hard: HardKey) -> str:
    """What the series of two runs must have in common, in short. A record schema that
    changes the hard key breaks every series, unless the tables' next schema digests the
    rows that are there anew."""
    return _digest(codec.to_json(hard))[:16]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _utc(info: RunInfo) -> dt.datetime:
    """Raises FormatError for a start that names no moment."""
    try:
        started = dt.datetime.fromisoformat(info.started)
    except ValueError as error:
        raise FormatError(f"run {info.id}: started {info.started!r} is no time: {error}") from error
    if started.tzinfo is None:
        raise FormatError(f"run {info.id}: started {info.started!r} has no time zone")
    return started.astimezone(dt.UTC)
