"""Device time: the union of the kernels' intervals in a step, by CUPTI; and what a step does.

CUPTI slows whatever runs after it in the process unless it is torn down, for
which TEARDOWN_CUPTI=1 must be set before torch is imported. So within a case the
wall is timed first, and a measurement made where the tear-down is off is invalid.
"""

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import median_low

from baselines.record import KernelTime
from perf_tests.device import Device, Spin
from perf_tests.engines.step import Step
from perf_tests.kineto import RUN_RANGE, STEP_RANGE, DeviceEvent, Trace, read, union_ns, within
from perf_tests.module_ranges import kernel_operator
from perf_tests.pace import Pace, paced

TEARDOWN = "TEARDOWN_CUPTI"


class ProfilerStateError(RuntimeError):
    """The profiler would spoil what is timed after it."""


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


def torn_down() -> bool:
    """Whether the profiler leaves no trace behind in this process."""
    return os.environ.get(TEARDOWN) == "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Per profiled step: device time in seconds, and counts. What the device does is
    None where it cannot be seen, with the reason in `note`. `hold_s` is for how long
    the device was held before each, `held_clock_mhz` the SM clock at the end of each
    hold; None where none was held."""

    aten_ops: tuple[int, ...]
    hold_s: float = 0.0
    held_clock_mhz: tuple[float, ...] | None = None
    note: str | None = None
    device_s: tuple[float, ...] | None = None
    launches: tuple[int, ...] | None = None
    copies: tuple[int, ...] | None = None
    syncs: tuple[int, ...] | None = None
    kernels: tuple[KernelTime, ...] | None = None


@contextmanager
def _unwarned() -> Iterator[None]:
    """Every session of the profiler stands alone here, which is what torch warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Profiler clears events")
        yield


def _unheld(_plain: Pace, _profiled: Pace) -> float:
    return 0.0


def profile_steps(
    step: Step,
    device: Device,
    *,
    steps: int,
    lead_in: int = 0,
    hold_s: Callable[[Pace, Pace], float] = _unheld,
    ranges: AbstractContextManager[object] | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> Profile:
    """Profiles `steps` steps after `lead_in` others that are not counted.

    Before each that is, the device is held for `hold_s(plain, profiled)` seconds, by
    the pace of a step outside the profiler and of the last of the lead-in. Held, it
    rests, and the host gets ahead: a kernel that follows a pause takes longer, and how
    long the pauses are is the host's doing. Unheld steps follow each other without a
    rest, as a power limit lets them go on. `ranges` marks operators while it is open.
    `at_end` is called right after the last step: reading what the profiler saw takes
    a while.
    """
    from torch.profiler import ProfilerActivity, profile, record_function

    # CUPTI's tear-down after an earlier session is done at the next call to the
    # device; one that is still due would blind this session.
    plain = paced(step, device)
    activities = [ProfilerActivity.CPU]
    if device.torch_device != "cpu":
        activities.append(ProfilerActivity.CUDA)
    profiler = profile(activities=activities)
    spins: list[Spin] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        with ranges or nullcontext(), _unwarned(), profiler:
            seconds = 0.0
            for _ in range(lead_in):
                seconds = hold_s(plain, paced(step, device))
            for _ in range(steps):
                step.reset()
                device.synchronise()
                spin = device.hold(seconds)
                with record_function(STEP_RANGE):
                    with record_function(RUN_RANGE):
                        step.run()
                    device.synchronise()
                if spin is not None:
                    spins.append(spin)
            at_end()
    finally:
        if collecting:
            gc.enable()
    trace = read(profiler.profiler.kineto_results.events())
    found = _profile(trace, steps=steps, on_cpu=device.torch_device == "cpu", ranged=ranges is not None)
    clocks = tuple(spin.clock_mhz() for spin in spins)
    return replace(found, hold_s=seconds, held_clock_mhz=clocks or None)


def _profile(trace: Trace, *, steps: int, on_cpu: bool, ranged: bool) -> Profile:
    aten_ops = tuple(within(trace.aten_ns, run) for run in trace.runs)
    if on_cpu:
        return Profile(aten_ops=aten_ops, note="a CPU has no device clock")
    if not trace.device:
        return Profile(aten_ops=aten_ops, note="the profiler saw no kernel (no access to CUPTI?)")
    if len(trace.steps) != steps:
        return Profile(aten_ops=aten_ops, note=f"the profiler returned {len(trace.steps)} of {steps} steps")
    # By their launches: what held the device back was launched before the step.
    per_step = [[e for e in trace.device if window.holds(e.launched_ns)] for window in trace.steps]
    if not all(per_step):
        return Profile(aten_ops=aten_ops, note="the profiler returned a step without kernels")
    return Profile(
        aten_ops=aten_ops,
        device_s=tuple(union_ns(events) / 1e9 for events in per_step),
        launches=tuple(sum(e.kind == "kernel" for e in events) for events in per_step),
        copies=tuple(sum(e.kind == "Memcpy" for e in events) for events in per_step),
        syncs=tuple(within(trace.syncs_ns, run) for run in trace.runs),
        kernels=kernel_times(per_step, ranged=ranged),
    )


def kernel_times(per_step: Sequence[Sequence[DeviceEvent]], *, ranged: bool) -> tuple[KernelTime, ...]:
    """The events of each step summed by operator and name. `ranged`: operators were
    marked, so that what lies in none is "other"."""
    sums: dict[tuple[str | None, str], list[list[int]]] = {}
    for number, events in enumerate(per_step):
        for event in events:
            operator = kernel_operator(event.operator or "other", event.name) if ranged else None
            times = sums.setdefault((operator, event.name), [[] for _ in per_step])
            times[number].append(event.end_ns - event.start_ns)
    return tuple(
        KernelTime(
            operator=operator,
            name=name,
            launches=median_low([len(times) for times in steps]),
            device_s=tuple(sum(times) / 1e9 for times in steps),
        )
        for (operator, name), steps in sorted(sums.items(), key=lambda item: -sum(map(sum, item[1])))
    )
