"""The smallest difference of times that the device's clock shows: shorter than a
few of these, a time is a guess."""

import time
from collections.abc import Sequence
from itertools import pairwise

from perf_tests.device import CudaDevice, Device

# Pairs of events, or of readings of the host's clock.
PAIRS = 500
# elapsed_time is a float in ms: what differs by less than this is rounding.
ROUNDING_S = 1e-10


def event_resolution_s(device: Device) -> float | None:
    """Of CUDA events, or on a CPU of time.perf_counter; None where every reading is the same."""
    if isinstance(device, CudaDevice):
        return smallest_step(_event_times_s())
    readings = [time.perf_counter_ns() for _ in range(PAIRS)]
    return smallest_step([(then - now) / 1e9 for now, then in pairwise(readings)])


def smallest_step(times_s: Sequence[float]) -> float | None:
    """The smallest difference between two of the times that are not the same."""
    steps = (later - earlier for earlier, later in pairwise(sorted(times_s)))
    return min((step for step in steps if step > ROUNDING_S), default=None)


def _event_times_s() -> list[float]:
    """Times between two events recorded one after the other: a few microseconds each."""
    import torch

    events = [torch.cuda.Event(enable_timing=True) for _ in range(2 * PAIRS)]
    for event in events:
        event.record()
    events[-1].synchronize()
    return [start.elapsed_time(end) / 1e3 for start, end in zip(events[::2], events[1::2], strict=True)]
