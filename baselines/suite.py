"""The baselines of one GPU and model together, and what each is a yardstick for.

A case's few sessions say little of how far sessions vary; those of all cases say it
together, apart for each metric and for what keeps the GPU busy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analytic import Promise
from baselines.policy import Policy
from baselines.record import Kind
from baselines.store import Baseline
from baselines.yardstick import Priors, Sample, Yardstick, priors, yardstick


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The baseline of a case, where it lies, to be named in a message, and the
    regime it was taken in: its spread is pooled with that of the same regime."""

    baseline: Baseline
    place: str
    digest: str | None
    regime: str

    @property
    def store(self) -> Path:
        """The folder of the store: a baseline lies in it at GPU/model/case.json."""
        return Path(self.place).parent.parent.parent

    @property
    def capped(self) -> bool:
        """A GPU that computes without a pause runs into its power cap, and its clock
        moves, while launches hide behind what it computes. One that waits for memory or
        for launches has a steady clock, and a wall that is the host's. The noise of
        both times differs by a factor of ten, so they are not pooled together."""
        return self.regime == "compute"

    @property
    def device(self) -> tuple[Sample, ...]:
        return tuple(
            Sample(log=math.log(s.device_median_s), card=s.soft.gpu_uuid)
            for s in self.baseline.sessions
            if s.device_median_s is not None
        )

    @property
    def wall(self) -> tuple[Sample, ...]:
        """Of no card: it is the host that the wall differs by."""
        return tuple(Sample(log=math.log(s.wall_median_s)) for s in self.baseline.sessions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What cases of one kind say together of how far sessions vary, for each metric."""

    device: Priors
    wall: Priors


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The cases under the power cap, and the others."""

    steady: Pool
    capped: Pool

    def pool(self, stored: Stored) -> Pool:
        return self.capped if stored.capped else self.steady


def alike(stored: Sequence[Stored], kind: Kind) -> list[Stored]:
    return [one for one in stored if one.baseline.kind == kind]


def suite_of(stored: Sequence[Stored]) -> Suite:
    capped = [one for one in stored if one.capped]
    return Suite(steady=_pool([one for one in stored if not one.capped]), capped=_pool(capped))


def _pool(alike: Sequence[Stored]) -> Pool:
    return Pool(device=priors(one.device for one in alike), wall=priors(one.wall for one in alike))


def device_yardstick(stored: Stored, suite: Suite, policy: Policy, *, card: str | None) -> Yardstick | None:
    """For device times of `card`; None where the stored sessions cannot judge them."""
    return yardstick(
        stored.device,
        card=card,
        suite=suite.pool(stored).device,
        policy=policy,
        floor=math.log1p(policy.min_effect),
    )


def wall_yardstick(stored: Stored, suite: Suite, policy: Policy, *, promise: Promise) -> Yardstick | None:
    """For walls. Half of what is promised is the least that is claimed; where nothing is
    promised nothing will be, and the floor is device time's."""
    least = policy.min_effect if promise.wall is None else promise.wall / 2
    return yardstick(
        stored.wall, card=None, suite=suite.pool(stored).wall, policy=policy, floor=math.log1p(least)
    )
