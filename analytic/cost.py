"""What one forward pass costs, operator by operator: FLOPs and bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of the model, all its `count` instances in a pass together.

    `math` is the dtype whose compute roof bounds it. `weight_bytes` and
    `kv_bytes` (of which `kv_written_bytes` are new) are compulsory; `fused_bytes` is what a good engine with one
    kernel for each operator moves: those, the activations it reads and writes,
    and every expert that is expected to be used.
    """

    name: str
    count: int
    math: str
    flops: int
    weight_bytes: int
    kv_bytes: int
    kv_written_bytes: int
    fused_bytes: int

    @property
    def bytes(self) -> int:
        """The compulsory bytes."""
        return self.weight_bytes + self.kv_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One forward pass: `batch` sequences, `new_tokens` each on `context_len` cached.

    Bytes are the compulsory traffic: every weight once (of the embedding only
    the rows used, of the experts no more than one token must use), cached keys
    and values read once, new ones written once. Activations can stay on the
    chip, so they are only in `fused_bytes`.
    """

    batch: int
    new_tokens: int
    context_len: int
    math: str
    operators: tuple[Operator, ...]

    @property
    def flops(self) -> int:
        return sum(op.flops for op in self.operators)

    @property
    def weight_bytes(self) -> int:
        return sum(op.weight_bytes for op in self.operators)

    @property
    def kv_bytes(self) -> int:
        return sum(op.kv_bytes for op in self.operators)

    @property
    def bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes

    @property
    def fused_bytes(self) -> int:
        return sum(op.fused_bytes for op in self.operators)

    @property
    def intensity(self) -> float:
        """Operational intensity, FLOP per compulsory byte."""
        return self.flops / self.bytes


def by_name(operators: Iterable[Operator]) -> Iterable[Operator]:
    """Operators of the same name, from different kinds of layers, as one."""
    found: dict[str, Operator] = {}
    for op in operators:
        found[op.name] = _joined(found[op.name], op) if op.name in found else op
    return found.values()


def _joined(first: Operator, second: Operator) -> Operator:
    return replace(
        first,
        count=first.count + second.count,
        flops=first.flops + second.flops,
        weight_bytes=first.weight_bytes + second.weight_bytes,
        kv_bytes=first.kv_bytes + second.kv_bytes,
        kv_written_bytes=first.kv_written_bytes + second.kv_written_bytes,
        fused_bytes=first.fused_bytes + second.fused_bytes,
    )


def merged(costs: Sequence[Cost]) -> Cost:
    """Passes that run one after another, as one: operator by operator, summed.

    Its bound would assume overlap between the passes; sequence_bound does not.
    """
    return Cost(
        batch=costs[0].batch,
        new_tokens=sum(cost.new_tokens for cost in costs),
        context_len=costs[0].context_len,
        math=costs[0].math,
        operators=tuple(by_name(op for cost in costs for op in cost.operators)),
    )


def total_flops(costs: Sequence[Cost]) -> int:
    return sum(cost.flops for cost in costs)


def total_bytes(costs: Sequence[Cost]) -> int:
    return sum(cost.bytes for cost in costs)
