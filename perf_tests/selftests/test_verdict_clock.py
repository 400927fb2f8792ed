"""Verdicts of steps that ran above the card's own clock: judged at that clock, whichever side ran above it."""

from dataclasses import replace

import pytest

from analytic import text
from baselines.card_clock import streamed_s
from baselines.derived import derive
from baselines.record import KernelTime, Record
from baselines.suite import Stored
from baselines.verdict import Status
from perf_tests.selftests.records import conditions, record
from perf_tests.selftests.verdicts import DECODE, DEVICE_S, decode, history, verdict_of


def kernel(operator: str, seconds: float) -> KernelTime:
    return KernelTime(operator=operator, name=f"{operator}_kernel", launches=32, device_s=(seconds,) * 3)


class TestClock:
    SEEN = conditions(sm_clock_max_mhz=1980)
    CALM = (0.9998, 0.9999, 1.0, 1.0001, 1.0002)
    STREAMED_S = streamed_s(record(DECODE))
    # What the same code takes at 1.5 % more clock: what streams takes as long.
    ABOVE = 1.015 * 1980
    FASTER_S = STREAMED_S + (DEVICE_S - STREAMED_S) / 1.015

    def at(self, device_s: float, clock_mhz: float) -> Record:
        return decode(device_s, held_clock_mhz=(clock_mhz,) * 3, seen=self.SEEN)

    def calm(self, device_s: float = DEVICE_S, clock_mhz: float = 1979.6) -> Stored:
        return history(self.at(device_s, clock_mhz), factors=self.CALM)

    def test_the_same_code_at_a_higher_clock_is_no_improvement(self) -> None:
        verdict = verdict_of(self.at(self.FASTER_S, self.ABOVE), self.calm())

        assert verdict.status is Status.PASS
        assert verdict.reasons[1] == (
            "3 of 3 steps ran above the card's own clock, at up to 2,010 MHz where 1,980 are the highest: "
            f"device time {text.seconds(self.FASTER_S)} as run, 7.800 ms at the card's own"
        )
        assert verdict_of(self.at(self.FASTER_S, 1979.6), self.calm()).status is Status.IMPROVED

    def test_nor_is_it_a_regression_when_the_sessions_ran_there(self) -> None:
        stored = self.calm(self.FASTER_S, self.ABOVE)

        assert stored.baseline.device_medians_s == pytest.approx([DEVICE_S * f for f in self.CALM], rel=2e-4)
        assert verdict_of(self.at(DEVICE_S, 1979.6), stored).status is Status.PASS

    def test_slower_code_is_not_hidden_by_a_higher_clock(self) -> None:
        assert verdict_of(self.at(DEVICE_S, self.ABOVE), self.calm()).status is Status.REGRESSED

    def test_a_lower_clock_excuses_nothing(self) -> None:
        """2 % lower, which might explain 0.9 %: the whole change is claimed."""
        slower = DEVICE_S * 1.012
        verdict = verdict_of(self.at(slower, 0.98 * 1980), self.calm())

        assert verdict.status is Status.REGRESSED
        assert "+1.20 %" in verdict.reasons[0]

    def test_what_moved_is_at_the_cards_own_clock_too(self) -> None:
        """Slower code in one operator, above the clock; the other is as it was."""
        scale = self.FASTER_S / DEVICE_S
        then = (kernel("q_proj", DEVICE_S / 2), kernel("o_proj", DEVICE_S / 2))
        now = (kernel("q_proj", scale * (DEVICE_S / 2 + 1e-4)), kernel("o_proj", scale * DEVICE_S / 2))
        seen = self.at(scale * (DEVICE_S + 1e-4), self.ABOVE)
        slower = replace(seen, measurement=replace(seen.measurement, kernels=now))
        stored = self.at(DEVICE_S, 1979.6)
        stored = replace(stored, measurement=replace(stored.measurement, kernels=then))
        verdict = verdict_of(slower, history(stored, factors=self.CALM))

        assert verdict.status is Status.REGRESSED
        assert "moved most: q_proj +" in verdict.reasons[0]
        assert "o_proj" not in verdict.reasons[0]

    def test_steps_at_different_clocks(self) -> None:
        """The median is of a step at its own clock, and another ran above it: said, and no harm."""
        mixed = record(
            DECODE,
            device_s=[self.FASTER_S, DEVICE_S, DEVICE_S],
            held_clock_mhz=(self.ABOVE, 1979.6, 1979.5),
            seen=self.SEEN,
        )
        verdict = verdict_of(mixed, self.calm())

        assert verdict.status is Status.PASS
        assert verdict.reasons[1].startswith(
            "1 of 3 steps ran above the card's own clock, at up to 2,010 MHz"
        )

    def test_a_clock_that_no_gpu_has_is_no_clock(self) -> None:
        broken = self.at(DEVICE_S, 4000.0)
        verdict = verdict_of(broken, self.calm())

        assert verdict.status is Status.INVALID
        assert verdict.reasons[0] == (
            "the SM clock was measured at 4,000 MHz in 3 of 3 steps; 1,980 MHz are its highest, and up to 5 % more may be"
        )
        assert derive(broken, None).device_s == pytest.approx(DEVICE_S)

    def test_the_medians_and_the_fraction_are_at_the_cards_own(self) -> None:
        derived = derive(self.at(self.FASTER_S, self.ABOVE), None)

        assert derived.device_s == pytest.approx(DEVICE_S)
        assert derived.as_run_s == self.FASTER_S
        assert derived.host_share == pytest.approx(1 - self.FASTER_S / derived.wall_s)
        assert derived.device_fraction == pytest.approx(derived.bound.lower_s / DEVICE_S)
