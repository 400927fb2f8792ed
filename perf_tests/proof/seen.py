"""What the gate and its counts saw of a slowdown, beside what they see without it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from analytic import SpecError
from baselines.attribution import Moved, explain
from baselines.card_clock import at_card_clock
from baselines.counts import count_changes, overstepped
from baselines.record import Record
from baselines.refresh.sessions import ByCase
from baselines.store import session_kernels
from baselines.verdict import Status
from perf_tests.proof.expectations import COUNTS
from perf_tests.proof.judged import count, device_alone, device_s, limits, statuses
from perf_tests.proof.sizes import Sizes, TrueSize

# An operator moved if it did by more than this share of the whole step, and by more
# than its own noise (attribution.explain); or if its device operations are more or fewer.
OPERATOR_SHARE = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One slowdown in one case. `base_s` is the sessions' mean device time, `spread`
    their SD as a share of it; `status` the gate's verdict of the times alone, and
    `limit` the share from which it claims a change. `device_ops` is how many more
    kernels, copies and fills there were, `counts` are the differences of the counts
    that moved, `counts_grew` says whether the gate finds that one grew."""

    slowdown: str
    case: str
    base_s: float
    spread: float
    device_s: float
    status: Status
    limit: float
    device_ops: int
    counts: Mapping[str, int]
    counts_grew: bool
    moved: tuple[Moved, ...]
    size: TrueSize | None

    @property
    def added_s(self) -> float:
        return self.device_s - self.base_s

    @property
    def change(self) -> float:
        return self.device_s / self.base_s - 1


def see(
    slowdown: str,
    records: Sequence[Record],
    sessions: ByCase,
    sizes: Sizes,
) -> list[Seen]:
    """A slowed run's records beside the sessions. Raises SpecError for a case that
    the sessions lack."""
    for record in records:
        if record.case.id not in sessions:
            raise SpecError(f"{slowdown}: no baseline session measured {record.case.id}")
    records = [at_card_clock(record) for record in records]
    sessions = {case: [at_card_clock(r) for r in of_case] for case, of_case in sessions.items()}
    stripped = {case: [device_alone(r) for r in of_case] for case, of_case in sessions.items()}
    times, least = statuses(map(device_alone, records), stripped), limits(stripped)
    return [
        _seen(
            slowdown,
            record,
            sessions[record.case.id],
            status=times[record.case.id],
            limit=least.get(record.case.id, 0.0),
            size=sizes.get((slowdown, record.case.id)),
        )
        for record in records
    ]


def _seen(
    slowdown: str,
    record: Record,
    sessions: Sequence[Record],
    *,
    status: Status,
    limit: float,
    size: TrueSize | None,
) -> Seen:
    logs = [math.log(device_s(session)) for session in sessions]
    changes = count_changes([record.measurement.counts], [s.measurement.counts for s in sessions])
    return Seen(
        slowdown=slowdown,
        case=record.case.id,
        base_s=math.exp(fmean(logs)),
        spread=stdev(logs) if len(logs) > 1 else 0.0,
        device_s=device_s(record),
        status=status,
        limit=limit,
        device_ops=_device_ops(record) - _device_ops(sessions[0]),
        counts=_count_changes(record, sessions),
        counts_grew=any(change.growth > 0 for change in changes),
        moved=moved_operators(record, sessions),
        size=size,
    )


def moved_operators(record: Record, sessions: Sequence[Record]) -> tuple[Moved, ...]:
    """The operators that moved by more than noise and OPERATOR_SHARE, the most first;
    none where kernels were not told apart."""
    then, now = session_kernels(sessions), record.measurement.kernels
    if then is None or now is None:
        return ()
    least_s = OPERATOR_SHARE * fmean(device_s(session) for session in sessions)
    return tuple(one for one in explain(now, then) if one.device_ops or abs(one.change_s) > least_s)


def _device_ops(record: Record) -> int:
    return sum(kernel.launches for kernel in record.measurement.kernels or ())


def _count_changes(record: Record, sessions: Sequence[Record]) -> dict[str, int]:
    """By how much each count lies outside of what the sessions counted."""
    changes = {}
    for name in COUNTS:
        now, then = count(record, name), [count(session, name) for session in sessions]
        known = [value for value in then if value is not None]
        if now is not None and (nearest := overstepped(now, known)) is not None:
            changes[name] = now - nearest
    return changes
