"""How fast a pass can be at best: the roofline bound, and shares of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analytic.case import Case
from analytic.cost import Cost, total_bytes, total_flops
from analytic.counting import case_costs
from analytic.models import ModelSpec
from analytic.precision import find_precision
from analytic.roofs import Roofs


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Lower bounds on time under given roofs, in seconds.

    `lower_s` assumes perfect overlap of arithmetic and traffic over the whole
    pass, max(compute_s, memory_s); `serial_s` overlaps only within an operator
    and sums their maxima, so lower_s <= serial_s. `ridge_point` and
    `intensity` are in FLOP/byte.
    """

    flops: int
    bytes: int
    compute_s: float
    memory_s: float
    lower_s: float
    serial_s: float
    intensity: float
    ridge_point: float
    attainable_flops_per_s: float

    @property
    def limiter(self) -> str:
        return "compute" if self.compute_s > self.memory_s else "memory"


def compute_s(cost: Cost, roofs: Roofs) -> float:
    """The least seconds of arithmetic in a pass, each operator by its dtype's peak.
    Raises SpecError where `roofs` lacks one."""
    return sum(op.flops / roofs.peak(op.math) for op in cost.operators)


def pass_bound(cost: Cost, roofs: Roofs) -> Bound:
    """The bound of one pass. Raises SpecError where `roofs` lacks its dtype."""
    return sequence_bound((cost,), roofs)


def sequence_bound(costs: Sequence[Cost], roofs: Roofs) -> Bound:
    """The bound of passes that run one after another: their bounds' sum."""
    compute = [compute_s(cost, roofs) for cost in costs]
    memory = [cost.bytes / roofs.bytes_per_s for cost in costs]
    serial = sum(
        max(op.flops / roofs.peak(op.math), op.bytes / roofs.bytes_per_s)
        for cost in costs
        for op in cost.operators
    )
    lower = sum(map(max, compute, memory))
    flops, moved = total_flops(costs), total_bytes(costs)
    return Bound(
        flops=flops,
        bytes=moved,
        compute_s=sum(compute),
        memory_s=sum(memory),
        lower_s=lower,
        serial_s=max(serial, lower),  # equal but for rounding where one roof bounds every operator
        intensity=flops / moved,
        ridge_point=roofs.ridge_point(costs[0].math),
        attainable_flops_per_s=flops / lower,
    )


def case_bound(model: ModelSpec, case: Case, roofs: Roofs) -> Bound:
    """The bound of a case's passes, in the default dtypes of its precision."""
    return sequence_bound(case_costs(model, case, find_precision(case.precision)), roofs)


def least_s(costs: Iterable[Cost], roofs: Roofs, *, cache_bytes: int) -> float:
    """The time, in seconds, that nothing can beat.

    A cache of `cache_bytes` (the L2) may still hold that much from the pass
    before, so it need not come over the memory bus: bytes less the cache.
    """
    total = 0.0
    for cost in costs:
        memory_s = max(0, cost.bytes - cache_bytes) / roofs.bytes_per_s
        total += max(compute_s(cost, roofs), memory_s)
    return total


def mfu(*, flops: int, time_s: float, peak_flops_per_s: float) -> float:
    """Model FLOPs utilisation, 0 to 1 (PaLM, arXiv 2204.02311, appendix B)."""
    return flops / (time_s * peak_flops_per_s)


def mbu(*, moved_bytes: int, time_s: float, peak_bytes_per_s: float) -> float:
    """Model bandwidth utilisation, 0 to 1: compulsory bytes over time and peak."""
    return moved_bytes / (time_s * peak_bytes_per_s)
