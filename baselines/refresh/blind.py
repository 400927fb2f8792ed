"""Would new sessions see what their case promises, and judge what is judged now?"""

import math

from analytic import text
from baselines.policy import Policy
from baselines.refresh.proposal import Kind, Objection, Proposed, Scale
from baselines.suite import Stored, Suite, device_yardstick, wall_yardstick
from baselines.yardstick import Yardstick


def blind(one: Proposed, scale: Scale) -> list[Objection]:
    """Too few sessions for a verdict are no objection of their own: only where they would
    take the place of sessions that judge. Of the wall only where something is promised."""
    policy, promise = scale.policy, one.case.promise
    if lost := _lost(one, scale):
        return [Objection(kind=Kind.BLIND, text=f"{one.case.id}: {lost}, or {Kind.BLIND.value}")]
    device = one.yardstick(one.fresh, scale.fresh, policy)
    wall = wall_yardstick(one.fresh, scale.fresh, policy, promise=promise)
    seen = [_unseen(one, "device", device, promise.device, scale)]
    if promise.wall is not None:
        seen.append(_unseen(one, "wall", wall, promise.wall, scale))
    return [objection for objection in seen if objection]


def _unseen(
    one: Proposed, name: str, yardstick: Yardstick | None, promised: float, scale: Scale
) -> Objection | None:
    if yardstick is None:
        return None
    sees = yardstick.sees(scale.policy, tests=scale.tests)
    if sees <= promised:
        return None
    said = (
        f"{one.case.id}: the sessions disagree too much: {name} time differs between {yardstick.sessions} by "
        f"an SD of {text.percent(math.expm1(yardstick.sd), digits=2)}, so that a slowdown is seen from "
        f"+{text.percent(sees, digits=2)} on, and {text.percent(promised, digits=2)} is promised; measure more "
        f"sessions, or on a calmer machine, or promise less (catches = {{ {name} = … }} in the file of cases), "
        f"or {Kind.BLIND.value}"
    )
    return Objection(kind=Kind.BLIND, text=said)


def _lost(one: Proposed, scale: Scale) -> str:
    """What judges device time now, and would not after."""
    if one.before is None or not _judges(one.before, scale.stored, scale.policy):
        return ""
    stored = len(one.before.device)
    new = Stored(baseline=one.new, place=one.fresh.place, digest=None, regime=one.fresh.regime)
    if not new.device:
        return (
            f"the {stored} stored sessions judge by device time, and the new ones have none; "
            "measure where the profiler can run"
        )
    if _judges(new, scale.fresh, scale.policy):
        return ""
    return (
        f"the {stored} stored sessions judge, and {len(new.device)} in their place would not "
        f"({scale.policy.min_sessions} of one card are needed); measure more sessions"
    )


def _judges(stored: Stored, suite: Suite, policy: Policy) -> bool:
    """Whether it judges the device time of any of its cards."""
    cards = {sample.card for sample in stored.device}
    return any(device_yardstick(stored, suite, policy, card=card) is not None for card in cards)
