"""Other tools' rules, on the same rounds: each compares this session's with the last one's."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baselines.power.draws import Floats

Bools = NDArray[np.bool_]

#: (last, now, rng), rounds of times of many pairs, (pairs, rounds) each, to who is called slower.
Rule = Callable[[Floats, Floats, np.random.Generator], Bools]

# asv's default p-value; criterion's confidence level and noise threshold, at 99 %.
ASV_P = 0.002
CRITERION_CONFIDENCE, CRITERION_NOISE = 0.99, 0.01
_RESAMPLES = 400


def mean_beyond(share: float) -> Rule:
    """pytest-benchmark's --benchmark-compare-fail=mean:5%."""
    return lambda last, now, _rng: np.greater(now.mean(axis=-1), (1 + share) * last.mean(axis=-1))


def mann_whitney(last: Floats, now: Floats, _rng: np.random.Generator) -> Bools:
    """asv's: the rounds of two sessions by the U test (normal approximation, no ties)."""
    n, m = last.shape[-1], now.shape[-1]
    ranks = np.concatenate([last, now], axis=-1).argsort(axis=-1).argsort(axis=-1) + 1
    u = ranks[..., n:].sum(axis=-1) - m * (m + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    p = np.vectorize(math.erfc)(np.abs(z) / math.sqrt(2))
    slower: Bools = np.logical_and(p < ASV_P, z > 0)
    return slower


def bootstrap(last: Floats, now: Floats, rng: np.random.Generator) -> Bools:
    """criterion's: a bootstrap interval of the change of the mean, all of it beyond the
    noise threshold."""

    def resampled(rounds: Floats) -> Floats:
        n = rounds.shape[-1]
        weights = rng.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n
        means: Floats = np.matmul(rounds, weights.T)
        return means

    change = resampled(now) / resampled(last) - 1
    return np.greater(np.quantile(change, (1 - CRITERION_CONFIDENCE) / 2, axis=-1), CRITERION_NOISE)


RIVALS: dict[str, Rule] = {
    "pytest-benchmark mean:5%": mean_beyond(0.05),
    "asv Mann-Whitney": mann_whitney,
    "criterion bootstrap": bootstrap,
}
