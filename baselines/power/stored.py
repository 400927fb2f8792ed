"""What a rig can see by its own stored sessions: their noise, drawn from again, in place of a made-up one."""

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from statistics import fmean

import numpy as np

from baselines.pinned import PinnedSuite
from baselines.policy import Policy
from baselines.power.draws import Floats, Noise, resampled
from baselines.power.kinds import Row, Scenario, Steps
from baselines.power.rivals import RIVALS
from baselines.suite import Stored
from baselines.yardstick import Sample

# Slowdowns that people ask about.
_EFFECTS = (0.0, 0.005, 0.01, 0.02, 0.05)
_WALL_EFFECTS = (0.0, 0.05, 0.1, 0.2)


def stored_scenarios(suite: PinnedSuite, policy: Policy) -> Iterator[Scenario]:
    """One for each group of cases whose spread is pooled, with the noise of its own
    sessions; none where too few sessions are stored to judge."""
    steady = [s for s in suite.stored if not s.capped]
    capped = [s for s in suite.stored if s.capped]
    wall_floor = _WALL_EFFECTS[1] / 2
    for name, cases, floor, effects in (
        ("device", [s.device for s in steady], policy.min_effect, _EFFECTS),
        ("device under the power cap", [s.device for s in capped], policy.min_effect, _EFFECTS),
        ("wall", [s.wall for s in steady], wall_floor, _WALL_EFFECTS),
        ("wall under the power cap", [s.wall for s in capped], wall_floor, _WALL_EFFECTS),
    ):
        usable = [case for case in cases if len(case) >= policy.min_sessions]
        if not usable:
            continue
        yield Steps(
            name=f"stored: {name}, {suite.gpu} {suite.model}",
            noise=Noise(within=0.0, between=resampled(_residuals(usable))),
            sessions=round(fmean(map(len, usable))),
            floor=floor,
            effects=[(effect, None) for effect in effects],
            cases=len(usable),
        )


def _residuals(cases: Sequence[Sequence[Sample]]) -> Floats:
    """How far sessions lie off their case's mean, each as far as it would off the true one."""
    found = []
    for samples in cases:
        logs = [sample.log for sample in samples]
        mean, n = fmean(logs), len(logs)
        found += [(log - mean) * math.sqrt(n / (n - 1)) for log in logs]
    return np.array(found)


def pairs(suite: PinnedSuite, rng: np.random.Generator) -> Row | None:
    """The rivals on the stored rounds themselves: every session against every other of
    its case, all of them of identical code. None where no case has two."""
    alarms: dict[str, list[bool]] = {name: [] for name in RIVALS}
    for last, now in _pairs(suite.stored):
        for name, rule in RIVALS.items():
            alarms[name].append(bool(rule(last, now, rng)[0]))
    if not next(iter(alarms.values())):
        return None
    return Row(
        noise=f"stored: wall, {suite.gpu} {suite.model}",
        question="false alarms as they were",
        gate=None,
        of="ordered pairs of sessions",
        target=None,
        rivals={name: fmean(found) for name, found in alarms.items()},
    )


def _pairs(stored: Sequence[Stored]) -> Iterator[tuple[Floats, Floats]]:
    for one in stored:
        for last, now in permutations(one.baseline.sessions, 2):
            # A rule compares equally many rounds.
            rounds = min(len(last.wall_s), len(now.wall_s))
            yield np.array([last.wall_s[:rounds]]), np.array([now.wall_s[:rounds]])
