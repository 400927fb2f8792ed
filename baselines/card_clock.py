"""A record as its GPU would have run it at the highest SM clock that NVML reports for it.

NVML tells the clock that is asked for. An H100 runs, for a step or for many seconds, a
notch of 15 MHz or two (once five) above the highest that NVML reports, and NVML goes on
to report the highest: seen by timing the kernel that holds the device back before a
step, which spins for a known number of cycles. Fresh processes of the same code differ
by the notch.

What a step must stream from memory takes as long at any SM clock, all else follows it:
t = memory_s + (device_s - memory_s) · clock / highest, with memory_s by the datasheet's
bandwidth. Which kernels stream is not told: those of a step are scaled alike. Of a clock
below the highest nothing is made: the code's own power may have lowered it.
"""

from collections.abc import Sequence
from dataclasses import replace

from analytic import SpecError, case_bound, find_gpu
from baselines.record import KernelTime, Measurement, Record

# A notch is 0.8 % of an H100's highest clock. The clock of a hold is the mean of a
# while: where it changed meanwhile it lies between two notches.
TOLERANCE = 0.003

# No GPU runs so far above its own clock: the clock was mismeasured.
BEYOND = 0.05


def above(clock_mhz: float, highest_mhz: int | None) -> bool:
    """Whether a clock is above the highest; not where that is not known."""
    return highest_mhz is not None and clock_mhz > highest_mhz * (1 + TOLERANCE)


def beyond(clock_mhz: float, highest_mhz: int | None) -> bool:
    """Whether it is so far above that it cannot be the clock."""
    return highest_mhz is not None and clock_mhz > highest_mhz * (1 + BEYOND)


def steps_above(measurement: Measurement) -> int:
    """How many profiled steps were held at a clock above the highest."""
    return sum(above(clock, measurement.sm_clock_max_mhz) for clock in measurement.held_clock_mhz or ())


def streamed_s(record: Record) -> float:
    """What a step must stream from memory, in seconds by the datasheet's bandwidth.
    Raises SpecError for a GPU that the registry no longer holds."""
    return case_bound(record.model, record.case, find_gpu(record.gpu).roofs).memory_s


def at_card_clock(record: Record) -> Record:
    """The record with the device times and kernels of each step as they would be at the
    highest clock, where it ran above that; the record itself where no step did.

    Raises SpecError for a GPU that the registry no longer holds, and for kernels that
    are not of these steps.
    """
    sampled = record.measurement
    clocks, highest = sampled.held_clock_mhz, sampled.sm_clock_max_mhz
    if not sampled.device_s or clocks is None or highest is None or not steps_above(sampled):
        return record
    memory_s = streamed_s(record)
    scales = [
        _scale(device_s, memory_s, clock, highest)
        for device_s, clock in zip(sampled.device_s, clocks, strict=True)
    ]
    kernels = sampled.kernels
    return replace(
        record,
        measurement=replace(
            sampled,
            device_s=_scaled(sampled.device_s, scales),
            held_clock_mhz=tuple(min(clock, highest) for clock in clocks),
            kernels=None if kernels is None else tuple(_scaled_kernel(k, scales) for k in kernels),
        ),
    )


def _scale(device_s: float, memory_s: float, clock_mhz: float, highest_mhz: int) -> float:
    """What a step takes at the highest clock, as a multiple of what it took."""
    if device_s <= memory_s or not above(clock_mhz, highest_mhz) or beyond(clock_mhz, highest_mhz):
        return 1.0
    return (memory_s + (device_s - memory_s) * clock_mhz / highest_mhz) / device_s


def _scaled(times_s: Sequence[float], scales: Sequence[float]) -> tuple[float, ...]:
    return tuple(seconds * scale for seconds, scale in zip(times_s, scales, strict=True))


def _scaled_kernel(kernel: KernelTime, scales: Sequence[float]) -> KernelTime:
    if len(kernel.device_s) != len(scales):
        raise SpecError(
            f"{len(kernel.device_s)} times of {kernel.name[:40]!r} in {len(scales)} profiled steps"
        )
    return replace(kernel, device_s=_scaled(kernel.device_s, scales))
