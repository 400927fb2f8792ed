"""The SM clock that a step is held at, against the highest that its GPU is said to have.

NVML tells the clock that is asked for. An H100 runs, for a step or for many seconds,
one or two notches of 15 MHz above the highest that NVML knows, and NVML goes on to
report the highest: seen by timing the kernel that holds the device back before a step,
which spins for a known number of cycles. A decode in NF4 then takes 0.5 % less.
"""

# A notch is 0.8 % of an H100's highest clock; what is measured is within 0.05 % of one.
TOLERANCE = 0.003


def above(clock_mhz: float | None, max_mhz: int | None) -> bool:
    """Whether a clock is above the highest; not where either is unknown."""
    return clock_mhz is not None and max_mhz is not None and clock_mhz > max_mhz * (1 + TOLERANCE)
