"""Eight-bit floats for weights or for the cache: what a fused engine would gain.

transformers' eager modules have no such kernels. The estimate takes from today's
device time what the fused traffic spares (fused.py), and leaves the launches as
they are: only the bytes and the units change.

Weights: one byte each in the linears of the layers and in the experts, with an
fp32 scale per row; embedding, norms, router and lm_head keep 16 bit. Cache: one
byte an element, multiplied in 16 bit.
"""

from collections.abc import Sequence
from dataclasses import replace

from analytic import text
from analytic.bound import sequence_bound
from analytic.case import Case
from analytic.cost import Cost, Operator
from analytic.counting import case_costs
from analytic.estimate import Interval
from analytic.footprint import cache_bytes, held_tokens, resident_weight_bytes
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.passes import Pass, case_passes
from analytic.precision import Precision, find_precision
from analytic.whatif.formats import HALVES, fastest_half, missing_dtype, no_units
from analytic.whatif.fused import fused_s
from analytic.whatif.memory import beyond_memory, need_bytes
from analytic.whatif.option import Option, floored, foretold, impossible
from analytic.whatif.present import Present
from analytic.whatif.run import Run, by_bound, unproven_width

FP8, SCALE_BYTES = "fp8", 4


def fp8(now: Present) -> list[Option]:
    """None on a CPU, where no such engine is known."""
    return [] if now.gpu is None else [_weights(now, now.gpu), _cache(now, now.gpu)]


def _weights(now: Present, gpu: GpuSpec) -> Option:
    name = "fp8 weights"
    own = now.precision.model
    base = replace(now.case, precision=own if own in HALVES else fastest_half(now.roofs))
    precision = find_precision(base.precision)
    missing = missing_dtype(precision, gpu.flops_per_s)
    if missing:
        return impossible(name, None, no_units(missing, gpu, now.roofs))
    spared = resident_weight_bytes(now.model, precision) - _stored_bytes(now.model, precision)
    refused = _refusal(now, base, gpu, spared)
    if refused:
        return impossible(name, None, refused)
    units = FP8 if gpu.supports(FP8) else precision.compute
    costs = case_costs(now.model, base, precision)
    light = [
        _light(cost, now.model, shape, precision, units)
        for cost, shape in zip(costs, case_passes(base), strict=True)
    ]
    reason = "multiplied in fp8"
    if units != FP8:
        reason = f"{gpu.key} has no {FP8} units: unpacked to {units} and multiplied there"
    return _option(now, gpu, name, base=base, costs=costs, light=light, reason=reason)


def _cache(now: Present, gpu: GpuSpec) -> Option:
    name, precision = "fp8 KV cache", now.precision
    kept = cache_bytes(now.model, precision, batch=now.case.batch, tokens=held_tokens(now.case))
    refused = _refusal(now, now.case, gpu, kept - kept // precision.kv_bytes)
    if refused:
        return impossible(name, None, refused)
    costs = case_costs(now.model, now.case, precision)
    light = [_narrow(cost, precision) for cost in costs]
    here, there = (sum(c.kv_bytes for c in group) for group in (costs, light))
    reason = f"{text.scaled(there, 'B')} of keys and values instead of {text.scaled(here, 'B')}"
    return _option(now, gpu, name, base=now.case, costs=costs, light=light, reason=reason)


def _option(
    now: Present,
    gpu: GpuSpec,
    name: str,
    *,
    base: Case,
    costs: Sequence[Cost],
    light: Sequence[Cost],
    reason: str,
) -> Option:
    """`light` is what replaces the `costs` of `base`, a case that runs eagerly."""
    lower_s = sequence_bound(light, now.roofs).lower_s
    run = by_bound(lower_s, now.run.tokens)
    if now.estimated:
        heavy = now.eager(base)
        after_s = fused_s(light[0], gpu, now.ceilings)
        before_s = fused_s(costs[0], gpu, now.ceilings)
        device = _less(heavy.device, before_s - after_s, after_s, unproven_width(gpu))
        run = Run(lower_s=lower_s, device=device, launches=heavy.launches, tokens=now.run.tokens)
    said = f"{reason}; needs fused kernels, which transformers' eager modules do not have{floored(now, run)}"
    return foretold(now, name, None, run, said)


def _less(device: Interval, spared_s: float, least_s: float, width: float) -> Interval:
    typical_s = max(device.typical_s - spared_s, least_s)
    low, high = (end / device.typical_s for end in (device.low_s, device.high_s))
    return Interval(
        low_s=typical_s * min(low, 1 - width), typical_s=typical_s, high_s=typical_s * max(high, 1 + width)
    )


def _refusal(now: Present, base: Case, gpu: GpuSpec, spared: int) -> str:
    return beyond_memory(now, gpu, need_bytes(now.model, base, gpu) - spared)


def _linear_bytes(model: ModelSpec, precision: Precision) -> dict[str, int]:
    """Stored bytes of the layers' linears in fp8, by name; biases keep 16 bit."""
    found: dict[str, int] = {}
    for count, linear in model.linears:
        size = linear.weights + SCALE_BYTES * linear.rows + linear.bias_params * precision.model_bytes
        found[linear.name] = found.get(linear.name, 0) + count * size
    return found


def _stored_bytes(model: ModelSpec, precision: Precision) -> int:
    rest = model.param_count - model.linear_params - model.expert_params
    return sum(_linear_bytes(model, precision).values()) + model.expert_params + rest * precision.model_bytes


def _light(cost: Cost, model: ModelSpec, shape: Pass, precision: Precision, units: str) -> Cost:
    """The cost of a 16-bit pass with its weights in fp8, multiplied by `units`."""
    linears = _linear_bytes(model, precision)
    moes = [(stack.count, stack.layer.moe) for stack in model.stacks if stack.layer.moe]
    used = sum(count * moe.distinct(shape.tokens) * moe.expert_params for count, moe in moes)
    width = precision.model_bytes

    def lighter(op: Operator) -> Operator:
        if op.name in linears:
            spared = op.weight_bytes - linears[op.name]
            return _with(op, weight_bytes=linears[op.name], spared=spared, math=units)
        if op.name == "experts":
            spared = round(used * (width - 1))
            return _with(op, weight_bytes=op.weight_bytes // width, spared=spared, math=units)
        return op

    return replace(cost, operators=tuple(map(lighter, cost.operators)))


def _with(op: Operator, *, weight_bytes: int, spared: int, math: str) -> Operator:
    return replace(op, weight_bytes=weight_bytes, fused_bytes=op.fused_bytes - spared, math=math)


def _narrow(cost: Cost, precision: Precision) -> Cost:
    """The cost with a cache of one byte an element."""
    width = precision.kv_bytes

    def narrower(op: Operator) -> Operator:
        kept = op.kv_bytes // width
        return replace(
            op,
            kv_bytes=kept,
            kv_written_bytes=op.kv_written_bytes // width,
            fused_bytes=op.fused_bytes - (op.kv_bytes - kept),
        )

    return replace(cost, operators=tuple(map(narrower, cost.operators)))
