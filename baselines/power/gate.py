"""The gate on made-up sessions: the functions that judge a run, on plain numbers."""

from dataclasses import dataclass

import numpy as np

from baselines.night import Change, Night, Stand
from baselines.policy import Policy
from baselines.power.draws import Floats
from baselines.yardstick import Sample, Yardstick, priors, yardstick


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A suite's baselines as the gate sees them: a yardstick a case."""

    yardsticks: tuple[Yardstick, ...]
    policy: Policy

    @classmethod
    def of(cls, stored: Floats, policy: Policy, *, floor: float) -> "Gate":
        """`stored`: log medians, (cases, sessions). Raises ValueError where they judge nothing."""
        cases = [[Sample(log=float(log)) for log in sessions] for sessions in stored]
        suite = priors(cases)
        found = [yardstick(case, card=None, suite=suite, policy=policy, floor=floor) for case in cases]
        known = tuple(one for one in found if one is not None)
        if len(known) != len(found):
            raise ValueError(f"{len(stored[0])} sessions are too few to judge")
        return cls(yardsticks=known, policy=policy)

    def judge(self, session: Floats, fresh: Floats) -> list[Stand]:
        """How each case stands. `session`: one log median a case; `fresh`: those of the
        processes that would measure a suspect again, (cases, rounds)."""
        night = Night(policy=self.policy, judged=len(self.yardsticks))
        return [
            _settled(night, one, float(now), again)
            for one, now, again in zip(self.yardsticks, session, fresh, strict=True)
        ]


def _settled(night: Night, one: Yardstick, session: float, fresh: Floats) -> Stand:
    """One fresh process after another, as long as there is a suspicion."""
    for measured in range(len(fresh) + 1):
        again = tuple(float(log) - one.mean for log in fresh[:measured])
        stand = night.stand(Change(session=session - one.mean, fresh=again, yardstick=one))
        if stand is not Stand.SUSPECTED:
            break
    return stand


def medians(rounds: Floats) -> Floats:
    """What the gate keeps of a session: the median of its rounds."""
    return np.median(rounds, axis=-1)
