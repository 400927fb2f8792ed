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

# Rounds of a case: as many as its budget holds, within these.
MOST_ROUNDS = 10
LEAST_ROUNDS = 3
MOST_PROFILED = 5
GENERATE_ROUNDS = 3
WALL_BUDGET_S = 3.0
PROFILE_BUDGET_S = 2.0
# Every case is stepped this often before it is timed: the first pass loads
# kernels and fills the allocator, the second shows its pace.
WARMUPS = 2
GENERATE_WARMUPS = 1
# A step this long shows its pace at once, and a second warm-up costs too much.
LONG_STEP_S = 2.0

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
        return GENERATE_ROUNDS
    return max(LEAST_ROUNDS, min(MOST_ROUNDS, int(WALL_BUDGET_S / step_s)))


def profiled_steps(*, step_s: float) -> int:
    return max(LEAST_ROUNDS, min(MOST_PROFILED, int(PROFILE_BUDGET_S / step_s)))


def warmups(*, first_s: float, phase: Phase) -> int:
    """Warm-up steps, given how long the first of them took."""
    if phase is Phase.GENERATE or first_s > LONG_STEP_S:
        return GENERATE_WARMUPS
    return WARMUPS


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
    profiled = 0 if case.phase is Phase.GENERATE else profiled_steps(step_s=step_s)
    runs = warmups(first_s=step_s, phase=case.phase) + timed + profiled
    return Estimate(step_s=step_s, rounds=timed, profiled=profiled, total_s=runs * step_s)
