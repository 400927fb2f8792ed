"""Three models of the bytes a pass moves, from the least possible to what really runs.

ideal  compulsory: weights once, cached keys and values read once, new ones
       written once. No implementation moves less: the lower bound.
fused  every operator reads its inputs and writes its outputs once, attention
       never writes its scores. What a good engine comes near to.
eager  what transformers' eager modules move through DRAM, kernel by kernel,
       with the L2 cache that keeps some of it. An estimate, not a bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analytic.attention import Resolution
from analytic.bitsandbytes import VERSION
from analytic.cost import Cost
from analytic.counting import cost_of
from analytic.eager import eager_tape
from analytic.eager.model import resolutions
from analytic.errors import unknown
from analytic.gpus import GpuSpec
from analytic.l2 import Cache, Moved
from analytic.models import ModelSpec
from analytic.passes import Pass
from analytic.precision import Precision

MODELS = ("ideal", "fused", "eager")

# Tensors are named as staying in the L2 when at least this many bytes of them do.
WORTH_NAMING = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTraffic:
    """Bytes of one operator in a pass, all its instances together. `fused` does not
    tell reads from writes: both are None there."""

    name: str
    bytes: float
    read_bytes: float | None
    written_bytes: float | None
    launches: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A pass by one of the three models. `resident` is what the L2 spares, by tensor,
    largest first; `attention` says which backend each kind of layer runs, and why."""

    model: str
    operators: tuple[OperatorTraffic, ...]
    resident: tuple[tuple[str, float], ...]
    attention: tuple[Resolution, ...]

    @property
    def bytes(self) -> float:
        return sum(op.bytes for op in self.operators)

    @property
    def read_bytes(self) -> float | None:
        return _total(op.read_bytes for op in self.operators)

    @property
    def written_bytes(self) -> float | None:
        return _total(op.written_bytes for op in self.operators)

    @property
    def launches(self) -> int | None:
        counts = [op.launches for op in self.operators]
        return None if None in counts else sum(n for n in counts if n is not None)


def traffic(
    which: str,
    model: ModelSpec,
    shape: Pass,
    precision: Precision,
    gpu: GpuSpec,
    *,
    attention: str = "auto",
    l2_bytes: float | None = None,
    bitsandbytes: tuple[int, int] = VERSION,
) -> Traffic:
    """The traffic of one pass by the model `which`. `l2_bytes` replaces the GPU's.

    Raises SpecError for an unknown model, and for an attention that cannot run.
    """
    if which not in MODELS:
        raise unknown("traffic model", which, MODELS)
    if which != "eager":
        return _of_cost(which, cost_of(model, shape, precision))
    tape = eager_tape(model, shape, precision, gpu, attention=attention, bitsandbytes=bitsandbytes)
    cache = Cache(bytes=gpu.l2_bytes if l2_bytes is None else l2_bytes, sm_count=gpu.sm_count)
    moved = cache.play(tape.kernels)
    return Traffic(
        model=which,
        operators=_by_operator(moved),
        resident=_resident(moved),
        attention=tuple(resolutions(model, shape, precision, gpu, attention).values()),
    )


def _of_cost(which: str, cost: Cost) -> Traffic:
    rows = []
    for op in cost.operators:
        if which == "ideal":
            read: float | None = op.bytes - op.kv_written_bytes
            written: float | None = op.kv_written_bytes
            total: float = op.bytes
        else:
            read, written, total = None, None, op.fused_bytes
        rows.append(
            OperatorTraffic(name=op.name, bytes=total, read_bytes=read, written_bytes=written, launches=None)
        )
    return Traffic(model=which, operators=tuple(rows), resident=(), attention=())


def _by_operator(moved: Iterable[Moved]) -> tuple[OperatorTraffic, ...]:
    read: dict[str, float] = {}
    written: dict[str, float] = {}
    launches: dict[str, int] = {}
    for step in moved:
        name = step.kernel.operator
        times = step.kernel.times
        read[name] = read.get(name, 0.0) + step.read_bytes * times
        written[name] = written.get(name, 0.0) + step.written_bytes * times
        launches[name] = launches.get(name, 0) + times
    return tuple(
        OperatorTraffic(
            name=name,
            bytes=read[name] + written[name],
            read_bytes=read[name],
            written_bytes=written[name],
            launches=launches[name],
        )
        for name in read
    )


def _resident(moved: Iterable[Moved]) -> tuple[tuple[str, float], ...]:
    spared: dict[str, float] = {}
    for step in moved:
        for name, size in step.resident:
            spared[name] = spared.get(name, 0.0) + size * step.kernel.times
    named = [(name, size) for name, size in spared.items() if size >= WORTH_NAMING]
    return tuple(sorted(named, key=lambda item: -item[1]))


def _total(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if None in found else sum(v for v in found if v is not None)
