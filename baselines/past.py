"""All cases of a run beside their pinned sessions at once: who needs fresh processes,
and whether the machine moved rather than the code."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytic import text
from baselines.allowed import Allowed, undeclared
from baselines.comparison import EXPLAINING, Comparison
from baselines.night import Change, Night, Stand, common_shift, moved_with
from baselines.policy import Policy
from baselines.reasons import count_findings, device_findings, drift, wall_findings
from baselines.verdict import Finding, Shift, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The comparable cases of a run by their ids, what they are corrected for, and what
    moved them all together."""

    compared: Mapping[str, Comparison]
    night: Night
    shift: Shift | None

    @classmethod
    def of(cls, compared: Mapping[str, Comparison], policy: Policy, *, suite: int) -> "Past":
        """`suite` is how many baselines there are: a case is judged alike whatever else
        was selected. One that only lends its spread may have fewer than are compared."""
        night = Night(policy=policy, judged=max(suite, len(compared)))
        return cls(compared=compared, night=night, shift=_shift(compared, night))

    def findings(self, case_id: str, allowed: Sequence[Allowed], *, unconfirmed: str) -> list[Finding]:
        """What the stored sessions say of a case."""
        one = self.compared[case_id]
        timed = device_findings(one, self.night, unconfirmed=unconfirmed)
        wall = wall_findings(one, self.night, unconfirmed=unconfirmed)
        return [
            *self._as_shifted(timed, one.device, case_id),
            *count_findings(one, allowed, self.night, unconfirmed=unconfirmed),
            *self._as_shifted(wall, one.wall, case_id),
            *drift(one.stored, one.derived),
        ]

    def _as_shifted(self, timed: list[Finding], change: Change | None, case_id: str) -> list[Finding]:
        """What moved with all others is the run's finding, and not the case's: it is told
        once, and of the case its own numbers."""
        shift = self.shift
        if shift is None or change is None or case_id not in shift.cases:
            return timed
        if not moved_with(math.log1p(shift.change), change.best, self.night.margin(change)):
            return timed
        why = shift.text if case_id == shift.cases[0] else f"moved with all others, see {shift.cases[0]}"
        moved = (Status.REGRESSED, Status.IMPROVED)
        return [
            Finding(status=Status.SHIFTED, text=f"{why}; {f.text}") if f.status in moved else f for f in timed
        ]

    def unsettled(self, case_id: str, allowed: Sequence[Allowed]) -> bool:
        """Whether one more fresh process is to measure the case before it is judged. A
        count that grew asks for one: one odd process fails nobody."""
        one = self.compared[case_id]
        if len(one.fresh) >= self.night.policy.rounds:
            return False
        record = one.derived.record
        grown = undeclared(allowed, one.counts, gpu=record.gpu, case=record.case)
        fall = one.fall.excused if one.fall else 0.0
        times = any(
            self.night.stand(change) is Stand.SUSPECTED and not self.night.excused(change, fall)
            for change in one.judged
        )
        alone = any(change.processes < 2 for change in grown)
        return times or (alone and not one.software_changed)


def _shift(compared: Mapping[str, Comparison], night: Night) -> Shift | None:
    """Of device time, from changes that are settled, without cases that a slow GPU excuses.
    All cases faster under the same keys are the code's merit; under others they may be
    another card's. One case under the same keys that moved too takes the excuse from all."""
    timed: dict[str, Change] = {
        case: one.device
        for case, one in compared.items()
        if one.device is not None and not (one.fall and night.excused(one.device, one.fall.excused))
    }
    margins = {case: night.margin(change) for case, change in timed.items()}
    middle = common_shift([c.best for c in timed.values()], list(margins.values()), night.policy)
    if middle is None:
        return None
    moved = Stand.SLOWER if middle > 0 else Stand.FASTER
    together = tuple(
        case
        for case, change in timed.items()
        if night.stand(change) is moved and moved_with(middle, change.best, margins[case])
    )
    alone = tuple(case for case in together if not compared[case].explained)
    if len(together) < night.policy.shift_share * len(timed) or (moved is Stand.FASTER and alone):
        return None
    together = (*alone, *(case for case in together if case not in alone))
    changed = [compared[case].changed for case in together]
    keys = dict.fromkeys(one[name] for name in EXPLAINING for one in changed if name in one)
    of = f"since {text.counted(len(alone), 'baseline')} of {len(together)} " if keys else ""
    why = (
        f"{of}neither GPU nor driver nor a library changed: it is the code, or the machine"
        if alone
        else f"changed since the baselines: {'; '.join(keys)}"
    )
    low, high = (text.signed_percent(math.expm1(f(timed[c].best for c in together))) for f in (min, max))
    said = (
        f"{why}; {len(together)} of {len(timed)} cases moved together: device time "
        f"{text.signed_percent(math.expm1(middle))} in the middle, {low} to {high}"
    )
    return Shift(change=math.expm1(middle), cases=together, fails=bool(alone), text=said)
