"""Device time: the union of the kernels' intervals in a step, by CUPTI.

CUPTI slows whatever runs after it in the process unless it is torn down, for
which TEARDOWN_CUPTI=1 must be set before torch is imported. So within a case
the wall is timed first, and nothing is timed at all where the tear-down is off.
"""

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perf_tests.device import Device
from perf_tests.engine import Step

TEARDOWN = "TEARDOWN_CUPTI"
_RANGE = "roofgate.step"


class ProfilerStateError(RuntimeError):
    """The profiler would spoil, or has spoilt, what is timed after it."""


def arrange_teardown() -> None:
    """Asks for the tear-down; must come before torch is imported.

    Raises ProfilerStateError where torch is there already without it.
    """
    if sys.modules.get("torch") is not None and os.environ.get(TEARDOWN) != "1":
        raise ProfilerStateError(
            f"torch was imported before Roofgate could set {TEARDOWN}=1, so the profiler would slow "
            "everything timed after it: set it in the environment, or import torch later"
        )
    os.environ[TEARDOWN] = "1"


def require_teardown() -> None:
    """Raises ProfilerStateError where the tear-down has been turned off since."""
    if os.environ.get(TEARDOWN) != "1":
        raise ProfilerStateError(
            f"{TEARDOWN} is {os.environ.get(TEARDOWN)!r}, not '1': a profiler that was used in this "
            "process would slow everything timed after it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One kernel, copy (Memcpy) or fill (Memset) on the device, in nanoseconds."""

    kind: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Per profiled step: device time in seconds, kernels launched, copies made."""

    device_s: tuple[float, ...]
    launches: tuple[int, ...]
    copies: tuple[int, ...]


def profile_steps(step: Step, device: Device, *, steps: int) -> Profile | str:
    """Profiles a CUDA step; the reason, as text, where the profiler saw no kernel."""
    from torch.profiler import ProfilerActivity, profile, record_function

    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with warnings.catch_warnings():
        # Every session of the profiler stands alone here, which is what it warns of.
        warnings.filterwarnings("ignore", message=".*Profiler clears events")
        profiler = profile(activities=activities)
    with profiler:
        for _ in range(steps):
            step.reset()
            device.synchronise()
            with record_function(_RANGE):
                step.run()
                device.synchronise()
    windows, intervals = _read(profiler.profiler.kineto_results.events())
    if not intervals:
        return "the profiler saw no kernel (no access to CUPTI?)"
    if len(windows) != steps:
        return f"the profiler returned {len(windows)} of {steps} steps"
    per_step = [[i for i in intervals if start <= i.start_ns < end] for start, end in windows]
    if not all(per_step):
        return "the profiler returned a step without kernels"
    return Profile(
        device_s=tuple(union_ns(step_intervals) / 1e9 for step_intervals in per_step),
        launches=tuple(sum(i.kind == "kernel" for i in s) for s in per_step),
        copies=tuple(sum(i.kind == "Memcpy" for i in s) for s in per_step),
    )


def _read(events: Iterable) -> tuple[list[tuple[int, int]], list[Interval]]:
    """(step windows, device intervals) from raw Kineto events; building torch's
    event tree takes seconds for the thousands of kernels of a step."""
    from torch.autograd import DeviceType

    windows, intervals = [], []
    for event in events:
        on_host = event.device_type() == DeviceType.CPU
        # A range is reported twice: on the host, and as a shadow on the device.
        if event.is_user_annotation():
            if on_host and event.name() == _RANGE:
                windows.append((event.start_ns(), event.start_ns() + event.duration_ns()))
        elif not on_host:
            start = event.start_ns()
            intervals.append(
                Interval(kind=_kind(event.name()), start_ns=start, end_ns=start + event.duration_ns())
            )
    return sorted(windows), intervals


def _kind(name: str) -> str:
    """Kineto tells copies and fills from kernels by their names alone (torch < 2.13)."""
    return next((kind for kind in ("Memcpy", "Memset") if name.startswith(kind)), "kernel")


def union_ns(intervals: Sequence[Interval]) -> int:
    """The time during which at least one of the intervals runs."""
    total, reached = 0, 0
    for interval in sorted(intervals, key=lambda i: i.start_ns):
        start = max(interval.start_ns, reached)
        total += max(0, interval.end_ns - start)
        reached = max(reached, interval.end_ns)
    return total
