"""The statistics of a verdict, against tables and by simulation."""

import math
from functools import cache

import numpy as np
import pytest

from baselines.interval import (
    Spread,
    own_spread,
    pool,
    prediction_margin,
    spread_for,
    t_cdf,
    t_quantile,
)
from baselines.policy import POLICY

SESSIONS = 5
CASES = 24
SD = 0.002  # between the sessions of one case, as measured in device time


@pytest.mark.parametrize(
    ("p", "df", "t"),
    [
        (0.975, 1, 12.7062),
        (0.999, 1, 318.3088),
        (0.95, 2, 2.9200),
        (0.999, 3, 10.2145),
        (0.975, 4, 2.7764),
        (0.999, 4, 7.1732),
        (0.975, 5, 2.5706),
        (0.999, 9, 4.2968),
        (0.995, 10, 3.1693),
        (0.975, 29, 2.0452),
        (0.95, 30, 1.6973),
        (0.999, 64, 3.2225),
        (0.999, 96, 3.1773),
        (0.999, 120, 3.1595),
    ],
)
def test_t_quantile_is_the_table_s(p: float, df: int, t: float) -> None:
    assert t_quantile(p, df) == pytest.approx(t, rel=3e-5)


@pytest.mark.parametrize(
    ("t", "df", "p"),
    [
        (1.0, 1, 0.75),
        (1.0, 2, 0.788675),
        (2.0, 2, 0.908248),
        (1.0, 3, 0.804500),
        (2.776445, 4, 0.975),
        (2.0, 10, 0.963306),
        (1.644854, 100_000, 0.95),
    ],
)
def test_t_cdf_is_the_table_s_on_both_sides(t: float, df: int, p: float) -> None:
    assert t_cdf(t, df) == pytest.approx(p, abs=2e-6)
    assert t_cdf(-t, df) == pytest.approx(1 - p, abs=2e-6)


def test_half_lies_below_zero() -> None:
    assert t_cdf(0.0, 4) == 0.5
    assert t_quantile(0.5, 7) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("p", "df"), [(0.49, 4), (1.0, 4), (1.5, 4), (math.nan, 4), (0.9, 0), (0.9, -1)])
def test_t_quantile_refuses_what_has_no_answer(p: float, df: int) -> None:
    with pytest.raises(ValueError, match="t_quantile"):
        t_quantile(p, df)


def test_own_spread_is_the_sample_sd() -> None:
    found = own_spread([1.0, 2.0, 3.0, 4.0, 5.0])

    assert found == Spread(sd=pytest.approx(math.sqrt(2.5)), df=4)


def test_two_sessions_have_a_spread() -> None:
    assert own_spread([1.0, 3.0]) == Spread(sd=pytest.approx(math.sqrt(2)), df=1)


@pytest.mark.parametrize("logs", [[], [1.0]])
def test_one_session_has_no_spread(logs: list[float]) -> None:
    assert own_spread(logs) is None


class TestPool:
    def test_nothing_gives_nothing(self) -> None:
        assert pool([]) is None

    def test_a_variance_is_divided_by_the_median_of_its_chi_square(self) -> None:
        """At 4 degrees of freedom the median of chi2/df is 0.842 (by the formula; 0.839)."""
        assert pool([Spread(sd=0.002, df=4)]) == Spread(sd=pytest.approx(0.0021790, rel=1e-4), df=4)

    def test_a_median_is_worth_two_thirds_of_the_degrees_of_freedom(self) -> None:
        pooled = pool([Spread(sd=SD, df=4)] * CASES)

        assert pooled is not None
        assert pooled.df == 64

    @pytest.mark.parametrize(("dfs", "df"), [((4,), 4), ((4, 4), 5), ((4, 2), 4), ((4, 4, 4), 8)])
    def test_a_few_cases_are_worth_no_less_than_one(self, dfs: tuple[int, ...], df: int) -> None:
        pooled = pool([Spread(sd=SD, df=d) for d in dfs])

        assert pooled is not None
        assert pooled.df == df

    def test_one_noisy_case_widens_nothing(self) -> None:
        calm = [Spread(sd=0.001 + 0.0001 * i, df=4) for i in range(CASES)]
        noisy = [*calm[:-1], Spread(sd=0.3, df=4)]
        without, with_it = pool(calm), pool(noisy)

        assert without is not None
        assert with_it is not None
        assert with_it.sd == pytest.approx(without.sd)

    def test_it_estimates_the_true_sd(self) -> None:
        rng = np.random.default_rng(1)
        logs = rng.normal(0.0, SD, size=(400, CASES, SESSIONS))
        estimates = [pooled_of(suite).sd for suite in logs]

        assert np.mean(estimates) == pytest.approx(SD, rel=0.015)
        # Each single estimate varies by about a tenth: that of 64 degrees of freedom.
        assert np.std(estimates) / SD == pytest.approx(1 / math.sqrt(2 * 64), rel=0.15)


