"""The statistics of a verdict: spread between sessions and a prediction interval.

Sessions (fresh processes) are the sample, not the rounds within one: the noise
that matters lies between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, variance

# A case whose own SD exceeds the pooled one by this factor has shown a spread
# of its own, and the pool yields to it. At 4 degrees of freedom chance alone
# does this in 0.3 % of cases (P(chi2_4 > 16)).
OWN_SPREAD_FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A between-session SD of the log of a time, and its degrees of freedom."""

    sd: float
    df: int


def own_spread(logs: Sequence[float]) -> Spread | None:
    """The spread of one case's sessions; None for fewer than two."""
    if len(logs) < 2:
        return None
    return Spread(sd=math.sqrt(variance(logs)), df=len(logs) - 1)


def pool(spreads: Sequence[Spread]) -> Spread | None:
    """One spread for a suite: the median of the cases' variances, so that a few
    noisy cases do not widen all. None without any.

    Each variance is first divided by the median of its own chi-square
    distribution over df, (1 - 2/(9 df))^3 (Wilson and Hilferty 1931), to
    estimate sigma^2. The median keeps about two thirds of a mean's information,
    hence the reduced degrees of freedom.
    """
    if not spreads:
        return None
    variances = [s.sd**2 / (1 - 2 / (9 * s.df)) ** 3 for s in spreads]
    df = sum(s.df for s in spreads)
    if len(spreads) > 1:
        df = max(spreads[0].df, 2 * df // 3)
    return Spread(sd=math.sqrt(median(variances)), df=df)


def spread_for(own: Spread, pooled: Spread) -> Spread:
    """The spread to judge a case by: the pooled one, unless its own is far wider."""
    return own if own.sd > OWN_SPREAD_FACTOR * pooled.sd else pooled


def prediction_margin(spread: Spread, *, sessions: int, alpha: float) -> float:
    """How far, in log units, one new session may lie above the mean of
    `sessions` by chance: the one-sided 1 - alpha prediction interval."""
    return t_quantile(1 - alpha, spread.df) * spread.sd * math.sqrt(1 + 1 / sessions)


def t_cdf(t: float, df: int) -> float:
    """Student's t distribution function for whole degrees of freedom
    (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(df))
    cosine, sine = math.cos(angle), math.sin(angle)
    if df % 2:
        total, term = 0.0, cosine
        for k in range(1, (df - 1) // 2 + 1):
            total += term
            term *= cosine**2 * 2 * k / (2 * k + 1)
        return 0.5 + (angle + sine * total) / math.pi
    total, term = 0.0, 1.0
    for k in range(1, df // 2 + 1):
        total += term
        term *= cosine**2 * (2 * k - 1) / (2 * k)
    return 0.5 + sine * total / 2


def t_quantile(p: float, df: int) -> float:
    """The inverse of t_cdf for 0.5 <= p < 1, by bisection. Raises ValueError outside."""
    if not 0.5 <= p < 1 or df < 1:
        raise ValueError(f"t_quantile: p {p} must lie in [0.5, 1) and df {df} be at least 1")
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2
