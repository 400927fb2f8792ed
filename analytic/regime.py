"""What holds a pass back: arithmetic, memory traffic, or the launching of kernels.

The third roof is the host's: launches x the time it needs for one. Eager decode
on a fast GPU lies under it, where two roofs would call it memory-bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analytic.bound import compute_s
from analytic.cost import Cost
from analytic.roofs import Roofs

COMPUTE, MEMORY, OVERHEAD = "compute", "memory", "overhead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The least time that each roof allows, in seconds."""

    compute_s: float
    memory_s: float
    overhead_s: float

    @property
    def regime(self) -> str:
        """The roof that takes longest: "compute", "memory" or "overhead"."""
        if self.overhead_s > max(self.compute_s, self.memory_s):
            return OVERHEAD
        return COMPUTE if self.compute_s > self.memory_s else MEMORY


def pass_limits(cost: Cost, roofs: Roofs, *, overhead_s: float) -> Limits:
    """The three roofs over a whole pass. Raises SpecError where `roofs` lacks a dtype."""
    return Limits(
        compute_s=compute_s(cost, roofs),
        memory_s=cost.bytes / roofs.bytes_per_s,
        overhead_s=overhead_s,
    )


def operator_limits(
    cost: Cost, roofs: Roofs, *, launches: Mapping[str, int], launch_gap_s: float
) -> dict[str, Limits]:
    """The same by operator. `launches` are those of eager execution; operators that
    compute and must move nothing (rope, the cache's copies) have only the third."""
    found = {
        op.name: Limits(
            compute_s=op.flops / roofs.peak(op.math),
            memory_s=op.bytes / roofs.bytes_per_s,
            overhead_s=launches.get(op.name, 0) * launch_gap_s,
        )
        for op in cost.operators
    }
    for name, count in launches.items():
        if name not in found:
            found[name] = Limits(compute_s=0.0, memory_s=0.0, overhead_s=count * launch_gap_s)
    return found
