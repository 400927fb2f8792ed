"""What the host does in a step, counted: calls of Python, and bytes asked for.

A slower host cannot be seen by any clock on a noisy machine; more work can. It is
counted apart from the timed rounds, so that counting costs them nothing.
"""

import gc
import sys
from dataclasses import dataclass
from types import FrameType

from perf_tests.device import Device
from perf_tests.engines.step import Step

# Equal counts in two steps are the step's own. All caches are filled by now.
STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWork:
    """Of one step each: calls of Python and built-in functions, and the peak of
    allocated bytes above what was allocated when it began (None on a CPU)."""

    python_calls: tuple[int, ...]
    allocated_bytes: tuple[int, ...] | None


def count_host_work(step: Step, device: Device) -> HostWork:
    """Counts STEPS steps of a case that has been timed."""
    calls, allocated = [], []
    for _ in range(STEPS):
        step.reset()
        device.synchronise()
        device.start_peak()
        resident = device.resident_bytes()
        calls.append(_calls(step))
        device.synchronise()
        peak = device.peak_bytes()
        if resident is not None and peak is not None:
            allocated.append(peak - resident)
    return HostWork(python_calls=tuple(calls), allocated_bytes=tuple(allocated) or None)


def _calls(step: Step) -> int:
    """Calls within one run of the step, on this thread."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    profiler, collecting = sys.getprofile(), gc.isenabled()
    gc.disable()  # a collection calls finalisers, which are no part of the step
    try:
        sys.setprofile(counted)
        step.run()
    finally:
        sys.setprofile(profiler)
        if collecting:
            gc.enable()
    return count
