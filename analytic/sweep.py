"""A grid of passes at once: batch x length x GPU, in a few vector operations (NumPy).

At one length, FLOPs and KV traffic grow with the batch alone; only the weights,
and the embedding rows that are looked up, do not. So a model's coefficients are
evaluated along the lengths and spread over the batches. FLOPs and bytes equal
pass_cost's to the last one, in int64; seconds equal pass_bound's to 1e-12.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from analytic.case import Phase
from analytic.coefficients import LARGEST, Coefficients, Ints
from analytic.counting import pass_cost
from analytic.errors import SpecError, unknown
from analytic.footprint import cache_bytes, resident_weight_bytes
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.precision import Precision

Floats: TypeAlias = "npt.NDArray[np.float64]"
Bools: TypeAlias = "npt.NDArray[np.bool_]"
Row: TypeAlias = dict[str, Any]

#: Up to 80 bytes a point while it is computed (one GPU): 4 GB at the most.
MOST_POINTS = 50_000_000

#: The columns of Sweep.rows(), in their order.
COLUMNS = (
    *("model", "gpu", "phase", "precision", "logits", "batch", "new_tokens", "context_len"),
    *("flops", "bytes", "resident_bytes", "compute_s", "memory_s", "lower_s", "tokens_per_s"),
    *("limiter", "fits", "note"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """The bounds of a grid. `batches` and `lengths` are its axes: a length is the
    prompt's (prefill) or the cached tokens before the step (decode).

    Shape [batch, length], int64: `flops`, `bytes` (compulsory traffic) and
    `resident_bytes` (all weights, and the cache after the pass; no activations).
    Shape [gpu, batch, length]: seconds; `tokens_per_s`, the new tokens of all
    sequences over lower_s; `compute_bound`; and `fits`, whether resident_bytes are
    within the GPU's usable_bytes: False is certain, True leaves activations out.
    `notes` holds a line per GPU, empty but where it lacks a dtype that `precision`
    needs: there seconds and rates are NaN, and compute_bound is False.
    """

    model: str
    phase: Phase
    precision: Precision
    logits: str
    gpus: tuple[GpuSpec, ...]
    batches: Ints
    lengths: Ints
    flops: Ints
    bytes: Ints
    resident_bytes: Ints
    compute_s: Floats
    memory_s: Floats
    lower_s: Floats
    tokens_per_s: Floats
    compute_bound: Bools
    fits: Bools
    notes: tuple[str, ...]

    @property
    def points(self) -> int:
        return int(self.lower_s.size)

    def rows(self) -> Iterator[Row]:
        """Every point as a dict of COLUMNS, in SI units, GPU by GPU and batch by
        batch; None where there is no such figure."""
        prefill = self.phase is Phase.PREFILL
        tokens = [(n, 0) if prefill else (1, n) for n in self.lengths.tolist()]
        times = (self.compute_s, self.memory_s, self.lower_s, self.tokens_per_s)
        for g, (gpu, note) in enumerate(zip(self.gpus, self.notes, strict=True)):
            head = (self.model, gpu.key, self.phase.value, self.precision.name, self.logits)
            for b, batch in enumerate(self.batches.tolist()):
                columns = (
                    *(counts[b].tolist() for counts in (self.flops, self.bytes, self.resident_bytes)),
                    *([None if note else v for v in values[g, b].tolist()] for values in times),
                    [_limiter(note, bound) for bound in self.compute_bound[g, b].tolist()],
                    self.fits[g, b].tolist(),
                )
                for length, *point in zip(tokens, *columns, strict=True):
                    yield dict(zip(COLUMNS, (*head, batch, *length, *point, note), strict=True))


def _limiter(note: str, compute_bound: bool) -> str | None:  # noqa: FBT001 - one of two facts
    """As Bound.limiter; None where a GPU's note says that there is no bound."""
    if note:
        return None
    return "compute" if compute_bound else "memory"


