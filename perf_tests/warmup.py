"""Warm-up: steps until their times and the GPU's clock have settled, within a limit."""

import math
import time
from dataclasses import dataclass
from statistics import median

from analytic import Phase
from perf_tests.device import Device
from perf_tests.engines.step import Step

# The rules that end a warm-up.
SETTLED = "settled"
BUDGET = "budget"
LONG = "long"
ONE = "one"

# Settled: this many steps in a row within these of each other's median. Fewer say
# nothing of a trend; steps of one process differ by 2 to 40 %, so 10 % is met on a
# calm host only, and elsewhere the budget ends it.
SETTLED_STEPS = 3
SETTLED_TIME = 0.10
# A clock that still rises moves by more; one that is capped flickers by less.
SETTLED_CLOCK = 0.02
# The budget of a case: a lane of 32 cases has 150 s in all. The first step loads
# kernels and fills the allocator, so there is a second one whatever it took.
BUDGET_S = 1.0
MOST_STEPS = 8
LEAST_STEPS = 2
# A step this long shows its pace at once, and a second one costs too much.
LONG_STEP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """Seconds of each step, and the rule that ended it."""

    samples_s: tuple[float, ...]
    stop: str


def warm_up(step: Step, device: Device, *, phase: Phase) -> WarmUp:
    """Runs a step until a rule says that it is warm; generate() runs once."""
    seconds: list[float] = []
    clocks: list[int | None] = []
    while True:
        step.reset()
        device.synchronise()
        start = time.perf_counter()
        step.run()
        device.synchronise()
        seconds.append(time.perf_counter() - start)
        clocks.append(device.sm_clock_mhz())
        if stop := stop_rule(seconds, clocks, phase=phase):
            return WarmUp(samples_s=tuple(seconds), stop=stop)


def stop_rule(seconds: list[float], clocks: list[int | None], *, phase: Phase) -> str | None:
    """The rule that ends a warm-up after these steps and the SM clock (MHz, None
    where it is not told) after each; None to go on."""
    if phase is Phase.GENERATE:
        return ONE
    if seconds[-1] > LONG_STEP_S:
        return LONG
    if _settled(seconds, SETTLED_TIME) and _settled(clocks, SETTLED_CLOCK):
        return SETTLED
    if len(seconds) >= MOST_STEPS or (len(seconds) >= LEAST_STEPS and sum(seconds) >= BUDGET_S):
        return BUDGET
    return None


def most_steps(*, step_s: float, phase: Phase) -> int:
    """How many steps of `step_s` seconds a warm-up runs at most."""
    if phase is Phase.GENERATE or step_s > LONG_STEP_S:
        return 1
    return max(LEAST_STEPS, min(MOST_STEPS, math.ceil(BUDGET_S / step_s)))


def _settled(readings: list[float] | list[int | None], share: float) -> bool:
    """Whether the last few lie within `share` of their median. What was not read
    holds nothing up."""
    if len(readings) < SETTLED_STEPS:
        return False
    last = [r for r in readings[-SETTLED_STEPS:] if r is not None]
    middle = median(last) if last else 0.0
    return all(abs(r - middle) <= share * middle for r in last)
