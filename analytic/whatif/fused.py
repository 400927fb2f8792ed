"""A good engine: one kernel for each operator, launched as one graph.

Its device time is the sum over operators of the longer of arithmetic at the GEMM
ceiling and fused traffic at the read ceiling, plus each kernel's fixed time as in
eager execution. Held against one case: torch.compile of Mistral-7B in fp16 on an
H100, a decode step on 512 cached, 6.8 ms, and 6.25 ms with coordinate descent
tuning; this says 6.6 ms.
"""

from collections.abc import Mapping

from analytic.cost import Cost, Operator
from analytic.estimate import GEMM_SHARE, PACES, OperatorEstimate, typical_ceilings
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.precision import Precision
from analytic.roofs import Ceilings


def fused_s(
    cost: Cost, gpu: GpuSpec, ceilings: Ceilings | None, *, kept: Mapping[str, float] | None = None
) -> float:
    """Device time of one pass, in seconds. `kept` are operators whose kernels stay
    as they are, and how long they take."""
    reached, kept = ceilings or typical_ceilings(gpu), kept or {}
    return sum(kept[op.name] if op.name in kept else _operator_s(op, gpu, reached) for op in cost.operators)


def bitsandbytes_s(
    model: ModelSpec, precision: Precision, operators: tuple[OperatorEstimate, ...]
) -> dict[str, float]:
    """The quantised linears of an eager estimate: a compiler leaves their kernels alone."""
    if not precision.quantised:
        return {}
    names = {linear.name for _, linear in model.linears if linear.convertible}
    return {op.name: op.device_s for op in operators if op.name in names}


def _operator_s(op: Operator, gpu: GpuSpec, reached: Ceilings) -> float:
    pace = PACES["attention" if op.name == "attention" else "gemm" if op.flops else "stream"]
    compute_s = 0.0
    if op.flops:
        peak = reached.gemm_flops_per_s.get(op.math) or gpu.roofs.peak(op.math) * GEMM_SHARE
        compute_s = op.flops / (pace.compute * peak)
    return op.count * pace.fixed_s + max(compute_s, op.fused_bytes / reached.read_bytes_per_s)