def sweep(
    model: ModelSpec,
    *,
    phase: Phase,
    batches: Iterable[int],
    lengths: Iterable[int],
    gpus: Sequence[GpuSpec],
    precision: Precision,
    logits: str = "last",
) -> Sweep:
    """The bounds of every batch x length x GPU, as pass_cost (its defaults: full
    attention, MLA expanded) and pass_bound give them for one point.

    Sizes are integers of at least 1 that ascend. Raises SpecError for others, for
    an empty axis, for more than MOST_POINTS, for counts that int64 does not hold,
    and where no GPU has the units that `precision` needs.
    """
    if phase not in (Phase.PREFILL, Phase.DECODE):
        raise unknown("phase of a sweep", str(phase), (Phase.PREFILL, Phase.DECODE))
    axes = _axis("batch", batches), _axis("length", lengths)
    check_points(len(axes[0]) * len(axes[1]) * len(gpus))
    notes = _notes(gpus, precision)
    last = _pass_sizes(Phase(phase), axes[0][-1], axes[1][-1])
    _check_largest(model, precision, *last, logits=logits)

    batch, length = np.array(axes[0], np.int64)[:, None], np.array(axes[1], np.int64)
    one, none = np.ones_like(length), np.zeros_like(length)
    new, cached = (length, none) if phase == Phase.PREFILL else (one, length)
    terms = Coefficients(model, precision)
    flops = terms.sequence_flops(new, cached, new if logits == "all" else one)
    moved = terms.weight_bytes + terms.position_bytes(new) + terms.lookup_bytes(batch * new)
    moved += batch * terms.kv_bytes(new, cached)
    held = batch * terms.held_bytes(new + cached)
    resident = resident_weight_bytes(model, precision)

    shape = (len(gpus), *moved.shape)
    compute, memory, lower, rate = (np.empty(shape) for _ in range(4))
    bound, fits = np.zeros(shape, np.bool_), np.empty(shape, np.bool_)
    factor, tokens, traffic = batch * 1.0, batch * new * 1.0, moved * 1.0
    for g, gpu in enumerate(gpus):
        np.less_equal(held, int(gpu.usable_bytes) - resident, out=fits[g])
        if notes[g]:
            for times in (compute, memory, lower, rate):
                times[g] = np.nan
            continue
        roofs = gpu.roofs
        np.multiply(factor, sum(n / roofs.peak(math) for math, n in flops.items()), out=compute[g])
        np.divide(traffic, roofs.bytes_per_s, out=memory[g])
        np.maximum(compute[g], memory[g], out=lower[g])
        np.divide(tokens, lower[g], out=rate[g])
        np.greater(compute[g], memory[g], out=bound[g])
    return Sweep(
        model=model.name,
        phase=Phase(phase),
        precision=precision,
        logits=logits,
        gpus=tuple(gpus),
        batches=batch[:, 0],
        lengths=length,
        flops=batch * sum(flops.values()),
        bytes=moved,
        resident_bytes=held + resident,
        compute_s=compute,
        memory_s=memory,
        lower_s=lower,
        tokens_per_s=rate,
        compute_bound=bound,
        fits=fits,
        notes=notes,
    )


def check_points(count: int) -> None:
    """Raises SpecError for no point, and for more than MOST_POINTS."""
    if count < 1:
        raise SpecError("a sweep needs at least one batch, one length and one GPU")
    if count > MOST_POINTS:
        raise SpecError(f"{count:,} points are too many for one sweep: at most {MOST_POINTS:,}")


def _axis(name: str, sizes: Iterable[int]) -> list[int]:
    found = list(sizes)
    for size in found:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise SpecError(f"{name} is {size!r}; an integer of at least 1 is needed")
        if size > LARGEST:
            raise SpecError(f"a {name} is larger than a sweep counts (2**63 - 1)")
    for earlier, later in pairwise(found):
        if earlier >= later:
            raise SpecError(f"{name} {later} comes after {earlier}; sizes ascend, each once")
    return [int(size) for size in found]


def _notes(gpus: Sequence[GpuSpec], precision: Precision) -> tuple[str, ...]:
    """What each GPU lacks. Raises SpecError where all lack something."""
    lacking = [[d for d in precision.dtypes if not gpu.supports(d)] for gpu in gpus]
    if all(lacking):
        gpus[0].require(lacking[0][0])
    return tuple(
        f"{gpu.key} has no {dtypes[0]} units" if dtypes else ""
        for gpu, dtypes in zip(gpus, lacking, strict=True)
    )


def _pass_sizes(phase: Phase, batch: int, length: int) -> tuple[int, int, int]:
    """(batch, new tokens, cached tokens)."""
    return (batch, length, 0) if phase is Phase.PREFILL else (batch, 1, length)


def _check_largest(
    model: ModelSpec, precision: Precision, batch: int, new: int, cached: int, *, logits: str
) -> None:
    """Every count grows with batch and length: where those of the last point are
    within int64, all are, and so are the terms that they sum. Raises SpecError."""
    counts = {"tokens": batch * (new + cached)}
    if counts["tokens"] <= LARGEST:
        cost = pass_cost(
            model, batch=batch, new_tokens=new, context_len=cached, precision=precision, logits=logits
        )
        held = cache_bytes(model, precision, batch=batch, tokens=new + cached)
        counts |= {"FLOPs": cost.flops, "bytes": cost.bytes}
        counts |= {"resident bytes": held + resident_weight_bytes(model, precision)}
    for name, count in counts.items():
        if count > LARGEST:
            raise SpecError(
                f"{model.name}: batch {batch:,}, {new:,} new on {cached:,} cached tokens: {count:.3g} {name} "
                "are more than a sweep counts (2**63 - 1)"
            )
