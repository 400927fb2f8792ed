"""Are new sessions worse than the stored ones: slower, or with more work a step?

They are compared by their mean, however many they are: one good session among slow ones,
or the retry of a slow run, hides nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from analytic import text
from baselines.allowed import Allowed, undeclared
from baselines.comparison import SOFTWARE, soft_changes
from baselines.counts import CountChange, count_changes
from baselines.refresh.proposal import Kind, Objection, Proposed, Scale
from baselines.suite import Stored, device_yardstick, wall_yardstick
from baselines.yardstick import Sample, Yardstick


def worse(one: Proposed, scale: Scale, *, allowed: Sequence[Allowed]) -> list[Objection]:
    """By device time, by the wall where the case promises something of it, and by counts."""
    if one.before is None:
        return []
    times = [] if one.adds_a_card else _times(one, one.before, scale)
    slower = [_slower(time, one, one.before, scale) for time in times]
    return [*(objection for objection in slower if objection), *_more_work(one, allowed)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Time:
    """One metric of both: its sessions, and what they say of further ones. `note` is of
    what else may make the difference."""

    name: str
    then: Sequence[Sample]
    now: Sequence[Sample]
    stored: Yardstick | None
    fresh: Yardstick | None
    note: str = ""


def _times(one: Proposed, before: Stored, scale: Scale) -> list[_Time]:
    policy, promise = scale.policy, one.case.promise
    stored = one.yardstick(before, scale.stored, policy)
    found = [
        _Time(
            name="device time",
            then=before.device,
            now=one.fresh.device,
            # Of another card: as if of the same, so that no change of cards hides a slower code.
            stored=stored or device_yardstick(before, scale.stored, policy, card=None),
            fresh=one.yardstick(one.fresh, scale.fresh, policy),
            note=_other_card(one, before),
        )
    ]
    if promise.wall is not None:
        found.append(
            _Time(
                name="wall time",
                then=before.wall,
                now=one.fresh.wall,
                stored=wall_yardstick(before, scale.stored, policy, promise=promise),
                fresh=wall_yardstick(one.fresh, scale.fresh, policy, promise=promise),
            )
        )
    return found


def _other_card(one: Proposed, before: Stored) -> str:
    cards = {sample.card for sample in before.device if sample.card is not None}
    if not cards or one.card in cards:
        return ""
    return (
        f"; the stored are of {', '.join(sorted(cards))}, these of {one.card}, and cards of a kind may differ"
    )


def _slower(time: _Time, one: Proposed, before: Stored, scale: Scale) -> Objection | None:
    """By the stored sessions' yardstick, or, where they are too few to be one, by the new
    ones'. None where neither is, or nothing was measured."""
    if not time.then or not time.now:
        return None
    if time.stored is not None:
        then = time.stored.mean
        margin = time.stored.claim_margin(scale.policy, fresh=len(time.now), tests=scale.tests)
    elif time.fresh is not None:
        then = fmean(sample.log for sample in time.then)
        margin = time.fresh.claim_margin(scale.policy, fresh=len(time.then), tests=scale.tests)
    else:
        return None
    now = fmean(sample.log for sample in time.now)
    if now - then <= margin:
        return None
    said = (
        f"{one.case.id}: {time.name} {text.seconds(math.exp(now))}, the mean of {text.counted(len(time.now), 'session')}, is "
        f"{text.signed_percent(math.expm1(now - then))} against {text.seconds(math.exp(then))} of the "
        f"{len(time.then)} stored in {before.place}, more than the "
        f"{text.percent(math.expm1(margin), digits=2)} that chance and the floor allow{time.note}; find what made it "
        f"slower, or, if it is meant: {Kind.WORSE.value}"
    )
    return Objection(kind=Kind.WORSE, text=said)


def _more_work(one: Proposed, allowed: Sequence[Allowed]) -> list[Objection]:
    """Counts that grew under the same software, and are not declared."""
    if software_changed(one):
        return []
    gpu = one.fresh.baseline.gpu
    return [
        Objection(
            kind=Kind.WORSE,
            text=f"{one.case.id}: the host does more for a step: {change}, under the same software; find out "
            f"why, declare it in baselines/allowed.toml, or, if it is meant: {Kind.WORSE.value}",
        )
        for change in undeclared(allowed, grown(one), gpu=gpu, case=one.case)
    ]


def grown(one: Proposed) -> list[CountChange]:
    """Counts of every new session beyond those of every stored one."""
    if one.before is None:
        return []
    now = [session.counts for session in one.fresh.baseline.sessions]
    then = [session.counts for session in one.before.baseline.sessions]
    counting = sum(counts is not None for counts in now)
    return [c for c in count_changes(now, then) if c.growth > 0 and c.processes == counting]


def software_changed(one: Proposed) -> bool:
    """Whether no stored session was taken under the new ones' software."""
    if one.before is None:
        return False
    stored = [session.soft for session in one.before.baseline.sessions]
    changed = soft_changes(one.fresh.baseline.sessions[0].soft, stored)
    return any(name in changed for name in SOFTWARE)
