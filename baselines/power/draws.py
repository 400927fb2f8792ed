"""Sessions made up from a model of noise. Log times, about 0 where nothing is slower."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: (rng, cases, sessions) to the deviations of sessions from their case, (cases, sessions).
Between = Callable[[np.random.Generator, int, int], Floats]

# Timed rounds of a session: enough that their median says little of the noise within.
ROUNDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """`within` is the SD of the rounds of a session, in log units; `between` draws how
    far sessions lie off one another."""

    within: float
    between: Between

    def draw(self, rng: np.random.Generator, cases: int, sessions: int) -> Floats:
        """Rounds: (cases, sessions, ROUNDS)."""
        rounds = rng.normal(scale=self.within, size=(cases, sessions, ROUNDS))
        return rounds + self.between(rng, cases, sessions)[..., np.newaxis]


def normal(sd: float) -> Between:
    return lambda rng, cases, sessions: rng.normal(scale=sd, size=(cases, sessions))


def heavy_tailed(scale: float) -> Between:
    """Student's t with 3 degrees of freedom: now and then a session is far off."""
    return lambda rng, cases, sessions: scale * rng.standard_t(3, size=(cases, sessions))


def bimodal(apart: float, sd: float) -> Between:
    """A process is in one of two modes with all of its cases: half of them are slower."""

    def between(rng: np.random.Generator, cases: int, sessions: int) -> Floats:
        slow: Floats = rng.integers(0, 2, size=(1, sessions)) * np.log1p(apart)
        calm: Floats = rng.normal(scale=sd, size=(cases, sessions))
        return calm + slow

    return between


def resampled(residuals: Floats) -> Between:
    """Drawn with replacement from what stored sessions deviated by."""
    return lambda rng, cases, sessions: rng.choice(residuals, size=(cases, sessions))
