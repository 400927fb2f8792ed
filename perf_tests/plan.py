"""What a machine can run of a lane, and how often: decided before anything runs.

Pure, so that a T4's plan can be checked on a machine without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analytic import (
    Case,
    GpuSpec,
    ModelSpec,
    Phase,
    Precision,
    case_bound,
    find_precision,
    footprint,
)
from analytic.text import gib
from baselines.expectations import Band, find_band
from perf_tests import counting, warmup
from perf_tests.pace import Pace

# Rounds of a case: as many as its budget holds, within these.
MOST_ROUNDS = 10
LEAST_ROUNDS = 3
WALL_BUDGET_S = 2.0
# Profiled steps of a case. A short step's device time differs less within a process than
# between processes: three say as much as five, in a third less of the time. A long
# step, which a power limit slows, differs within a process too.
MOST_PROFILED = 5
PROFILE_BUDGET_S = 2.0
# generate() takes about a second on a fast GPU, by a clock that is not judged: on a
# slow host two calls say as much as three.
MOST_GENERATED = 3
LEAST_GENERATED = 2
GENERATE_BUDGET_S = 2.7
# Before the profiler comes a step that ends what an earlier session left to be done.
BEFORE_PROFILE = 1
# Before the profiled steps come others: the first long steps after a rest run faster
# than a power limit lets them go on. Short steps are timed rested; one before them
# tells the host's pace.
MOST_LEAD_IN = 3
LEAD_IN_BUDGET_S = 1.0
LIMITED_STEP_S = 0.05
# A step is held back under the profiler for so many times what the host then needs to
# launch it, unless it is long and its launches end well before it does: a GPU that
# rested would run it faster than its power limit lets it go on.
HOLD_LAUNCHES = 1.2
HOST_BOUND_SHARE = 0.9
# How rested the GPU is moves a short step too, by up to 1 %: so it rests as long on a
# fast host. Beyond the longest hold a queue of launches is full on any host.
LEAST_HOLD_S = 0.1
LONGEST_HOLD_S = 0.25
# Steps of a burst that is synchronised only at its end, and how many bursts.
BURSTS = 5
MOST_BURST_STEPS = 50
LEAST_BURST_STEPS = 5
BURST_BUDGET_S = 0.3

# cuBLAS workspaces, allocator rounding and what the profiler holds.
WORKSPACE_BYTES = 256 * 2**20

# What to assume of a case that no band covers.
UNKNOWN_FRACTION = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a plan needs to know of a machine. `gpu` is None for a CPU;
    `capacity_bytes` is what a model may occupy; `no_quantiser` is why bitsandbytes
    cannot be used, None if it can."""

    gpu: GpuSpec | None
    capacity_bytes: int
    no_quantiser: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A case on a machine: the peak memory predicted for it, None where its dtype
    cannot run there, and in `skip` why it cannot, with numbers."""

    case: Case
    footprint_bytes: int | None
    skip: str | None


def plan_case(case: Case, model: ModelSpec, machine: Machine) -> Plan:
    precision = find_precision(case.precision)
    if lacking := _lacking(precision, machine):
        return Plan(case=case, footprint_bytes=None, skip=lacking)
    need = footprint(model, case, precision, machine.gpu)
    total = need.total_bytes
    if case.phase is Phase.DECODE:
        # The harness keeps the filled cache beside the one that a step grows.
        total += need.kv_bytes
    return Plan(case=case, footprint_bytes=total, skip=_obstacle(precision, total, machine))


def _lacking(precision: Precision, machine: Machine) -> str | None:
    if machine.gpu is not None:
        for dtype in sorted(set(precision.dtypes)):
            if not machine.gpu.supports(dtype):
                return f"{machine.gpu.key} has no {dtype} units"
    return None


def _obstacle(precision: Precision, need_bytes: int, machine: Machine) -> str | None:
    if precision.quantised and machine.no_quantiser:
        return machine.no_quantiser
    if need_bytes + WORKSPACE_BYTES > machine.capacity_bytes:
        return (
            f"needs {gib(need_bytes + WORKSPACE_BYTES)} of memory by prediction; "
            f"{gib(machine.capacity_bytes)} are free"
        )
    return None


def rounds(*, step_s: float, phase: Phase) -> int:
    """Timed rounds of a case whose step takes `step_s` seconds."""
    if phase is Phase.GENERATE:
        return _fitting(GENERATE_BUDGET_S, step_s, least=LEAST_GENERATED, most=MOST_GENERATED)
    return _fitting(WALL_BUDGET_S, step_s, least=LEAST_ROUNDS, most=MOST_ROUNDS)


def profiled_steps(*, step_s: float) -> int:
    if step_s < LIMITED_STEP_S:
        return LEAST_ROUNDS
    return _fitting(PROFILE_BUDGET_S, step_s, least=LEAST_ROUNDS, most=MOST_PROFILED)


def lead_in_steps(*, step_s: float) -> int:
    if step_s < LIMITED_STEP_S:
        return 1
    return _fitting(LEAD_IN_BUDGET_S, step_s, least=1, most=MOST_LEAD_IN)


def hold_s(plain: Pace, profiled: Pace) -> float:
    """Seconds for which the device is held before a profiled step, by its pace
    outside the profiler and within."""
    if plain.step_s >= LIMITED_STEP_S and plain.host_s < HOST_BOUND_SHARE * plain.step_s:
        return 0.0
    return max(LEAST_HOLD_S, min(HOLD_LAUNCHES * profiled.host_s, LONGEST_HOLD_S))


def burst_steps(*, step_s: float) -> int:
    return _fitting(BURST_BUDGET_S, step_s, least=LEAST_BURST_STEPS, most=MOST_BURST_STEPS)


def _fitting(budget_s: float, step_s: float, *, least: int, most: int) -> int:
    """How many steps a budget holds, within these."""
    return max(least, min(most, int(budget_s / step_s)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A planned case's step time and total, in seconds, by the low end of its band."""

    step_s: float
    rounds: int
    profiled: int
    total_s: float


def estimate(case: Case, model: ModelSpec, gpu: GpuSpec, bands: Sequence[Band]) -> Estimate:
    """How long a case takes on a GPU, pessimistically."""
    band = find_band(bands, gpu=gpu.key, case=case)
    fraction = band.low if band else UNKNOWN_FRACTION
    step_s = case_bound(model, case, gpu.roofs).lower_s / fraction
    timed = rounds(step_s=step_s, phase=case.phase)
    # generate() is timed on the wall alone; its steps are cases of their own.
    profiled, looked_at = 0, 0
    if case.phase is not Phase.GENERATE:
        profiled = profiled_steps(step_s=step_s)
        looked_at = BEFORE_PROFILE + lead_in_steps(step_s=step_s) + profiled + counting.STEPS
    runs = warmup.most_steps(step_s=step_s, phase=case.phase) + timed + looked_at
    return Estimate(step_s=step_s, rounds=timed, profiled=profiled, total_s=runs * step_s)
