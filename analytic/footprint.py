"""How much memory a case needs: weights, KV cache, activations; and what fits.

    total = weights + batch x tokens held x KV bytes per token + activations

Activations are the most that eager execution holds at once, read off its tape:
with a gated MLP three tensors of d_ff a token, or the score matrix where
attention writes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from analytic.bitsandbytes import VERSION
from analytic.case import Case
from analytic.eager import eager_tape
from analytic.gpus import HOST, GpuSpec
from analytic.models import ModelSpec
from analytic.passes import case_passes
from analytic.precision import Precision

# Where a search for what fits ends.
MOST_BATCH, MOST_TOKENS = 2**16, 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes that a case occupies at its peak, predicted. `kv_bytes` is the whole
    cache after the case's last pass."""

    weight_bytes: int
    kv_bytes: int
    activation_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes + self.activation_bytes


def resident_weight_bytes(model: ModelSpec, precision: Precision) -> int:
    """All weights as stored, the whole embedding table included."""
    linears = sum(count * precision.stored_bytes(linear) for count, linear in model.linears)
    return linears + (model.param_count - model.linear_params) * precision.model_bytes


def kv_bytes_per_token(model: ModelSpec, precision: Precision) -> int:
    """Bytes that transformers' cache keeps of one token in all layers, windows aside."""
    elements = sum(stack.count * stack.layer.attention.cached_elements for stack in model.stacks)
    return elements * precision.kv_bytes


def cache_bytes(model: ModelSpec, precision: Precision, *, batch: int, tokens: int) -> int:
    """The cache of `batch` sequences of `tokens` each, windows considered."""
    return sum(kind.bytes for kind in cache_by_kind(model, precision, batch=batch, tokens=tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfCache:
    """The cache of `layers` equal layers, which hold `tokens` of each sequence."""

    layers: int
    window: int | None
    tokens: int
    bytes: int


def cache_by_kind(
    model: ModelSpec, precision: Precision, *, batch: int, tokens: int
) -> tuple[KindOfCache, ...]:
    """The cache by kind of layer: full and windowed ones hold different lengths."""
    found = []
    for stack in model.stacks:
        attention = stack.layer.attention
        held = attention.cached_tokens(tokens)
        size = batch * stack.count * attention.cached_elements * held * precision.kv_bytes
        found.append(KindOfCache(layers=stack.count, window=attention.window, tokens=held, bytes=size))
    return tuple(found)


def held_tokens(case: Case) -> int:
    """Tokens of each sequence after the case's last pass, windows aside."""
    last = case_passes(case)[-1]
    return last.context_len + last.new_tokens


def footprint(
    model: ModelSpec,
    case: Case,
    precision: Precision,
    gpu: GpuSpec | None,
    *,
    attention: str = "auto",
    bitsandbytes: tuple[int, int] = VERSION,
) -> Footprint:
    """The predicted peak of a case under eager execution on `gpu` (None: a CPU).

    Raises SpecError where `gpu` lacks a dtype, or `attention` cannot run there.
    """
    passes = case_passes(case)
    last = passes[-1]
    # The first pass has the largest activations, the last the largest cache.
    ends = {passes[0], last}
    # Elsewhere SDPA is taken to have a fused kernel, as it has on a CPU.
    taped = gpu if gpu is not None and gpu.eager_modelled else HOST
    tapes = (
        eager_tape(model, p, precision, taped, attention=attention, bitsandbytes=bitsandbytes) for p in ends
    )
    return Footprint(
        weight_bytes=resident_weight_bytes(model, precision),
        kv_bytes=cache_bytes(model, precision, batch=case.batch, tokens=last.context_len + last.new_tokens),
        activation_bytes=max(tape.peak_bytes() for tape in tapes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A case on a GPU: what it needs of `usable_bytes`, the largest batch at its
    length and the longest length at its batch that would fit; 0 where none does,
    None for a length without end (a window caps the cache)."""

    need: Footprint
    usable_bytes: int
    largest_batch: int
    longest: int | None

    @property
    def left_bytes(self) -> int:
        return self.usable_bytes - self.need.total_bytes

    @property
    def fits(self) -> bool:
        return self.left_bytes >= 0


def fit(
    model: ModelSpec,
    case: Case,
    precision: Precision,
    gpu: GpuSpec,
    *,
    attention: str = "auto",
    bitsandbytes: tuple[int, int] = VERSION,
) -> Fit:
    """Whether a case fits into what a GPU offers, and what else would."""

    def needed(changed: Case) -> Footprint:
        return footprint(model, changed, precision, gpu, attention=attention, bitsandbytes=bitsandbytes)

    usable = int(gpu.usable_bytes)
    beyond = held_tokens(case) - case.length  # a decode step's token has a position too
    most = min(MOST_TOKENS, model.positions - beyond if model.positions else MOST_TOKENS)
    longest = _largest(most, lambda n: needed(replace(case, length=n)).total_bytes <= usable)
    return Fit(
        need=needed(case),
        usable_bytes=usable,
        largest_batch=largest_batch(
            model, case, precision, gpu, attention=attention, bitsandbytes=bitsandbytes
        ),
        longest=None if longest == MOST_TOKENS else longest,
    )


def largest_batch(
    model: ModelSpec,
    case: Case,
    precision: Precision,
    gpu: GpuSpec,
    *,
    attention: str = "auto",
    bitsandbytes: tuple[int, int] = VERSION,
) -> int:
    """The largest batch of a case that fits; 0 where not even one sequence does."""

    def holds(batch: int) -> bool:
        changed = replace(case, batch=batch)
        need = footprint(model, changed, precision, gpu, attention=attention, bitsandbytes=bitsandbytes)
        return need.total_bytes <= int(gpu.usable_bytes)

    return _largest(MOST_BATCH, holds)


def _largest(most: int, holds: Callable[[int], bool]) -> int:
    """The largest n up to `most` that holds, given that all below it do; 0 for none."""
    low, high = 0, 1
    while high <= most and holds(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
