"""What one forward pass must compute and move: FLOPs and compulsory bytes.

The alphabet: B batch, q new tokens per sequence, kv keys each attends to,
D d_model, F d_ff, H query heads, K key/value heads, h head size, V vocabulary,
L layers. A multiply-add is 2 FLOPs. As PyTorch's FlopCounterMode counts, and as
its eager kernels run: full attention (no causal halving), no norms, rotary
embedding, softmax or activation functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analytic.case import Case, Phase
from analytic.errors import SpecError
from analytic.models import ModelSpec
from analytic.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of the model, all its `count` instances in a pass together.

    `math` is the dtype whose compute roof bounds it; bytes go by stream.
    """

    name: str
    count: int
    math: str
    flops: int
    weight_bytes: int
    kv_bytes: int

    @property
    def bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One forward pass: `batch` sequences, `new_tokens` each on `context_len` cached.

    Bytes are the compulsory traffic: every weight once (of the embedding only
    the rows used), cached keys and values read once, new ones written once.
    Activations can stay on the chip, so they are not in it.
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
    def intensity(self) -> float:
        """Operational intensity, FLOP per byte."""
        return self.flops / self.bytes


def pass_cost(
    model: ModelSpec,
    *,
    batch: int,
    new_tokens: int,
    context_len: int,
    precision: Precision,
    logits: str = "last",
) -> Cost:
    """The cost of one forward pass.

    `context_len` is the number of cached tokens before the pass: 0 for a
    prefill; a decode step has one new token and attends to context_len + 1.
    `logits` is "last" (one row of logits per sequence, as generate() computes)
    or "all". Raises SpecError for sizes that make no pass.
    """
    for name, value, least in (
        ("batch", batch, 1),
        ("new_tokens", new_tokens, 1),
        ("context_len", context_len, 0),
    ):
        if value < least:
            raise SpecError(f"{name} is {value}; at least {least} is needed")
    if logits not in ("last", "all"):
        raise SpecError(f"logits is {logits!r}; 'last' or 'all' is needed")

    B, q, L, D = batch, new_tokens, model.n_layers, model.d_model  # noqa: N806 - the alphabet above
    H, h, V = model.n_heads, model.d_head, model.vocab_size  # noqa: N806 - the alphabet above
    cached = model.cached_tokens(context_len)
    written = model.cached_tokens(q)  # of new tokens past the window, only those that stay
    kv = cached + q
    rows = B if logits == "last" else B * q
    # Looking up more rows than there are reads each of them once.
    embedding_rows = min(B * q, V)

    def operator(name: str, *, count: int, flops: int = 0, weights: int = 0, kv_bytes: int = 0) -> Operator:
        linear = name in {n for n, _, _ in model.layer_linears}
        return Operator(
            name=name,
            count=count,
            math=precision.linear_math if linear else precision.compute,
            flops=flops,
            weight_bytes=weights,
            kv_bytes=kv_bytes,
        )

    linears = {
        name: operator(
            name,
            count=L,
            flops=2 * B * q * out * into * L,
            weights=precision.linear_bytes(out, into) * L,
        )
        for name, out, into in model.layer_linears
    }
    w = precision.model_bytes
    return Cost(
        batch=B,
        new_tokens=q,
        context_len=context_len,
        math=precision.linear_math,
        operators=(
            operator("embed_tokens", count=1, weights=embedding_rows * D * w),
            linears["q_proj"],
            linears["k_proj"],
            linears["v_proj"],
            operator(
                "attention",
                count=L,
                flops=4 * B * H * h * q * kv * L,  # scores and their product with V
                kv_bytes=2 * B * (cached + written) * model.d_kv * precision.kv_bytes * L,
            ),
            linears["o_proj"],
            linears["gate_proj"],
            linears["up_proj"],
            linears["down_proj"],
            operator("norms", count=2 * L + 1, weights=model.norm_params * w),
            operator("lm_head", count=1, flops=2 * rows * D * V, weights=D * V * w),
        ),
    )


def case_costs(model: ModelSpec, case: Case, precision: Precision) -> tuple[Cost, ...]:
    """The forward passes of a case, in order.

    Prefill and decode are one pass. generate() of n tokens is a prefill, which
    yields the first, and n - 1 decode steps on a growing cache.
    """
    if case.phase is Phase.PREFILL:
        return (_pass(model, case, precision, new=case.length, cached=0),)
    if case.phase is Phase.DECODE:
        return (_pass(model, case, precision, new=1, cached=case.length),)
    assert case.output_len is not None  # noqa: S101 - Case checks it
    steps = (_pass(model, case, precision, new=1, cached=case.length + i) for i in range(case.output_len - 1))
    return (_pass(model, case, precision, new=case.length, cached=0), *steps)


def _pass(model: ModelSpec, case: Case, precision: Precision, *, new: int, cached: int) -> Cost:
    return pass_cost(model, batch=case.batch, new_tokens=new, context_len=cached, precision=precision)


def merged(costs: Sequence[Cost]) -> Cost:
    """Passes that run one after another, as one: operator by operator, summed.

    Its bound would assume overlap between the passes; sequence_bound does not.
    """
    return Cost(
        batch=costs[0].batch,
        new_tokens=sum(cost.new_tokens for cost in costs),
        context_len=costs[0].context_len,
        math=costs[0].math,
        operators=tuple(
            Operator(
                name=same[0].name,
                count=sum(op.count for op in same),
                math=same[0].math,
                flops=sum(op.flops for op in same),
                weight_bytes=sum(op.weight_bytes for op in same),
                kv_bytes=sum(op.kv_bytes for op in same),
            )
            for same in zip(*(cost.operators for cost in costs), strict=True)
        ),
    )


def total_flops(costs: Sequence[Cost]) -> int:
    return sum(cost.flops for cost in costs)


def total_bytes(costs: Sequence[Cost]) -> int:
    return sum(cost.bytes for cost in costs)
