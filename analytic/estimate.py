"""How long eager execution takes: an estimate with an interval, not a bound.

Every kernel of the tape takes a fixed time and then the longer of its
arithmetic and its traffic, each at a share of what this machine was measured to
reach (or, where it was not, at the H100's shares of its datasheet). The shares
were fitted to device times by CUPTI on one H100: 18 cases of Mistral-7B, and for
strided copies and 4-bit kernels of small matrices some of Pythia-2.8B and
Qwen2.5-1.5B. `python -m perf_tests.estimate_error` prints the error on models and
sizes that they were not fitted to.

The wall is the device's time or the host's, whichever is longer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from analytic.bitsandbytes import VERSION
from analytic.bound import pass_bound
from analytic.counting import cost_of
from analytic.eager import eager_tape
from analytic.gpus import GpuSpec
from analytic.l2 import Cache, Moved
from analytic.models import ModelSpec
from analytic.passes import Pass
from analytic.precision import Precision
from analytic.roofs import Ceilings

H100_SMS = 132
# What an H100 was measured to reach of its datasheet: copy, read, GEMM.
COPY_SHARE, READ_SHARE, GEMM_SHARE = 0.88, 0.77, 0.76

# Host seconds per launch where none was measured: four runs on H100 machines took
# 8.0 to 12.8 µs for the launches of RMSNorms (perf_tests/launch_gap.py).
LAUNCH_GAP_S = 10.5e-6
# A model's host works longer than that: modules, caches and masks between launches,
# and bitsandbytes' Python in every quantised linear, as long as so many launches.
# Fitted to the walls of 43 passes in the same runs that waited for the host; nine in
# ten lie within the factors, for hosts are no calmer than that.
HOST_SHARE, QUANTISED_LAUNCHES = 1.55, 3
GAP_LOW, GAP_HIGH = 0.7, 1.9

# Relative half-widths of the interval: on the GPU of the calibration for families
# whose kernels were compared launch by launch (all 48 held-out cases lie within),
# there for other families, and elsewhere, where nothing was measured.
CLOSE, NEAR, FAR = 0.15, 0.30, 0.50
CALIBRATED_ON = ("h100-sxm",)
COMPARED = ("mistral", "llama", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How kernels of a kind run: `fixed_s` each, then DRAM bytes at `dram` and cached
    ones at `cached` of the copy ceiling, FLOPs at `compute` of the GEMM ceiling."""

    fixed_s: float
    dram: float
    cached: float
    compute: float = 1.0


_ELEMENTWISE = Pace(fixed_s=1.7e-6, dram=0.72, cached=1.2)
PACES: Mapping[str, Pace] = {
    "gemm": Pace(fixed_s=2.7e-6, dram=0.92, cached=1.0, compute=0.965),
    "attention": Pace(fixed_s=6.0e-6, dram=0.80, cached=1.1, compute=0.95),
    "dequantise": Pace(fixed_s=2.0e-6, dram=0.74, cached=0.90),
    "stream": Pace(fixed_s=1.7e-6, dram=0.95, cached=1.1),
    "copy": Pace(fixed_s=1.7e-6, dram=0.36, cached=0.36),
}

# bitsandbytes' fused 4-bit kernels unpack in the ALUs. Below 8 tokens (a warp
# walks a row): seconds per weight, as a + b x tokens, and per input of a row. From
# 8 on (tensor cores): seconds per input for each round of 64-row tiles.
FOUR_BIT_FIXED_S = 2.8e-6
FOUR_BIT_WEIGHT_S = (0.229e-12, 0.267e-12)
FOUR_BIT_ROW_S = 1.3e-9
FOUR_BIT_TILE_S, FOUR_BIT_TILE_ROWS, FOUR_BIT_TILES_FROM = 8.0e-9, 64, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A time in seconds, and between what it is expected to lie."""

    low_s: float
    typical_s: float
    high_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEstimate:
    name: str
    device_s: float
    launches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One pass under eager execution. `overhead_s` is launches x the launch gap, the
    third roof; `host_s` what the host is expected to take, that of `host_launches`
    with the Python around them; `basis` says what the figures rest on."""

    device: Interval
    wall: Interval
    overhead_s: float
    host_s: float
    launches: int
    host_launches: int
    operators: tuple[OperatorEstimate, ...]
    basis: str


def typical_ceilings(gpu: GpuSpec) -> Ceilings:
    """What `gpu` would reach at the H100's shares of the datasheet."""
    return Ceilings(
        device=gpu.key,
        copy_bytes_per_s=gpu.bytes_per_s * COPY_SHARE,
        read_bytes_per_s=gpu.bytes_per_s * READ_SHARE,
        gemm_flops_per_s={dtype: peak * GEMM_SHARE for dtype, peak in gpu.flops_per_s.items()},
        launch_gap_s=None,
    )


