"""When a warm-up ends, by which rule, and what it costs at most."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from analytic import Phase
from baselines.record import Tokens
from perf_tests import warmup
from perf_tests.device import CpuDevice
from perf_tests.engines.step import Step
from perf_tests.warmup import BUDGET_S, LONG_STEP_S, MOST_STEPS, WarmUp, most_steps, stop_rule, warm_up

CALM = (0.9, 0.020, 0.021, 0.020)


class Gpu(CpuDevice):
    """A device that is waited for, and whose clock is told step by step."""

    def __init__(self, clocks: Iterator[int | None]) -> None:
        self.clocks = clocks
        self.waits = 0

    def synchronise(self) -> None:
        self.waits += 1

    def sm_clock_mhz(self) -> int | None:  # type: ignore[override]
        return next(self.clocks)


def run(
    monkeypatch: pytest.MonkeyPatch,
    steps_s: Sequence[float],
    clocks: Sequence[int | None] = (),
    phase: Phase = Phase.DECODE,
) -> tuple[WarmUp, list[str], Gpu]:
    """A warm-up of steps that take these times; the last one is repeated."""
    hand, done = SimpleNamespace(s=0.0), []
    monkeypatch.setattr(warmup.time, "perf_counter", lambda: hand.s)

    def step() -> None:
        done.append("run")
        hand.s += steps_s[min(done.count("run"), len(steps_s)) - 1]

    def reset() -> None:
        done.append("reset")
        hand.s += 5.0  # not timed

    device = Gpu(iter(clocks or [None] * MOST_STEPS))
    found = warm_up(
        Step(reset=reset, run=step, tokens=lambda _: Tokens(produced=1, digest="")), device, phase=phase
    )
    return found, done, device


def test_it_ends_when_times_have_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    found, done, device = run(monkeypatch, CALM)

    assert found == WarmUp(samples_s=pytest.approx(CALM), stop="settled")
    assert done == ["reset", "run"] * 4
    assert device.waits == 2 * 4, "before and after each step"


def test_a_clock_that_rises_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = run(monkeypatch, [0.020], [345, 1200, 1900, 1950, 1980, 1980])

    assert (found.stop, len(found.samples_s)) == ("settled", 6)


@pytest.mark.parametrize("clocks", [[1980, 1980, None, None], [None] * 3])
def test_a_clock_that_is_not_told_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, clocks: list[int | None]
) -> None:
    found, _, _ = run(monkeypatch, [0.020], clocks)

    assert (found.stop, len(found.samples_s)) == ("settled", 3)


def test_a_noisy_host_ends_by_the_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = run(monkeypatch, [0.02, 0.03] * MOST_STEPS)

    assert (found.stop, len(found.samples_s)) == ("budget", MOST_STEPS)


def test_a_noisy_host_ends_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = run(monkeypatch, [0.2, 0.3] * MOST_STEPS)

    assert found.stop == "budget"
    assert sum(found.samples_s[:-1]) < BUDGET_S <= sum(found.samples_s)


def test_a_first_step_that_loads_kernels_does_not_speak_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = run(monkeypatch, [1.6, 0.02])

    assert found == WarmUp(samples_s=(pytest.approx(1.6), pytest.approx(0.02)), stop="budget")


@pytest.mark.parametrize(
    ("step_s", "phase", "stop"), [(LONG_STEP_S + 0.1, Phase.PREFILL, "long"), (0.5, Phase.GENERATE, "one")]
)
def test_one_step_is_enough(monkeypatch: pytest.MonkeyPatch, step_s: float, phase: Phase, stop: str) -> None:
    found, _, _ = run(monkeypatch, [step_s], phase=phase)

    assert (found.stop, len(found.samples_s)) == (stop, 1)


@pytest.mark.parametrize(("last", "stop"), [(0.0219, "settled"), (0.0221, None)])
def test_ten_per_cent_of_the_median(last: float, stop: str | None) -> None:
    assert stop_rule([0.9, 0.020, 0.020, last], [None] * 4, phase=Phase.DECODE) == stop


@pytest.mark.parametrize("step_s", [0.001, 0.02, 0.15, 0.6, 1.9, 2.1, 30.0])
@pytest.mark.parametrize("phase", Phase)
def test_no_warm_up_takes_more_steps_than_planned(
    monkeypatch: pytest.MonkeyPatch, step_s: float, phase: Phase
) -> None:
    """Steps that never settle, and are no shorter than the plan thinks."""
    found, _, _ = run(monkeypatch, [step_s, 1.2 * step_s] * MOST_STEPS, phase=phase)

    assert len(found.samples_s) <= most_steps(step_s=step_s, phase=phase)