@pytest.mark.parametrize(
    ("own_sd", "own_counts"), [(0.0001, False), (0.0039, False), (0.0041, True), (0.1, True)]
)
def test_the_pool_yields_to_a_case_that_has_shown_twice_its_spread(
    *, own_sd: float, own_counts: bool
) -> None:
    own, pooled = Spread(sd=own_sd, df=4), Spread(sd=0.002, df=64)

    assert spread_for(own, pooled) is (own if own_counts else pooled)


@pytest.mark.parametrize(
    ("df", "sessions", "alpha", "margin"),
    [
        # t x sd x sqrt(1 + 1/n)
        (4, 5, 0.001, 7.1732 * 0.002 * math.sqrt(1.2)),
        (64, 5, 0.001, 3.2225 * 0.002 * math.sqrt(1.2)),
        (4, 5, 0.025, 2.7764 * 0.002 * math.sqrt(1.2)),
        (10, 3, 0.005, 3.1693 * 0.002 * math.sqrt(4 / 3)),
    ],
)
def test_the_margin_is_a_one_sided_prediction_interval(
    df: int, sessions: int, alpha: float, margin: float
) -> None:
    found = prediction_margin(Spread(sd=0.002, df=df), sessions=sessions, alpha=alpha)

    assert found == pytest.approx(margin, rel=2e-5)


def test_without_spread_there_is_no_margin() -> None:
    assert prediction_margin(Spread(sd=0.0, df=4), sessions=5, alpha=0.001) == 0.0


def pooled_of(suite: np.ndarray) -> Spread:
    own = [own_spread(case.tolist()) for case in suite]
    pooled = pool([s for s in own if s is not None])
    assert pooled is not None
    return pooled


@cache
def margin_of_unit_sd(df: int) -> float:
    """The margin scales with the SD, and its quantile takes long to find."""
    return prediction_margin(Spread(sd=1.0, df=df), sessions=SESSIONS, alpha=POLICY.alpha)


@cache
def excess(sd: float) -> np.ndarray:
    """How far new, unchanged sessions of 500 suites lie above their history's
    mean, how far they may, in log units, and whether their own spread sets that:
    shape (3, 500 x 24)."""
    rng = np.random.default_rng(20)
    rows = []
    for suite in rng.normal(0.0, sd, size=(500, CASES, SESSIONS + 1)):
        history = suite[:, :SESSIONS]
        pooled = pooled_of(history)
        for case, logs in enumerate(history.tolist()):
            own = own_spread(logs)
            assert own is not None
            spread = spread_for(own, pooled)
            allowed = max(margin_of_unit_sd(spread.df) * spread.sd, math.log1p(POLICY.min_effect))
            rows.append((suite[case, SESSIONS] - math.fsum(logs) / SESSIONS, allowed, spread is own))
    return np.array(rows).T


def caught(slower: float, *, sd: float = SD) -> float:
    """The share of comparisons called slower at a true slow-down."""
    change, allowed, _ = excess(sd)
    return float(np.mean(change + math.log1p(slower) > allowed))


class TestRates:
    """12,000 comparisons: 24 cases, five sessions, SD 0.2 % between sessions."""

    def test_identical_code_is_hardly_ever_called_slower(self) -> None:
        assert caught(0.0) <= 0.003

    def test_the_false_alarms_are_those_that_the_policy_allows(self) -> None:
        """Where the floor does not bind: at an SD of 1 %, alpha is 0.1 %."""
        assert 0.0003 <= caught(0.0, sd=0.01) <= 0.003

    def test_two_per_cent_slower_is_caught(self) -> None:
        assert caught(0.02) >= 0.99

    def test_three_per_cent_slower_is_always_caught_by_the_pool(self) -> None:
        """What is missed are cases whose five sessions have, by chance, shown
        more than twice the spread of the suite: they are judged by their own."""
        change, allowed, own_counts = excess(SD)
        found = change + math.log1p(0.03) > allowed

        assert found[own_counts == 0].all()
        assert np.mean(own_counts) <= 0.005
        assert caught(0.03) >= 0.997

    def test_five_per_cent_slower_is_always_caught(self) -> None:
        assert caught(0.05) == 1.0

    def test_a_change_below_the_floor_is_not_claimed(self) -> None:
        """At an SD of 0.01 % a change of 0.4 % is plain, and too small to matter."""
        assert caught(0.004, sd=0.0001) == 0.0
        assert caught(0.006, sd=0.0001) == 1.0
