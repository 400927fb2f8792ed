"""Is the measurement worth judging? What the GPU's state says of it.

A power cap spoils nothing, for during prefill it is normal: it is told as a share.
"""

from analytic import text
from baselines.card_clock import BEYOND, beyond
from baselines.record import Conditions, Measurement

# Reasons for a lower clock under which a time says nothing about the code: those
# that NVML counts the seconds of, and one that can only be seen at a moment.
SPOILING_COUNTERS = ("sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake")
SPOILING_REASONS = ("hw_slowdown", *SPOILING_COUNTERS)
POWER_CAP = "sw_power_cap"

# Memory in use before this run's own context: more than a driver takes for itself
# (0.5 GB on an H100), less than any model.
MEMORY_AT_START_BYTES = 2**30

# How far below its maximum a memory clock may be: GeForce cards compute 2 to 3 %
# below it by design.
MEMORY_CLOCK_SHORT = 0.05


def spoilers(measurement: Measurement) -> tuple[str, ...]:
    """Why a measurement says nothing about the code, in words; empty where nothing spoils it."""
    return (*passing_spoilers(measurement), *_lasting_spoilers(measurement))


def passing_spoilers(measurement: Measurement) -> tuple[str, ...]:
    """Those that a pause may end, so that the case is worth another attempt."""
    seen = measurement.conditions
    if seen is None:
        return ()
    return (*_slowed(seen), *_foreign(seen), *_memory_clock(seen), *_sm_clock(measurement))


def power_capped_share(conditions: Conditions) -> float | None:
    """The share of the time in which the power limit held the clock down; None
    where it is not counted."""
    counted = conditions.slowed_s
    if counted is None or POWER_CAP not in counted or conditions.observed_s <= 0:
        return None
    # The counter and the clock are not read at one moment.
    return min(1.0, counted[POWER_CAP] / conditions.observed_s)


def _lasting_spoilers(measurement: Measurement) -> list[str]:
    found = []
    seen = measurement.conditions
    if (
        seen is not None
        and not seen.foreign
        and seen.memory_at_start_bytes is not None
        and seen.memory_at_start_bytes > MEMORY_AT_START_BYTES
    ):
        found.append(
            f"{text.gib(seen.memory_at_start_bytes)} of the GPU were in use before this run, by a process "
            f"that is not shown; {text.gib(MEMORY_AT_START_BYTES)} are allowed"
        )
    if not measurement.teardown:
        found.append(
            "a profiler was used in this process without being torn down, which slows whatever is timed "
            "after it: TEARDOWN_CUPTI=1 must be set before torch is imported"
        )
    return found


def _slowed(seen: Conditions) -> list[str]:
    counted = {name: (seen.slowed_s or {}).get(name, 0.0) for name in SPOILING_COUNTERS}
    found = [
        f"the GPU was slowed by {name} for {text.seconds(slowed_s)} of {text.seconds(seen.observed_s)}"
        for name, slowed_s in counted.items()
        if slowed_s > 0
    ]
    readings = [set(state.event_reasons or ()) for state in seen.states]
    for name in SPOILING_REASONS:
        times = sum(name in reading for reading in readings)
        if times and not counted.get(name):
            found.append(f"the GPU was slowed by {name} in {times} of {len(readings)} readings")
    return found


def _foreign(seen: Conditions) -> list[str]:
    return [f"others used the GPU: {', '.join(seen.foreign)}"] if seen.foreign else []


def _sm_clock(measurement: Measurement) -> list[str]:
    highest, clocks = measurement.sm_clock_max_mhz, measurement.held_clock_mhz or ()
    odd = [clock for clock in clocks if beyond(clock, highest)]
    if not odd:
        return []
    seen = f"the SM clock was measured at {max(odd):,.0f} MHz in {len(odd)} of {len(clocks)} steps"
    allowed = text.percent(BEYOND, digits=0)
    return [f"{seen}; {highest:,} MHz are its highest, and up to {allowed} more may be"]


def _memory_clock(seen: Conditions) -> list[str]:
    """By the readings during and after the steps, of which one may find the GPU idle
    again and its clocks on their way down."""
    most = seen.memory_clock_max_mhz
    clocks = [
        state.memory_clock_mhz
        for state in (*seen.during, seen.after)
        if state.memory_clock_mhz is not None and "gpu_idle" not in (state.event_reasons or ())
    ]
    if not most or not clocks or min(clocks) >= (1 - MEMORY_CLOCK_SHORT) * most:
        return []
    lowest = min(clocks)
    below = text.percent(1 - lowest / most)
    allowed = text.percent(MEMORY_CLOCK_SHORT, digits=0)
    return [f"the memory clock was at {lowest} MHz, {below} below its {most} MHz; {allowed} are allowed"]
