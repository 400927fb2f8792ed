"""generate() as a whole: a prefill and decode steps on a cache that grows."""

from dataclasses import dataclass

from analytic.bitsandbytes import VERSION
from analytic.bound import Bound, pass_bound, sequence_bound
from analytic.case import Case, Phase
from analytic.counting import case_costs
from analytic.errors import SpecError
from analytic.estimate import Estimate, Interval, estimate
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.passes import Pass, case_passes
from analytic.precision import Precision
from analytic.roofs import Ceilings, Roofs


@dataclass(frozen=True, slots=True, kw_only=True)
class Eager:
    """How eager execution runs, as estimate() takes it."""

    ceilings: Ceilings | None = None
    attention: str = "auto"
    bitsandbytes: tuple[int, int] = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationEstimate:
    """What eager execution will take for a whole generate(): an estimate."""

    device: Interval
    wall: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Lower bounds of a generate(), in seconds: the prefill that yields the first
    token, and the steps after it, each on one more cached token than the last."""

    prefill: Bound
    decode: Bound
    steps: int
    batch: int

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first: the mean step."""
        return self.decode.lower_s / self.steps

    @property
    def total_s(self) -> float:
        return self.prefill.lower_s + self.decode.lower_s

    @property
    def tokens_per_s(self) -> float:
        """Tokens of the whole batch after the first, over the time of their steps."""
        return self.batch / self.tpot_s


def generation_bound(
    model: ModelSpec,
    case: Case,
    precision: Precision,
    roofs: Roofs,
    *,
    causal: bool = False,
    absorbed: bool = False,
) -> Generation:
    """The bound of a generate() case, counted as pass_cost does. Raises SpecError for
    another phase."""
    if case.phase is not Phase.GENERATE:
        raise SpecError(f"{case.id} is no generate() case")
    prefill, *steps = case_costs(model, case, precision, causal=causal, absorbed=absorbed)
    return Generation(
        prefill=pass_bound(prefill, roofs),
        decode=sequence_bound(steps, roofs),
        steps=len(steps),
        batch=case.batch,
    )


def generation_estimate(
    model: ModelSpec, case: Case, precision: Precision, gpu: GpuSpec, *, options: Eager
) -> GenerationEstimate:
    """Device and wall time of a generate(): its prefill, and its steps by the mean of
    the first and the last, between which they grow evenly. What generate() does
    beside its passes (sampling, stopping) is not counted."""
    passes = case_passes(case)
    steps = len(passes) - 1

    def of(shape: Pass) -> Estimate:
        return estimate(
            model,
            shape,
            precision,
            gpu,
            ceilings=options.ceilings,
            attention=options.attention,
            bitsandbytes=options.bitsandbytes,
        )

    prefill, first, last = of(passes[0]), of(passes[1]), of(passes[-1])
    return GenerationEstimate(
        device=_sum(prefill.device, first.device, last.device, steps),
        wall=_sum(prefill.wall, first.wall, last.wall, steps),
    )


def _sum(prefill: Interval, first: Interval, last: Interval, steps: int) -> Interval:
    def end(before: float, one: float, other: float) -> float:
        return before + steps * (one + other) / 2

    return Interval(
        low_s=end(prefill.low_s, first.low_s, last.low_s),
        typical_s=end(prefill.typical_s, first.typical_s, last.typical_s),
        high_s=end(prefill.high_s, first.high_s, last.high_s),
    )
