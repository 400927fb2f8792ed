"""The statistics of a verdict: the spread between sessions, and Student's t.

Sessions (fresh processes) are the sample, not the rounds within one: the noise
that matters lies between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, fmean, median, variance

# A case whose own variance exceeds the suite's by more than chance does so seldom has
# shown a spread of its own, and the suite's yields to it.
OWN_SPREAD_ALPHA = 0.005

# Cases differ in their spread where the logs of their variances scatter by so many
# standard errors more than chance makes them.
DIFFER_SES = 2.33

# Beyond so many degrees of freedom Student's t is the normal distribution to 0.1 %.
MOST_DF = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A between-session SD of the log of a time, and its degrees of freedom."""

    sd: float
    df: int


def own_spread(logs: Sequence[float]) -> Spread | None:
    """The spread of one case's sessions; None for fewer than two."""
    if len(logs) < 2:
        return None
    return Spread(sd=math.sqrt(squares(logs) / (len(logs) - 1)), df=len(logs) - 1)


def squares(logs: Sequence[float]) -> float:
    """The sum of the squared deviations from the mean. statistics.variance() is exact, and
    takes fifty times as long."""
    mean = fmean(logs)
    return math.fsum((log - mean) ** 2 for log in logs)


def pool(spreads: Sequence[Spread]) -> Spread | None:
    """What a suite says of the spread of any of its cases: the prior. None of fewer than
    two cases, for a case says nothing of itself that its own sessions do not.

    Its SD is the median of the cases' variances, so that a few noisy cases do not widen
    all; each is first divided by the median of its own chi-square distribution over df,
    (1 - 2/(9 df))^3 (Wilson and Hilferty 1931). Its degrees of freedom say how alike the
    cases are: by how much the logs of their variances scatter beyond what chance alone
    does (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3(1),
    equation for d0), without those that have shown a spread of their own. At most they
    are two thirds of all: the median keeps about so much of a mean's information.
    """
    if len(spreads) < 2:
        return None
    sd = math.sqrt(median(s.sd**2 / (1 - 2 / (9 * s.df)) ** 3 for s in spreads))
    most = max(1, 2 * sum(s.df for s in spreads) // 3)
    alike = [s for s in spreads if s.sd > 0 and not _shown_its_own(s, sd)]
    return Spread(sd=sd, df=min(most, _prior_df(alike)))


def _prior_df(spreads: Sequence[Spread]) -> int:
    """Smyth's d0: of how many sessions' worth the suite's spread is, for a case."""
    if len(spreads) < 3:
        return MOST_DF
    logs = [math.log(s.sd**2) - digamma(s.df / 2) + math.log(s.df / 2) for s in spreads]
    chance = fmean(trigamma(s.df / 2) for s in spreads)
    # Of a variance of so many normal values; logs of variances scatter a little wider.
    error = chance * math.sqrt(3 / (len(spreads) - 1))
    excess = variance(logs) - chance
    return MOST_DF if excess <= DIFFER_SES * error else max(1, int(2 * _trigamma_inverse(excess)))


def moderated(own: Spread, prior: Spread | None) -> Spread:
    """The spread to judge a case by: its own and the suite's, each with the weight of its
    degrees of freedom. The suite's has no more weight than its own where that is far wider."""
    if prior is None:
        return own
    weight = min(prior.df, own.df) if _shown_its_own(own, prior.sd) else prior.df
    df = own.df + weight
    pooled = (own.df * own.sd**2 + weight * prior.sd**2) / df
    return Spread(sd=math.sqrt(pooled), df=min(df, MOST_DF))


def _shown_its_own(own: Spread, sd: float) -> bool:
    """Whether chance alone makes a spread so wide in fewer than OWN_SPREAD_ALPHA of cases
    (the chi-square quantile by Wilson and Hilferty)."""
    part = 2 / (9 * own.df)
    limit = (1 - part + NormalDist().inv_cdf(1 - OWN_SPREAD_ALPHA) * math.sqrt(part)) ** 3
    return own.sd**2 > limit * sd**2


def digamma(x: float) -> float:
    """The derivative of log gamma for x > 0 (Abramowitz and Stegun 6.3.5 and 6.3.18)."""
    shift = 0.0
    while x < 10:
        shift -= 1 / x
        x += 1
    return shift + math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)


def trigamma(x: float) -> float:
    """The derivative of digamma for x > 0 (Abramowitz and Stegun 6.4.6 and 6.4.12)."""
    shift = 0.0
    while x < 10:
        shift += 1 / x**2
        x += 1
    return shift + 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7)


def _trigamma_inverse(value: float) -> float:
    """Where trigamma, which falls, has a value: by bisection."""
    low, high = 1e-6, 1e6
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if trigamma(middle) > value else (low, middle)
    return math.sqrt(low * high)


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


@cache
def t_quantile(p: float, df: int) -> float:
    """The inverse of t_cdf for 0.5 <= p < 1, by bisection. Raises ValueError outside."""
    if not 0.5 <= p < 1 or df < 1:
        raise ValueError(f"t_quantile: p {p} must lie in [0.5, 1) and df {df} be at least 1")
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2
