"""What is stored for a GPU and model, in numbers: how old, how noisy, and what it can see."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, geometric_mean, stdev

from analytic import Case, Phase, Promise
from baselines.cards import cards_of
from baselines.pinned import PinnedSuite
from baselines.policy import Policy
from baselines.store import Accepted, Baseline, differing
from baselines.suite import Stored, Suite, device_yardstick, suite_of, wall_yardstick
from baselines.yardstick import Mode, Yardstick

Promises = Mapping[str, Promise]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One time of a baseline: its geometric mean over sessions in seconds, and as shares
    its coefficient of variation between them, the least slowdown that would be seen, and
    what is promised to be seen; None where it is not known."""

    mean_s: float
    cv: float | None
    sees: float | None
    promised: float | None

    @property
    def blind(self) -> bool:
        """Whether the sessions cannot keep the promise."""
        return self.promised is not None and (self.sees or 0.0) > self.promised


class Lack(StrEnum):
    """What keeps a baseline from telling all that it could, or is to be known of it."""

    SESSIONS = "too few sessions to judge"
    DEVICE_SESSIONS = "device times of too few sessions to judge"
    WALL = "a wall that is not known well enough to judge"
    COUNTS = "no counts"
    KERNELS = "no kernels"
    DEVICE_SIGHT = "device time that cannot see what is promised"
    WALL_SIGHT = "a wall that cannot see what is promised"
    CREEP = "slower than what was accepted first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One baseline. `age_days` is since its newest session started, None where no
    session's start is a date; `drift` is by what share the time that gates, which
    `drift_of` names, has grown since the anchor; `pool` names the cases that its spread
    is pooled with; `device` is None where no session has a device time; `modes` are those
    of a bimodal wall; `odd` the fields of the hard key that most others have otherwise,
    each with both values."""

    case: str
    place: str
    sessions: int
    cards: int
    written: str
    age_days: float | None
    commit: str
    by: str | None
    reason: str | None
    anchor: Accepted | None
    drift: float | None
    drift_of: str | None
    regime: str
    pool: str
    device: Metric | None
    wall: Metric
    modes: tuple[Mode, ...]
    lacks: tuple[Lack, ...]
    odd: tuple[str, ...]


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
    """`promises` are what cases promise, by their ids: a baseline does not know, and of a
    case without an entry nothing is said to be promised. What is seen is corrected for all
    cases under the same hard key, as when all of them are judged."""
    under = Counter(one.baseline.hard for one in suite.stored)
    usual = under.most_common(1)
    suites = {hard: suite_of([s for s in suite.stored if s.baseline.hard == hard]) for hard in under}
    held = []
    for one in suite.stored:
        hard, promise = one.baseline.hard, (promises or {}).get(one.baseline.case)
        odd = differing(usual[0][0], hard)
        held.append(
            _held(one, suites[hard], tests=under[hard], now=now, policy=policy, promise=promise, odd=odd)
        )
    return Inventory(gpu=suite.gpu, model=suite.model, held=tuple(held), damaged=suite.damaged)


def _held(
    one: Stored,
    suite: Suite,
    *,
    tests: int,
    now: dt.datetime,
    policy: Policy,
    promise: Promise | None,
    odd: Sequence[str],
) -> Held:
    baseline = one.baseline
    device, wall = _yardsticks(one, suite, policy, promise or Promise())
    sees = [None if y is None else y.sees(policy, tests=tests) for y in (device, wall)]
    on_device = _metric(baseline.device_medians_s, sees=sees[0], promised=promise.device if promise else None)
    on_wall = _metric(baseline.wall_medians_s, sees=sees[1], promised=promise.wall if promise else None)
    assert on_wall is not None  # noqa: S101 - every session has a wall
    anchor = baseline.anchor
    drift_of, drift = (None, None) if anchor is None else baseline.accepted.change_since(anchor)
    sight = ((on_device, Lack.DEVICE_SIGHT), (on_wall, Lack.WALL_SIGHT))
    # Refreshes of little each add up. Only of device time, which repeats.
    creeps = drift_of == "device" and drift is not None and drift > policy.min_effect
    return Held(
        case=baseline.case,
        place=one.place,
        sessions=len(baseline.sessions),
        cards=len(cards_of(baseline)),
        written=baseline.written,
        age_days=_age_days(baseline, now),
        commit=baseline.sessions[-1].commit,
        by=baseline.by,
        reason=baseline.reason,
        anchor=anchor,
        drift=drift,
        drift_of=drift_of,
        regime=one.regime,
        pool="power cap" if one.capped else "steady",
        device=on_device,
        wall=on_wall,
        modes=wall.modes if wall else (),
        lacks=(
            *_lacks(baseline, device, wall, policy),
            *(lack for metric, lack in sight if metric is not None and metric.blind),
            *((Lack.CREEP,) if creeps else ()),
        ),
        odd=tuple(odd),
    )


def _yardsticks(
    one: Stored, suite: Suite, policy: Policy, promise: Promise
) -> tuple[Yardstick | None, Yardstick | None]:
    """For a run on the card of the latest session: of others more would have to differ."""
    card = one.baseline.sessions[-1].soft.gpu_uuid
    device = device_yardstick(one, suite, policy, card=card)
    return device, wall_yardstick(one, suite, policy, promise=promise)


def _metric(medians_s: Sequence[float], *, sees: float | None, promised: float | None) -> Metric | None:
    if not medians_s:
        return None
    cv = stdev(medians_s) / fmean(medians_s) if len(medians_s) > 1 else None
    return Metric(mean_s=geometric_mean(medians_s), cv=cv, sees=sees, promised=promised)


def _lacks(
    baseline: Baseline, device: Yardstick | None, wall: Yardstick | None, policy: Policy
) -> Iterator[Lack]:
    """What older schemas did not keep is lacking too: without it less is compared and
    explained. generate() is never counted, and a CPU has no kernels."""
    if len(baseline.sessions) < policy.min_sessions:
        yield Lack.SESSIONS
    elif device is None and baseline.device_medians_s:
        yield Lack.DEVICE_SESSIONS
    elif wall is None:
        yield Lack.WALL
    counted = all(s.counts is not None for s in baseline.sessions)
    if not counted and Case.parse(baseline.case, model=baseline.model).phase is not Phase.GENERATE:
        yield Lack.COUNTS
    if not baseline.kernels and baseline.device_medians_s:
        yield Lack.KERNELS


def _age_days(baseline: Baseline, now: dt.datetime) -> float | None:
    """A refresh from earlier runs is as old as these."""
    newest = baseline.newest_started
    return None if newest is None else (now - newest) / dt.timedelta(days=1)
