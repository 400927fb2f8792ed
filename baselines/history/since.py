"""Since when a case fails its verdict, by the runs before. Pure.

Other than a change point, which takes three nights to show, this is known at once.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from baselines.history.entry import Observation
from baselines.verdict import FAILING, SETTLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """A case fails since `night` (UTC): it passed at commit `good`, None where no run
    before is known to have passed, and failed first at `bad`."""

    night: dt.date
    good: str | None
    bad: str

    @property
    def commits(self) -> str:
        """As git names a range; where there is none to name, why not."""
        if self.good is None:
            return f"{self.bad} or before"
        return f"{self.good}..{self.bad}" if self.good != self.bad else f"{self.bad} itself"


def failing_since(observations: Sequence[Observation]) -> Since | None:
    """Of the observations of one series, in the order of their runs, the failures at its
    end; None where the last that was judged did not fail. Between them, runs that were
    not judged say nothing, nor do dirty trees, which no commit names."""
    first: Observation | None = None
    for one in sorted(observations, key=lambda o: (o.run_started, o.key), reverse=True):
        if one.dirty or one.status is None:
            continue
        if one.status in FAILING:
            first = one
        elif one.status in SETTLED:
            return None if first is None else _since(first, good=one.commit)
    return None if first is None else _since(first, good=None)


def _since(first: Observation, *, good: str | None) -> Since:
    return Since(night=first.run_started.date(), good=good, bad=first.commit)
