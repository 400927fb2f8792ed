"""How much memory a case needs: weights, KV cache, activations."""

from dataclasses import dataclass

from analytic.case import Case, Phase
from analytic.models import ModelSpec
from analytic.precision import DTYPE_BYTES, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes that a case occupies at its peak, predicted."""

    weight_bytes: int
    kv_bytes: int
    activation_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes + self.activation_bytes


def resident_weight_bytes(model: ModelSpec, precision: Precision) -> int:
    """All weights as stored, the whole embedding table included."""
    heads = 1 if model.tied_embeddings else 2
    rest = heads * model.embedding_params + model.norm_params
    layer = sum(precision.linear_bytes(rows, cols) for _, rows, cols in model.layer_linears)
    return model.n_layers * layer + rest * precision.model_bytes


def footprint(model: ModelSpec, case: Case, precision: Precision, *, materialised_scores: bool) -> Footprint:
    """The predicted peak of a case under eager execution.

    The cache holds two copies of one layer while `torch.cat` appends to it.
    Activations: the widest moment is either the gated MLP (gate, up, its
    activation and their product, beside the residual stream) or, where
    `materialised_scores` says that attention builds the score matrix (the math
    path: fp32 scores and their softmax; on sm75 with GQA), the attention. A
    quantised linear also unpacks one weight matrix.
    """
    q = 1 if case.phase is Phase.DECODE else case.length
    tokens = case.batch * q
    final_len = case.length + (case.output_len or (1 if case.phase is Phase.DECODE else 0))
    held = model.cached_tokens(final_len)
    layer_kv = 2 * case.batch * held * model.d_kv * precision.kv_bytes
    width = DTYPE_BYTES[precision.model]
    mlp = (4 * model.d_ff + 3 * model.d_model) * tokens * width
    scores = 0
    if materialised_scores:
        attended = max(held, q)  # a prefill past the sliding window still scores all its tokens
        scores = 2 * case.batch * model.n_heads * q * attended * DTYPE_BYTES["fp32"]
        scores += 2 * case.batch * model.d_q * attended * DTYPE_BYTES["fp32"]  # K, V repeated, fp32
    unpacked = 0
    if precision.quantised:
        unpacked = max(rows * cols for _, rows, cols in model.layer_linears) * width
    return Footprint(
        weight_bytes=resident_weight_bytes(model, precision),
        kv_bytes=layer_kv * (model.n_layers + 1),
        activation_bytes=max(mlp, scores) + unpacked,
    )
