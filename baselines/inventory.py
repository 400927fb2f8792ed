"""What is stored for a GPU and model, in numbers: how old, how noisy, and what it can see."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean, stdev

from analytic import Case, Phase, Promise, text
from baselines.cards import cards_of
from baselines.pinned import PinnedSuite
from baselines.policy import Policy
from baselines.store import Baseline, differing
from baselines.suite import Stored, Suite, device_yardstick, suite_of, wall_yardstick
from baselines.yardstick import Mode, Yardstick

Promises = Mapping[str, Promise]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One time of a baseline: its geometric mean over sessions in seconds, and as shares
    its coefficient of variation between them, the least slowdown that would be seen, what
    is promised to be seen, and the drift since the anchor; None where it is not known."""

    mean_s: float
    cv: float | None
    sees: float | None
    promised: float | None
    drift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One baseline. `age_days` is since it was written, None where that is no date;
    `pool` names the cases that its spread is pooled with; `device` is None where no
    session has a device time; `modes` are those of a bimodal wall; `notes` what is
    lacking or odd, in words."""

    case: str
    place: str
    sessions: int
    cards: int
    written: str
    age_days: float | None
    commit: str
    by: str | None
    reason: str | None
    anchor: str | None
    regime: str
    pool: str
    device: Metric | None
    wall: Metric
    modes: tuple[Mode, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The baselines of one GPU and model, and why others cannot be read."""

    gpu: str
    model: str
    held: tuple[Held, ...]
    damaged: tuple[str, ...]


def inventory(
    suite: PinnedSuite, *, now: dt.datetime, policy: Policy, promises: Promises | None = None
) -> Inventory:
    """`promises` are what cases promise, by their ids: a baseline does not know, and by
    default the usual is taken. What is seen is corrected for all cases under the same
    hard key, as when all of them are judged."""
    usual = Counter(one.baseline.hard for one in suite.stored).most_common(1)
    held = []
    for one in suite.stored:
        alike = [other for other in suite.stored if other.baseline.hard == one.baseline.hard]
        odd = differing(usual[0][0], one.baseline.hard)
        promise = (promises or {}).get(one.baseline.case, Promise())
        held.append(_held(one, alike, now=now, policy=policy, promise=promise, odd=odd))
    return Inventory(gpu=suite.gpu, model=suite.model, held=tuple(held), damaged=suite.damaged)


def _held(
    one: Stored,
    alike: Sequence[Stored],
    *,
    now: dt.datetime,
    policy: Policy,
    promise: Promise,
    odd: Sequence[str],
) -> Held:
    baseline, suite = one.baseline, suite_of(alike)
    device, wall = _yardsticks(one, suite, policy, promise)
    sees = [None if y is None else y.sees(policy, tests=len(alike)) for y in (device, wall)]
    drifts = _drifts(baseline)
    on_device = _metric(baseline.device_medians_s, sees=sees[0], promised=promise.device, drift=drifts[0])
    on_wall = _metric(baseline.wall_medians_s, sees=sees[1], promised=promise.wall, drift=drifts[1])
    assert on_wall is not None  # noqa: S101 - every session has a wall
    lacks = [*_lacks(baseline, device, wall, policy), *_blind(on_device, on_wall)]
    if odd:
        lacks.append(f"hard key of its own: {'; '.join(odd)}")
    return Held(
        case=baseline.case,
        place=one.place,
        sessions=len(baseline.sessions),
        cards=len(cards_of(baseline)),
        written=baseline.written,
        age_days=_age_days(baseline.written, now),
        commit=baseline.sessions[-1].commit,
        by=baseline.by,
        reason=baseline.reason,
        anchor=baseline.anchor.written if baseline.anchor else None,
        regime=one.regime,
        pool="power cap" if one.capped else "steady",
        device=on_device,
        wall=on_wall,
        modes=wall.modes if wall else (),
        notes=(*lacks, *_creep(on_device, baseline, policy)),
    )


def _yardsticks(
    one: Stored, suite: Suite, policy: Policy, promise: Promise
) -> tuple[Yardstick | None, Yardstick | None]:
    """For a run on the card of the latest session: of others more would have to differ."""
    card = one.baseline.sessions[-1].soft.gpu_uuid
    device = device_yardstick(one, suite, policy, card=card)
    return device, wall_yardstick(one, suite, policy, promise=promise)


def _metric(
    medians_s: Sequence[float], *, sees: float | None, promised: float | None, drift: float | None
) -> Metric | None:
    if not medians_s:
        return None
    cv = stdev(medians_s) / fmean(medians_s) if len(medians_s) > 1 else None
    return Metric(mean_s=geometric_mean(medians_s), cv=cv, sees=sees, promised=promised, drift=drift)


def _drifts(baseline: Baseline) -> tuple[float | None, float | None]:
    """Since the anchor, of device time and wall; None where nobody knows an earlier one."""
    anchor, own = baseline.anchor, baseline.accepted
    if anchor is None or anchor.written == baseline.written:
        return None, None
    known = own.device_s is not None and anchor.device_s is not None
    device = own.device_s / anchor.device_s - 1 if known else None  # type: ignore[operator]
    return device, own.wall_s / anchor.wall_s - 1


def _lacks(baseline: Baseline, device: Yardstick | None, wall: Yardstick | None, policy: Policy) -> list[str]:
    """What keeps a baseline from judging all that it could."""
    found = []
    sessions = len(baseline.sessions)
    if sessions < policy.min_sessions:
        found.append(f"too few to judge: {sessions} of {policy.min_sessions} sessions")
    elif device is None and baseline.device_medians_s:
        found.append("device time of too few sessions to judge")
    elif wall is None:
        found.append("wall not known well enough to judge")
    if lacking := _uncounted(baseline):
        found.append(f"no {' and no '.join(lacking)}: a refresh takes them")
    return found


def _uncounted(baseline: Baseline) -> list[str]:
    """What older schemas did not keep, and without which less is compared and explained.
    generate() is never counted, and a CPU has no kernels."""
    counted = all(s.counts is not None for s in baseline.sessions)
    generates = Case.parse(baseline.case, model=baseline.model).phase is Phase.GENERATE
    found = [] if counted or generates else ["counts"]
    return found if baseline.kernels or not baseline.device_medians_s else [*found, "kernels"]


def _blind(device: Metric | None, wall: Metric | None) -> list[str]:
    """Promises that the sessions cannot keep."""
    return [
        f"{name}: more or calmer sessions are needed to see {text.percent(metric.promised)}"
        for name, metric in (("device time", device), ("wall", wall))
        if metric is not None and metric.promised is not None and (metric.sees or 0.0) > metric.promised
    ]


def _creep(device: Metric | None, baseline: Baseline, policy: Policy) -> list[str]:
    """Of device time, which gates: refreshes of little each add up against the anchor."""
    drift = device.drift if device else None
    if drift is None or drift <= policy.min_effect or baseline.anchor is None:
        return []
    return [f"slower than what was accepted first (commit {baseline.anchor.commit})"]


def _age_days(written: str, now: dt.datetime) -> float | None:
    try:
        when = dt.datetime.fromisoformat(written)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    return (now - when) / dt.timedelta(days=1)
