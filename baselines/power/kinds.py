"""Kinds of what is simulated: a night with a step or none, a month, creep, two modes. Each
gives rows of the table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from baselines.night import Stand
from baselines.policy import Policy
from baselines.power.draws import Floats, Noise
from baselines.power.gate import Gate, medians
from baselines.power.rivals import RIVALS

# Of a suite, where it is made up; and so many of them are made slower at once: the more,
# the stricter the correction.
_CASES, _SLOWED = 24, 3

# What a team has to bear, as a larger suite makes it.
_MONTH_CASES, _NIGHTS = 40, 30

# The rivals' months are so much alike, and take so much longer, that a few show them.
_RIVALS_MONTHS = 20

# How far the modes of a bimodal host lie apart, as one was seen to.
APART = 0.13


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is promised of a rate: at most or at least so much."""

    limit: float
    at_most: bool

    def held(self, rate: float) -> bool:
        return rate <= self.limit if self.at_most else rate >= self.limit


def at_most(limit: float) -> Target:
    return Target(limit=limit, at_most=True)


def at_least(limit: float) -> Target:
    return Target(limit=limit, at_most=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a rate of the gate, what is promised of it, and the rivals' on
    the same sessions where they have one. `of` is what it is a share of; or a mean of,
    where it is no `share`."""

    noise: str
    question: str
    gate: float | None
    of: str
    target: Target | None
    rivals: Mapping[str, float]
    share: bool = True

    @property
    def held(self) -> bool:
        return self.target is None or self.gate is None or self.target.held(self.gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A night on which some cases are slower by a step, or none is: `effects` with what
    is promised of each. `floor` is the effect below which nothing is claimed."""

    name: str
    noise: Noise
    sessions: int
    floor: float
    effects: Sequence[tuple[float, Target | None]]
    cases: int = _CASES

    def rows(self, trials: int, policy: Policy, rng: np.random.Generator) -> Iterator[Row]:
        for effect, target in self.effects:
            yield self._row(effect, target, trials, policy, rng)

    def _row(
        self, effect: float, target: Target | None, trials: int, policy: Policy, rng: np.random.Generator
    ) -> Row:
        slowed = _SLOWED if effect else self.cases
        claimed = np.zeros((trials, self.cases), dtype=bool)
        pairs = []
        for trial in range(trials):
            rounds = self.noise.draw(rng, self.cases, self.sessions + 1 + policy.rounds)
            rounds[:slowed, self.sessions :] += math.log1p(effect)
            logs = medians(rounds)
            gate = Gate.of(logs[:, : self.sessions], policy, floor=math.log1p(self.floor))
            stands = gate.judge(logs[:, self.sessions], logs[:, self.sessions + 1 :])
            claimed[trial] = [stand is Stand.SLOWER for stand in stands]
            pairs.append(np.exp(rounds[0, self.sessions - 1 : self.sessions + 1]))
        last, now = np.stack(pairs, axis=1)
        return Row(
            noise=self.name,
            question=f"+{100 * effect:g} % caught" if effect else "false alarms",
            gate=float(claimed[:, :slowed].mean()),
            of="comparisons",
            target=target,
            rivals={name: float(rule(last, now, rng).mean()) for name, rule in RIVALS.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """Thirty nights of identical code against one baseline: what a team has to bear."""

    name: str
    noise: Noise
    sessions: int
    floor: float
    mean: Target
    quiet: Target

    def rows(self, trials: int, policy: Policy, rng: np.random.Generator) -> Iterator[Row]:
        alarms = np.zeros(trials, dtype=int)
        rivals = {name: np.zeros(trials, dtype=int) for name in RIVALS}
        for trial in range(trials):
            stored = medians(self.noise.draw(rng, _MONTH_CASES, self.sessions))
            gate = Gate.of(stored, policy, floor=math.log1p(self.floor))
            last = self.noise.draw(rng, _MONTH_CASES, 1)[:, 0]
            for _ in range(_NIGHTS):
                rounds = self.noise.draw(rng, _MONTH_CASES, 1 + policy.rounds)
                logs = medians(rounds)
                alarms[trial] += gate.judge(logs[:, 0], logs[:, 1:]).count(Stand.SLOWER)
                if trial < _RIVALS_MONTHS:
                    now = rounds[:, 0]
                    for name, rule in RIVALS.items():
                        rivals[name][trial] += rule(np.exp(last), np.exp(now), rng).sum()
                    last = now
        seen = {name: found[:_RIVALS_MONTHS] for name, found in rivals.items()}
        of = f"months of {_NIGHTS} nights, {_MONTH_CASES} cases"
        yield Row(
            noise=self.name,
            question="false alarms a month",
            gate=float(alarms.mean()),
            of=of,
            target=self.mean,
            rivals={name: float(found.mean()) for name, found in seen.items()},
            share=False,
        )
        yield Row(
            noise=self.name,
            question="at most one alarm",
            gate=float((alarms <= 1).mean()),
            of=of,
            target=self.quiet,
            rivals={name: float((found <= 1).mean()) for name, found in seen.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Creep:
    """A case that is a little slower each night: when is it seen?"""

    name: str
    noise: Noise
    sessions: int
    floor: float
    a_night: float
    nights: int
    target: Target

    def rows(self, trials: int, policy: Policy, rng: np.random.Generator) -> Iterator[Row]:
        seen = np.zeros(trials, dtype=bool)
        rivals = {name: np.zeros(trials, dtype=bool) for name in RIVALS}
        for trial in range(trials):
            stored = medians(self.noise.draw(rng, _CASES, self.sessions))
            gate = Gate.of(stored, policy, floor=math.log1p(self.floor))
            last = self.noise.draw(rng, 1, 1)[0]
            for night in range(1, self.nights + 1):
                rounds = self.noise.draw(rng, _CASES, 1 + policy.rounds)
                rounds[0] += night * math.log1p(self.a_night)
                logs = medians(rounds)
                seen[trial] |= gate.judge(logs[:, 0], logs[:, 1:])[0] is Stand.SLOWER
                now = rounds[:1, 0]
                for name, rule in RIVALS.items():
                    rivals[name][trial] |= bool(rule(np.exp(last), np.exp(now), rng)[0])
                last = now
        yield Row(
            noise=self.name,
            question=f"seen by night {self.nights}",
            gate=float(seen.mean()),
            of="trials",
            target=self.target,
            rivals={name: float(found.mean()) for name, found in rivals.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Is a bimodal host said to be one once each mode is stored twice, and no other?"""

    name: str
    noise: Noise
    calm: Noise
    sessions: int
    floor: float
    said: Target
    wrongly: Target

    def rows(self, trials: int, policy: Policy, rng: np.random.Generator) -> Iterator[Row]:
        found: list[bool] = []
        while len(found) < trials:
            logs = medians(self.noise.draw(rng, 1, self.sessions))
            slow = int((logs > np.log1p(APART) / 2).sum())
            if 2 <= slow <= self.sessions - 2:
                found.append(self._said(logs, policy))
        calm = [self._said(medians(self.calm.draw(rng, 1, self.sessions)), policy) for _ in range(trials)]
        for question, said, target in (
            ("said to be bimodal", found, self.said),
            ("one mode said to be two", calm, self.wrongly),
        ):
            yield Row(
                noise=self.name,
                question=question,
                gate=float(np.mean(said)),
                of="cases",
                target=target,
                rivals={},
            )

    def _said(self, logs: Floats, policy: Policy) -> bool:
        (one,) = Gate.of(logs, policy, floor=math.log1p(self.floor)).yardsticks
        return len(one.modes) == 2


class Scenario(Protocol):
    """Rows of the table, from so many trials."""

    def rows(self, trials: int, policy: Policy, rng: np.random.Generator) -> Iterator[Row]: ...
