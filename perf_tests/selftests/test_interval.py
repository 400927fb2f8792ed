"""The statistics of a verdict, against tables and by simulation."""

import math

import numpy as np
import pytest

from baselines.interval import (
    Spread,
    digamma,
    moderated,
    own_spread,
    pool,
    t_cdf,
    t_quantile,
    trigamma,
)

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
    @pytest.mark.parametrize("spreads", [[], [Spread(sd=SD, df=4)]])
    def test_fewer_than_two_cases_give_nothing(self, spreads: list[Spread]) -> None:
        """A case says nothing of itself that its own sessions do not."""
        assert pool(spreads) is None

    def test_a_variance_is_divided_by_the_median_of_its_chi_square(self) -> None:
        """At 4 degrees of freedom the median of chi2/df is 0.842 (by the formula; 0.839)."""
        assert pool([Spread(sd=0.002, df=4)] * 2) == Spread(sd=pytest.approx(0.0021790, rel=1e-4), df=5)

    def test_a_median_is_worth_two_thirds_of_the_degrees_of_freedom(self) -> None:
        pooled = pool([Spread(sd=SD, df=4)] * CASES)

        assert pooled is not None
        assert pooled.df == 64

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

    def test_cases_that_are_alike_are_known_to_be(self) -> None:
        """Chance alone is told from differing cases in all but one suite of twenty."""
        rng = np.random.default_rng(2)
        logs = rng.normal(0.0, SD, size=(400, CASES, SESSIONS))

        assert np.mean([pooled_of(suite).df < 64 for suite in logs]) <= 0.05

    def test_cases_that_differ_lend_one_another_less(self) -> None:
        """Smyth's d0: variances that scatter as those of scaled inverse chi-squares of 4
        degrees of freedom do are worth about so many sessions."""
        rng = np.random.default_rng(3)
        found = []
        for _ in range(200):
            variances = SD**2 * 4 / rng.chisquare(4, size=CASES)
            logs = rng.normal(0.0, np.sqrt(variances)[:, np.newaxis], size=(CASES, 20))
            found.append(pooled_of(logs).df)

        assert 3 <= np.median(found) <= 12

    @pytest.mark.parametrize("cases", [2, 3, CASES])
    def test_cases_without_any_spread_have_none(self, cases: int) -> None:
        assert pool([Spread(sd=0.0, df=4)] * cases) is not None
        assert pool([Spread(sd=0.0, df=4)] * cases).sd == 0.0  # type: ignore[union-attr]


def pooled_of(suite: np.ndarray) -> Spread:
    own = [own_spread(case.tolist()) for case in suite]
    pooled = pool([s for s in own if s is not None])
    assert pooled is not None
    return pooled


class TestModerated:
    PRIOR = Spread(sd=0.002, df=64)

    def test_each_has_the_weight_of_its_degrees_of_freedom(self) -> None:
        found = moderated(Spread(sd=0.001, df=4), self.PRIOR)

        assert found == Spread(sd=pytest.approx(math.sqrt((4 * 1e-6 + 64 * 4e-6) / 68)), df=68)

    def test_without_a_suite_it_is_its_own(self) -> None:
        own = Spread(sd=0.001, df=4)

        assert moderated(own, None) is own

    @pytest.mark.parametrize(("own_sd", "df"), [(0.0001, 68), (0.0038, 68), (0.0039, 8), (0.1, 8)])
    def test_the_suite_yields_to_a_case_that_has_shown_its_own(self, own_sd: float, df: int) -> None:
        """Of five sessions, beyond the 99.5 % quantile of chi-square, 14.86: 1.93 times as wide."""
        assert moderated(Spread(sd=own_sd, df=4), self.PRIOR).df == df

    @pytest.mark.parametrize(("own_sd", "df"), [(0.0032, 73), (0.0033, 18)])
    def test_of_more_sessions_less_is_shown_by_chance(self, own_sd: float, df: int) -> None:
        """Of ten, beyond 23.59: 1.62 times."""
        assert moderated(Spread(sd=own_sd, df=9), self.PRIOR).df == df

    def test_then_it_weighs_no_more_than_the_case(self) -> None:
        found = moderated(Spread(sd=0.02, df=4), self.PRIOR)

        assert found.sd == pytest.approx(math.sqrt((0.02**2 + 0.002**2) / 2))


@pytest.mark.parametrize(
    ("x", "digamma_x", "trigamma_x"),
    [
        # Abramowitz and Stegun, tables 6.1 and 6.2
        (1.0, -0.5772156649, 1.6449340668),
        (2.0, 0.4227843351, 0.6449340668),
        (1.5, 0.0364899740, 0.9348022005),
        (0.5, -1.9635100260, 4.9348022005),
        (20.0, 2.9705239922, 0.0512708229),
    ],
)
def test_digamma_and_trigamma_are_the_tables(x: float, digamma_x: float, trigamma_x: float) -> None:
    assert digamma(x) == pytest.approx(digamma_x, abs=1e-8)
    assert trigamma(x) == pytest.approx(trigamma_x, abs=1e-8)