def estimate(
    model: ModelSpec,
    shape: Pass,
    precision: Precision,
    gpu: GpuSpec,
    *,
    ceilings: Ceilings | None = None,
    attention: str = "auto",
    bitsandbytes: tuple[int, int] = VERSION,
) -> Estimate:
    """Device and wall time of one eager pass, in seconds.

    `ceilings` are what the machine was measured to reach. Raises SpecError where
    the GPU lacks a dtype, or `attention` cannot run.
    """
    tape = eager_tape(model, shape, precision, gpu, attention=attention, bitsandbytes=bitsandbytes)
    moved = Cache(bytes=gpu.l2_bytes, sm_count=gpu.sm_count).play(tape.kernels)
    reached = ceilings or typical_ceilings(gpu)
    operators = _by_operator(moved, reached, gpu)
    # An estimate may not promise what nothing can reach.
    least_s = pass_bound(cost_of(model, shape, precision), gpu.roofs).lower_s
    device_s = max(least_s, sum(op.device_s for op in operators))
    gap = reached.launch_gap_s or LAUNCH_GAP_S
    quantised = sum(count for count, linear in model.linears if precision.converts(linear))
    host_launches = tape.launches + QUANTISED_LAUNCHES * quantised
    host_s = gap * HOST_SHARE * host_launches
    width = _half_width(model, gpu)
    device = Interval(
        low_s=max(least_s, device_s * (1 - width)), typical_s=device_s, high_s=device_s * (1 + width)
    )
    wall = Interval(
        low_s=max(device.low_s, host_s * GAP_LOW),
        typical_s=max(device_s, host_s),
        high_s=max(device.high_s, host_s * GAP_HIGH),
    )
    return Estimate(
        device=device,
        wall=wall,
        overhead_s=gap * tape.launches,
        host_s=host_s,
        launches=tape.launches,
        host_launches=host_launches,
        operators=operators,
        basis=_basis(gpu, ceilings),
    )


def _half_width(model: ModelSpec, gpu: GpuSpec) -> float:
    if gpu.key not in CALIBRATED_ON:
        return FAR
    return CLOSE if model.model_type in COMPARED else NEAR


def _basis(gpu: GpuSpec, ceilings: Ceilings | None) -> str:
    roofs = "measured ceilings" if ceilings else "the H100's shares of the datasheet"
    paces = "calibrated on this GPU" if gpu.key in CALIBRATED_ON else "kernel paces of an H100, untested here"
    return f"{roofs}; {paces}"


def _by_operator(moved: Sequence[Moved], ceilings: Ceilings, gpu: GpuSpec) -> tuple[OperatorEstimate, ...]:
    seconds: dict[str, float] = {}
    launches: dict[str, int] = {}
    for step in moved:
        name = step.kernel.operator
        times = step.kernel.times
        seconds[name] = seconds.get(name, 0.0) + kernel_s(step, ceilings, gpu) * times
        launches[name] = launches.get(name, 0) + times
    return tuple(
        OperatorEstimate(name=name, device_s=seconds[name], launches=launches[name]) for name in seconds
    )


def kernel_s(step: Moved, ceilings: Ceilings, gpu: GpuSpec) -> float:
    """Device time of one kernel, in seconds."""
    kernel = step.kernel
    pace = PACES.get(kernel.kind, _ELEMENTWISE)
    dram = step.read_bytes + step.written_bytes
    cached = max(0.0, kernel.read_bytes + kernel.written_bytes - dram)
    copy = ceilings.copy_bytes_per_s
    memory_s = dram / (pace.dram * copy) + cached / (pace.cached * copy)
    compute_s = 0.0
    if kernel.gemm:
        peak = (
            ceilings.gemm_flops_per_s.get(kernel.gemm.math) or gpu.roofs.peak(kernel.gemm.math) * GEMM_SHARE
        )
        compute_s = kernel.gemm.flops / (pace.compute * peak)
    if kernel.kind == "gemm_4bit" and kernel.gemm:
        unpacked_s = _four_bit_s(kernel.gemm.m, kernel.gemm.n, kernel.gemm.k, gpu)
        return max(unpacked_s, FOUR_BIT_FIXED_S + memory_s, compute_s)
    return pace.fixed_s + max(memory_s, compute_s)


def _four_bit_s(tokens: int, rows: int, cols: int, gpu: GpuSpec) -> float:
    if tokens >= FOUR_BIT_TILES_FROM:
        rounds = ceil(ceil(rows / FOUR_BIT_TILE_ROWS) / gpu.sm_count)
        return FOUR_BIT_FIXED_S + rounds * cols * FOUR_BIT_TILE_S
    fixed, each = FOUR_BIT_WEIGHT_S
    per_weight = fixed + each * tokens
    slower = per_weight / (fixed + each)
    # Fitted on the H100's 132 multiprocessors; a chip with fewer walks fewer rows at once.
    return FOUR_BIT_FIXED_S + max(
        rows * cols * per_weight * H100_SMS / gpu.sm_count, cols * FOUR_BIT_ROW_S * slower
    )
