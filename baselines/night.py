"""One night's judgement in numbers: whom a session makes suspect, whom fresh processes
clear or confirm, and whether all cases moved together. Which case or metric they are of,
and what is said of it, is not known here."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, median

from baselines.policy import Policy
from baselines.yardstick import Yardstick


class Stand(Enum):
    """How a metric stands after the sessions that there are."""

    CALM = "calm"  # never suspected
    SUSPECTED = "suspected"  # slower in the session; fresh processes are to say more
    CLEARED = "cleared"  # suspected, and not slower in fresh processes
    SLOWER = "slower"
    FASTER = "faster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One metric of one case: by how much the session, and the fresh processes that it
    was measured in again, lie above the yardstick's mean, in log units."""

    session: float
    fresh: tuple[float, ...]
    yardstick: Yardstick

    @property
    def best(self) -> float:
        """Of a suspect what fresh processes say, for it was chosen for being slow."""
        return fmean(self.fresh) if self.fresh else self.session

    @property
    def every(self) -> tuple[float, ...]:
        return (self.session, *self.fresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What all changes that are judged together share: what is claimed of one of them is
    corrected for how many are `judged`."""

    policy: Policy
    judged: int

    def margin(self, change: Change) -> float:
        """Beyond this, in log units, the mean of this run's processes is called slower."""
        return change.yardstick.claim_margin(self.policy, fresh=len(change.every), tests=self.judged)

    def sees(self, change: Change) -> float:
        """The minimum detectable effect, as a share."""
        return change.yardstick.sees(self.policy, tests=self.judged)

    def stand(self, change: Change) -> Stand:
        alone = change.yardstick.claim_margin(self.policy, tests=self.judged)
        if change.session < -alone:
            return Stand.FASTER
        if not self.policy.rounds:
            return Stand.SLOWER if change.session > alone else Stand.CALM
        if not suspected(change, self.policy):
            return Stand.CALM
        return self._again(change)

    def excused(self, change: Change, fall: float) -> bool:
        """Whether it is slower by no more than a GPU that fell by `fall`, in log units,
        and chance explain."""
        slower = self.stand(change) in (Stand.SLOWER, Stand.SUSPECTED)
        return slower and fall > 0 and change.session - fall <= self.margin(change)

    def _again(self, change: Change) -> Stand:
        """How a suspect stands by the fresh processes that there are. Those alone must say
        that it is slower, and by all processes together it must be by more than chance
        allows: the suspicion itself is then no part of what has to be explained."""
        if not change.fresh:
            return Stand.SUSPECTED
        mean = fmean(change.fresh)
        if mean <= change.yardstick.screen_margin(self.policy, fresh=len(change.fresh)):
            return Stand.CLEARED
        if len(change.fresh) < self.policy.rounds:
            return Stand.SUSPECTED
        slower = mean > change.yardstick.floor and fmean(change.every) > self.margin(change)
        return Stand.SLOWER if slower else Stand.CLEARED


def suspected(change: Change, policy: Policy) -> bool:
    """Whether the session alone asks for fresh processes."""
    return policy.rounds > 0 and change.session > change.yardstick.screen_margin(policy)


def common_shift(changes: Sequence[float], margins: Sequence[float], policy: Policy) -> float | None:
    """The middle of the changes, in log units, where all cases but a few moved by about
    so much: within the margin of each, or within half of it. None where they did not, or
    too few were judged to say, or it is less than the floor."""
    if len(changes) < policy.shift_cases:
        return None
    middle = median(changes)
    if abs(middle) <= policy.min_effect:
        return None
    near = [moved_with(middle, change, margin) for change, margin in zip(changes, margins, strict=True)]
    return middle if sum(near) >= policy.shift_share * len(changes) else None


def moved_with(middle: float, change: float, margin: float) -> bool:
    """Whether a change is the others' too."""
    return change * middle > 0 and abs(change - middle) <= max(margin, abs(middle) / 2)
