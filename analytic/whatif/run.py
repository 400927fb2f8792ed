"""A way of running a case, as the model sees it: its bound and its device time."""

from dataclasses import dataclass

from analytic.bound import case_bound
from analytic.case import Case, Phase
from analytic.estimate import CALIBRATED_ON, FAR, NEAR, Estimate, Interval, estimate
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.passes import case_pass
from analytic.precision import find_precision
from analytic.roofs import Ceilings, Roofs


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One pass (of generate(): all; of speculation: a round) that yields `tokens`.

    `lower_s` is its bound and `device` the modelled device time, in seconds;
    `launches` is what the host has to launch for it. Where there is no estimate,
    `device` stands on the bound and one launch is the whole pass.
    """

    lower_s: float
    device: Interval
    launches: float
    tokens: float


def estimable(case: Case, gpu: GpuSpec | None) -> bool:
    """Whether estimate.py knows this: one pass, on a GPU whose kernels are CUDA's."""
    return gpu is not None and case.phase is not Phase.GENERATE and gpu.eager_modelled


def eager_estimate(
    model: ModelSpec, case: Case, gpu: GpuSpec, ceilings: Ceilings | None, *, attention: str = "auto"
) -> Estimate:
    """Raises SpecError where the GPU lacks a dtype, or `attention` cannot run."""
    precision = find_precision(case.precision)
    return estimate(model, case_pass(case), precision, gpu, ceilings=ceilings, attention=attention)


def eager_run(
    model: ModelSpec,
    case: Case,
    *,
    gpu: GpuSpec | None,
    roofs: Roofs,
    ceilings: Ceilings | None,
    attention: str = "auto",
) -> Run:
    """A case under eager execution; by its bound where there is no estimate.
    Raises SpecError where a dtype has no roof."""
    lower_s = case_bound(model, case, roofs).lower_s
    if gpu is None or not estimable(case, gpu):
        return by_bound(lower_s, case.new_tokens)
    found = eager_estimate(model, case, gpu, ceilings, attention=attention)
    return Run(lower_s=lower_s, device=found.device, launches=found.host_launches, tokens=case.new_tokens)


def by_bound(lower_s: float, tokens: float) -> Run:
    return Run(lower_s=lower_s, device=around(lower_s, FAR), launches=1, tokens=tokens)


def around(typical_s: float, width: float) -> Interval:
    """An interval of a relative half-width."""
    return Interval(low_s=typical_s * (1 - width), typical_s=typical_s, high_s=typical_s * (1 + width))


def unproven_width(gpu: GpuSpec) -> float:
    """The half-width for kernels that were compared on no or few cases."""
    return NEAR if gpu.key in CALIBRATED_ON else FAR


def scaled(interval: Interval, factor: float) -> Interval:
    return Interval(
        low_s=interval.low_s * factor,
        typical_s=interval.typical_s * factor,
        high_s=interval.high_s * factor,
    )


def added(one: Interval, other: Interval) -> Interval:
    """The sum of two times that err together."""
    return Interval(
        low_s=one.low_s + other.low_s,
        typical_s=one.typical_s + other.typical_s,
        high_s=one.high_s + other.high_s,
    )


def longer(one: Interval, other: Interval) -> Interval:
    """The longer of two times that run side by side."""
    return Interval(
        low_s=max(one.low_s, other.low_s),
        typical_s=max(one.typical_s, other.typical_s),
        high_s=max(one.high_s, other.high_s),
    )
