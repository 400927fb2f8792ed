"""Device time at the highest SM clock that a card is said to have.

NVML tells the clock that is asked for. An H100 runs, for a step or for minutes, a notch
of 15 MHz or two above the highest that NVML knows, which NVML goes on to report: seen
by timing the kernel that holds the device back before a step, which spins for a known
number of cycles. Fresh processes of the same code then differ by the notch.

What streams from memory takes as long at any SM clock; all else follows it. So
t = memory_s + (device_s - memory_s) · clock / max, with memory_s the bytes that a step
must move over the datasheet's bandwidth. Of a clock below the highest nothing is made:
the code's own power may have lowered it.
"""

from collections.abc import Sequence

# A notch is 0.8 % of an H100's highest clock; the measured one is within 0.05 % of it.
TOLERANCE = 0.003


def above(clock_mhz: float, max_mhz: int | None) -> bool:
    """Whether a clock is above the highest; not where that is unknown."""
    return max_mhz is not None and clock_mhz > max_mhz * (1 + TOLERANCE)


def at_card_clock(
    device_s: Sequence[float], clocks_mhz: Sequence[float] | None, *, max_mhz: int | None, memory_s: float
) -> tuple[float, ...]:
    """Device times of steps at these clocks, in seconds, as they would be at `max_mhz`
    where the clock was above it; as they are where either is unknown."""
    if clocks_mhz is None or max_mhz is None:
        return tuple(device_s)
    return tuple(
        seconds + max(0.0, seconds - memory_s) * (clock / max_mhz - 1) if above(clock, max_mhz) else seconds
        for seconds, clock in zip(device_s, clocks_mhz, strict=True)
    )
