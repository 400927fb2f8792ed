"""What pinned sessions say of further ones: margins, what can be seen, cards, modes."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from baselines.interval import Spread, t_quantile
from baselines.night import Change, Night, Stand, common_shift
from baselines.policy import POLICY, Policy
from baselines.power.draws import Noise, normal
from baselines.power.gate import Gate, medians
from baselines.yardstick import Priors, Sample, Yardstick, priors, two_modes, yardstick

FLOOR = math.log1p(POLICY.min_effect)
ALONE = Priors(sessions=None, cards=None)


def samples(*logs: float, card: str | None = None) -> list[Sample]:
    return [Sample(log=log, card=card) for log in logs]


FIVE = (-0.002, -0.001, 0.0, 0.001, 0.002)
SD = math.sqrt(2.5e-6)


def of(
    sessions: Sequence[Sample], *, card: str | None = None, suite: Priors = ALONE, policy: Policy = POLICY
) -> Yardstick | None:
    return yardstick(sessions, card=card, suite=suite, policy=policy, floor=FLOOR)


def five(policy: Policy = POLICY) -> Yardstick:
    found = of(samples(*FIVE), policy=policy)
    assert found is not None
    return found


class TestMargins:
    def test_one_session_and_several_against_the_mean(self) -> None:
        one, three = five().standard_error(1), five().standard_error(3)

        assert one == pytest.approx(SD * math.sqrt(1 + 1 / 5))
        assert three == pytest.approx(SD * math.sqrt(1 / 3 + 1 / 5))

    def test_what_is_suspected(self) -> None:
        expected = t_quantile(1 - POLICY.screen_alpha, 4) * SD * math.sqrt(1.2)

        assert five().screen_margin(POLICY) == pytest.approx(expected)

    def test_what_is_claimed_is_corrected_for_the_number_of_tests(self) -> None:
        loose = replace(five(), floor=0.0)
        for tests in (1, 24):
            expected = t_quantile(1 - POLICY.claim_alpha / tests, 4) * SD * math.sqrt(1 / 3 + 1 / 5)
            assert loose.claim_margin(POLICY, fresh=3, tests=tests) == pytest.approx(expected)

    def test_the_floor_is_the_least_that_is_claimed_and_half_of_it_suspected(self) -> None:
        calm = of(samples(*(0.01 * log for log in FIVE)))
        assert calm is not None

        assert calm.claim_margin(POLICY) == FLOOR
        assert calm.screen_margin(POLICY) == FLOOR / 2

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_too_few_sessions_are_none(self, count: int) -> None:
        assert of(samples(*FIVE[:count])) is None


class TestSeen:
    """The minimum detectable effect is one: simulated by the gate itself."""

    @pytest.mark.parametrize("noise_sd", [0.0002, 0.002, 0.005])
    @pytest.mark.parametrize("policy", [POLICY, Policy(rounds=0)])
    def test_it_is_claimed_nine_times_of_ten_and_not_much_more(self, policy: Policy, noise_sd: float) -> None:
        rng = np.random.default_rng(4)
        noise = Noise(within=0.0, between=normal(noise_sd))
        seen, half = [], []
        for _ in range(150):
            logs = medians(noise.draw(rng, 24, 6 + policy.rounds))
            gate = Gate.of(logs[:, :5], policy, floor=FLOOR)
            effect = math.log1p(np.mean([y.sees(policy, tests=24) for y in gate.yardsticks]))
            for share, found in ((1.0, seen), (0.5, half)):
                slower = logs[:, 5:] + share * effect
                found.append(np.mean([s is Stand.SLOWER for s in gate.judge(slower[:, 0], slower[:, 1:])]))

        assert np.mean(seen) >= 0.9
        assert np.mean(half) <= 0.5


class TestCards:
    A, B = samples(*FIVE, card="A"), samples(*(0.004 + log for log in FIVE), card="B")

    def suite(self, cases: int = 12) -> Priors:
        rng = np.random.default_rng(5)
        return priors(
            [
                Sample(log=float(log + shift), card=card)
                for card, shift in zip("AB", rng.normal(0.0, 0.004, size=2), strict=True)
                for log in rng.normal(0.0, 0.0015, size=5)
            ]
            for _ in range(cases)
        )

    def test_sessions_of_one_card_do_not_judge_another(self) -> None:
        assert of(self.A, card="C") is None

    def test_a_card_is_judged_by_its_own_sessions_where_they_are_enough(self) -> None:
        found = of([*self.A, *self.B], card="B", suite=self.suite())
        assert found is not None

        assert (found.mean, found.sessions, found.cards) == (pytest.approx(0.004), 5, 0)

    def test_two_cards_judge_a_third_by_how_far_cards_differ(self) -> None:
        suite = self.suite()
        third = of([*self.A, *self.B], card="C", suite=suite)
        known = of([*self.A, *self.B], card="A", suite=suite)
        assert third is not None
        assert known is not None
        assert suite.cards is not None

        assert (third.mean, third.sessions, third.cards) == (pytest.approx(0.002), 10, 2)
        assert 0.004 < suite.cards.sd < 0.01
        assert suite.cards.df == 1 + 4
        expected = third.sd**2 / 10 + suite.cards.sd**2 * 1.5
        assert third.base_variance == pytest.approx(expected)
        assert third.claim_margin(POLICY) > 2 * known.claim_margin(POLICY)

    def test_more_cases_do_not_make_more_cards(self) -> None:
        """Two that happen to be alike do not say that a third is."""
        alike = [*self.A, *(replace(s, card="B") for s in self.A)]
        suite = priors([alike] * 24)
        third = of(alike, card="C", suite=suite)
        assert third is not None
        assert suite.cards is not None

        assert suite.cards.df == 1 + 4
        assert third.claim_margin(POLICY, fresh=4, tests=24) > 0.03

    def test_more_processes_do_not_make_another_card_known(self) -> None:
        third = of([*self.A, *self.B], card="C", suite=self.suite())
        assert third is not None

        assert third.standard_error(1000) > 0.9 * math.sqrt(third.base_variance)

    def test_the_spread_is_about_each_cards_own_mean(self) -> None:
        suite = priors([[*self.A, *self.B]] * 4)

        assert suite.sessions is not None
        assert suite.sessions.sd == pytest.approx(SD, rel=0.06)

    def test_where_no_card_is_known_all_sessions_count(self) -> None:
        assert of(samples(*FIVE), card="A") is not None
        assert of([*self.A, *self.B], card=None) is not None


class TestModes:
    def test_two_groups_are_told_with_their_means(self) -> None:
        fast, slow = two_modes([0.0, 0.12, 0.001, 0.121, -0.001, 0.119, 0.0, 0.12], floor=FLOOR)

        assert (fast.sessions, fast.log) == (4, pytest.approx(0.0))
        assert (slow.sessions, slow.log) == (4, pytest.approx(0.12))

    @pytest.mark.parametrize(
        "logs",
        [
            [0.0, 0.001, 0.002, 0.003, 0.004, 0.005],  # one after the other
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.12],  # one that is off
            [0.0, 0.0, 0.12],
            [0.0, 0.0, 0.0, 0.004, 0.004, 0.004],  # nearer than what is claimed
        ],
    )
    def test_no_two_groups(self, logs: list[float]) -> None:
        assert two_modes(logs, floor=FLOOR) == ()


class TestStand:
    def change(self, session: float, *fresh: float) -> Change:
        return Change(session=session, fresh=fresh, yardstick=five())

    @pytest.mark.parametrize(
        ("session", "fresh", "stand"),
        [
            (0.0, (), Stand.CALM),
            (0.02, (), Stand.SUSPECTED),
            (0.02, (0.02,), Stand.SUSPECTED),
            (0.02, (0.02, 0.02), Stand.SUSPECTED),
            (0.02, (0.02, 0.02, 0.02), Stand.SLOWER),
            (0.02, (0.0,), Stand.CLEARED),
            (0.02, (0.02, 0.02, -0.06), Stand.CLEARED),
            (0.02, (0.004, 0.004, 0.004), Stand.CLEARED),  # below the floor
            (-0.02, (), Stand.FASTER),
            (0.0, (0.02, 0.02, 0.02), Stand.CALM),  # nobody asked
        ],
    )
    def test_by_the_sessions_that_there_are(
        self, session: float, fresh: tuple[float, ...], stand: Stand
    ) -> None:
        assert Night(policy=POLICY, judged=1).stand(self.change(session, *fresh)) is stand

    def test_what_chance_allows_all_processes_is_not_claimed(self) -> None:
        """Fresh ones beyond the floor, and all together within what many tests allow."""
        wide = replace(five(), sd=0.006, base_variance=0.006**2 / 5, df=64)
        change = Change(session=0.012, fresh=(0.009,) * 3, yardstick=wide)

        assert Night(policy=POLICY, judged=1).stand(change) is Stand.SLOWER
        assert Night(policy=POLICY, judged=10_000).stand(change) is Stand.CLEARED


@pytest.mark.parametrize(
    ("changes", "shift"),
    [
        ([0.02] * 5, 0.02),
        ([-0.02] * 5, -0.02),
        ([0.02] * 4 + [0.0], 0.02),
        ([0.02] * 4, None),  # too few
        ([0.02] * 3 + [0.0] * 2, None),
        ([0.004] * 5, None),  # below the floor
        ([0.01, 0.02, 0.04, 0.08, 0.16], None),
        ([0.02, 0.025, 0.03, 0.035, 0.04], 0.03),
    ],
)
def test_a_common_shift(changes: list[float], shift: float | None) -> None:
    assert common_shift(changes, [0.005] * len(changes), POLICY) == shift


def test_a_prior_of_one_case_is_none() -> None:
    assert priors([samples(*FIVE)]) == ALONE
    assert priors([]) == ALONE
    assert priors([samples(*FIVE)] * 2).sessions == Spread(sd=pytest.approx(0.001723, rel=1e-3), df=5)
