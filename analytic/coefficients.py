"""What one more token, logit row, (query, key) pair or key costs a model: a pass's
cost as a few integers, evaluated along an axis of lengths (NumPy).

The same counts as in cost.py, summed over operators: perf_tests/bounds/test_sweep.py
holds the two against each other.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from analytic.layers import Attention, Linear
from analytic.models import ModelSpec
from analytic.precision import Precision

Ints: TypeAlias = "npt.NDArray[np.int64]"

LARGEST = 2**63 - 1  # what int64 holds


class Coefficients:
    """Coefficients of `model` in `precision`. Its methods take int64 arrays of
    one shape, "per sequence" is one of the batch, and nothing checks for overflow.

    `weight_bytes` are read once a pass whatever its size: all linears and norms,
    of the experts those that one token uses.
    """

    def __init__(self, model: ModelSpec, precision: Precision) -> None:
        self._model = model
        self._precision = precision
        self._token_flops: Counter[str] = Counter()
        self._row_flops: Counter[str] = Counter()
        self.weight_bytes = model.norm_params * precision.model_bytes
        for linear in model.projections:
            self._add(linear, 1, self._token_flops)
        self._add(model.head, 1, self._row_flops)
        for stack in model.stacks:
            latent = stack.layer.attention.latent
            for linear in stack.layer.linears:
                # MLA's expansion is multiplied once per key: sequence_flops counts it.
                expands = latent is not None and linear is latent.expand
                self._add(linear, stack.count, None if expands else self._token_flops)
            if moe := stack.layer.moe:
                used = (moe.router_params + moe.top_k * moe.expert_params) * stack.count
                self._token_flops[precision.model] += 2 * used
                self.weight_bytes += used * precision.model_bytes

    def _add(self, linear: Linear, count: int, flops: Counter[str] | None) -> None:
        """The weights of `count` such linears and, into `flops`, their products per row."""
        self.weight_bytes += self._precision.stored_bytes(linear) * count
        if flops is not None:
            flops[self._precision.math_of(linear)] += 2 * linear.weights * count

    @property
    def _attentions(self) -> Iterator[tuple[int, Attention]]:
        return ((stack.count, stack.layer.attention) for stack in self._model.stacks)

    def sequence_flops(self, new: Ints, cached: Ints, rows: Ints) -> dict[str, Ints]:
        """FLOPs per sequence of `new` tokens on `cached` ones with `rows` rows of
        logits, by the dtype whose compute roof bounds them."""
        flops = {
            math: self._token_flops[math] * new + self._row_flops[math] * rows
            for math in self._token_flops | self._row_flops
        }
        none = np.zeros_like(new)
        for count, attention in self._attentions:
            keys = _cached(attention, cached) + new
            pair = 2 * attention.n_heads * (attention.d_qk + attention.d_v) * count
            math = self._precision.model
            flops[math] = flops.get(math, none) + pair * (new * keys)
            if attention.latent:
                expand = attention.latent.expand
                math = self._precision.math_of(expand)
                flops[math] = flops.get(math, none) + 2 * expand.weights * count * keys
        return flops

    def kv_bytes(self, new: Ints, cached: Ints) -> Ints:
        """Keys and values read and written per sequence, past a window only those kept."""
        moved = np.zeros_like(new)
        for count, attention in self._attentions:
            key = attention.kv_elements * self._precision.kv_bytes * count
            moved += key * (_cached(attention, cached) + _cached(attention, new))
        return moved

    def held_bytes(self, tokens: Ints) -> Ints:
        """The cache of a sequence of `tokens`, as footprint's cache_bytes counts it."""
        held = np.zeros_like(tokens)
        for count, attention in self._attentions:
            key = attention.cached_elements * self._precision.kv_bytes * count
            held += key * _cached(attention, tokens)
        return held

    def lookup_bytes(self, tokens: Ints) -> Ints:
        """Embedding rows read for `tokens` tokens of all sequences."""
        row = self._model.d_embed * self._precision.model_bytes
        return row * _at_most(tokens, self._model.vocab_size)

    def position_bytes(self, new: Ints) -> Ints:
        """Rows of learned positions read, once for all sequences."""
        if not self._model.position_rows:
            return np.zeros_like(new)
        row = self._model.d_model * self._precision.model_bytes
        return row * _at_most(new, self._model.position_rows)


def _cached(attention: Attention, tokens: Ints) -> Ints:
    """As Attention.cached_tokens."""
    return tokens if attention.window is None else _at_most(tokens, attention.window - 1)


def _at_most(values: Ints, limit: int) -> Ints:
    return np.minimum(values, min(limit, LARGEST))
