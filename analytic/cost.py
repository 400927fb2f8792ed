"""What one forward pass must compute and move: FLOPs and bytes, operator by operator.

The alphabet: B batch, q new tokens per sequence, kv keys each attends to, T = B q.
A multiply-add is 2 FLOPs. As PyTorch's FlopCounterMode counts, and as
transformers runs: full attention (no causal halving), MLA expanded again at
every step, no norms, rotary embedding, softmax or activation functions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analytic.case import Case, Phase
from analytic.errors import SpecError
from analytic.models import Attention, Layer, Linear, ModelSpec, Moe
from analytic.precision import Precision

LOGITS = ("last", "all")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The shape of one forward pass. `logits` is "last" (one row per sequence, as
    generate() computes) or "all". Raises SpecError for sizes that make no pass."""

    batch: int
    new_tokens: int
    context_len: int
    logits: str = "last"

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("new_tokens", 1), ("context_len", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{name} is {value!r}; an integer of at least {least} is needed")
        if self.logits not in LOGITS:
            raise SpecError(f"logits is {self.logits!r}; 'last' or 'all' is needed")

    @property
    def tokens(self) -> int:
        return self.batch * self.new_tokens

    @property
    def logit_rows(self) -> int:
        return self.batch if self.logits == "last" else self.tokens

    def attended(self, attention: Attention) -> int:
        """Keys that each query meets when attention is executed in full."""
        return attention.cached_tokens(self.context_len) + self.new_tokens

    def causal_pairs(self, attention: Attention) -> int:
        """(query, key) pairs per sequence that a causal mask and a window leave."""
        q, cached = self.new_tokens, self.context_len
        window = attention.window
        if window is None:
            return q * cached + q * (q + 1) // 2
        # Token i attends to cached + i + 1 keys, until the window holds them all.
        growing = max(0, min(q, window - cached))
        return growing * cached + growing * (growing + 1) // 2 + (q - growing) * window


def pass_cost(
    model: ModelSpec,
    *,
    batch: int,
    new_tokens: int,
    context_len: int,
    precision: Precision,
    logits: str = "last",
    causal: bool = False,
    absorbed: bool = False,
) -> Cost:
    """The cost of one forward pass.

    `context_len` is the number of cached tokens before the pass: 0 for a
    prefill; a decode step has one new token and attends to context_len + 1.
    `causal` counts only the scores that the mask leaves, as flash attention
    does; `absorbed` multiplies MLA's expansion into queries and outputs
    (DeepSeek-V2, arXiv 2405.04434, section 2.1.2) instead of expanding every
    cached token. Raises SpecError for sizes that make no pass.
    """
    shape = Pass(batch=batch, new_tokens=new_tokens, context_len=context_len, logits=logits)
    counter = _Counter(model, precision, shape, causal=causal, absorbed=absorbed)
    return Cost(
        batch=batch,
        new_tokens=new_tokens,
        context_len=context_len,
        math=precision.linear_math,
        operators=tuple(_by_name(counter.operators())),
    )


class _Counter:
    """Counts the operators of one pass, layer kind by layer kind."""

    def __init__(
        self, model: ModelSpec, precision: Precision, shape: Pass, *, causal: bool, absorbed: bool
    ) -> None:
        self.model = model
        self.precision = precision
        self.shape = shape
        self.causal = causal
        self.absorbed = absorbed
        self.width = precision.model_bytes

    def operators(self) -> Iterable[Operator]:
        model, tokens = self.model, self.shape.tokens
        # Looking up more rows than there are reads each of them once.
        rows = min(tokens, model.vocab_size)
        yield self._operator(
            "embed_tokens", weights=rows * model.d_embed * self.width, moved=tokens * model.d_embed
        )
        if model.position_rows:
            positions = min(self.shape.new_tokens, model.position_rows)
            yield self._operator(
                "embed_positions",
                weights=positions * model.d_model * self.width,
                moved=2 * tokens * model.d_model,
            )
        into = model.projections[:1]
        yield from (self.linear(linear, tokens, 1) for linear in into)
        for stack in model.stacks:
            yield from self._layer(stack.layer, stack.count)
        yield self._norms()
        yield from (self.linear(linear, tokens, 1) for linear in model.projections[1:])
        yield self.linear(model.head, self.shape.logit_rows, 1)

    def _layer(self, layer: Layer, count: int) -> Iterable[Operator]:
        attention, tokens = layer.attention, self.shape.tokens
        yield from (self.linear(linear, tokens, count) for linear in attention.inputs)
        yield from self._attention(attention, count)
        yield self.linear(attention.output, tokens, count)
        yield self._residual(layer, count)
        if layer.moe:
            yield from self._experts(layer.moe, count)
        if layer.dense:
            mlp = layer.dense
            yield from (self.linear(linear, tokens, count) for linear in mlp.up)
            yield self._activation(mlp.d_ff * tokens, gated=mlp.gated, count=count)
            yield self.linear(mlp.down, tokens, count)

    def linear(self, linear: Linear, tokens: int, count: int) -> Operator:
        quantised = self.precision.quantised and linear.convertible
        return self._operator(
            linear.name,
            count=count,
            math=self.precision.linear_math if quantised else self.precision.model,
            flops=2 * tokens * linear.weights * count,
            weights=self.precision.stored_bytes(linear) * count,
            moved=tokens * (linear.rows + linear.cols) * count,
        )

    def _attention(self, attention: Attention, count: int) -> Iterable[Operator]:
        shape, batch, latent = self.shape, self.shape.batch, attention.latent
        cached = attention.cached_tokens(shape.context_len)
        kept = attention.cached_tokens(shape.new_tokens)  # past the window, only those that stay
        pairs = shape.new_tokens * shape.attended(attention)
        if self.causal:
            pairs = shape.causal_pairs(attention)
        heads = attention.n_heads
        flops = 2 * batch * heads * pairs * (attention.d_qk + attention.d_v)
        moved = shape.tokens * (heads * (attention.d_qk + attention.d_v) + attention.kv_elements)
        if latent and self.absorbed:
            yield self._operator(
                latent.expand.name,
                count=count,
                math=self.precision.model,
                flops=2 * shape.tokens * latent.expand.weights * count,
                weights=self.precision.stored_bytes(latent.expand) * count,
                moved=shape.tokens * heads * (latent.nope + 2 * latent.rank + attention.d_v) * count,
            )
            flops = 2 * batch * heads * pairs * (2 * latent.rank + latent.rope)
        elif latent:
            expanded = batch * shape.attended(attention)
            yield self.linear(latent.expand, expanded, count)
            moved += expanded * latent.expand.rows
        yield self._operator(
            "attention",
            count=count,
            flops=flops * count,
            kv_bytes=batch * cached * attention.kv_elements * self.precision.kv_bytes * count,
            kv_written=batch * kept * attention.kv_elements * self.precision.kv_bytes * count,
            moved=moved * count,
        )

    def _experts(self, moe: Moe, count: int) -> Iterable[Operator]:
        tokens, width = self.shape.tokens, self.width
        yield self._operator(
            "router",
            count=count,
            flops=2 * tokens * moe.router_params * count,
            weights=moe.router_params * width * count,
            moved=tokens * (moe.d_model + moe.n_experts) * count,
        )
        expert = moe.expert_params * width
        expected = round((moe.distinct(tokens) - moe.top_k) * expert) * count
        yield self._operator(
            "experts",
            count=count,
            flops=2 * tokens * moe.top_k * moe.expert_params * count,
            # At the least all tokens are routed to the same experts.
            weights=moe.top_k * expert * count,
            moved=tokens * (2 * moe.d_model + moe.top_k * 6 * moe.d_expert) * count,
            beyond=expected,
        )

    def _residual(self, layer: Layer, count: int) -> Operator:
        """The additions that join a block to the stream: two a layer, one kernel in
        a parallel one; each reads two tensors and writes one."""
        additions = 1 if layer.parallel else 2
        moved = 3 * additions * self.shape.tokens * self.model.d_model * count
        return self._operator("residual", count=additions * count, moved=moved)

    def _activation(self, elements: int, *, gated: bool, count: int) -> Operator:
        return self._operator("act_fn", count=count, moved=(3 if gated else 2) * elements * count)

    def _norms(self) -> Operator:
        """All norms of the model: each vector read once and written once."""
        shape, model = self.shape, self.model
        norms = [
            (stack.count, norm)
            for stack in model.stacks
            for norm in (*stack.layer.norms, *stack.layer.attention.norms)
        ]
        if model.final_norm:
            norms.append((1, model.final_norm))
        elements = sum(count * norm.width * norm.vectors for count, norm in norms)
        return self._operator(
            "norms",
            count=sum(count for count, _ in norms),
            weights=model.norm_params * self.width,
            moved=2 * shape.tokens * elements,
        )

    def _operator(
        self,
        name: str,
        *,
        count: int = 1,
        math: str | None = None,
        flops: int = 0,
        weights: int = 0,
        kv_bytes: int = 0,
        kv_written: int = 0,
        moved: int = 0,
        beyond: int = 0,
    ) -> Operator:
        """`kv_bytes` are read; `moved` counts activations in elements, `beyond` more
        weights in bytes."""
        return Operator(
            name=name,
            count=count,
            math=math or self.precision.model,
            flops=flops,
            weight_bytes=weights,
            kv_bytes=kv_bytes + kv_written,
            kv_written_bytes=kv_written,
            fused_bytes=weights + kv_bytes + kv_written + beyond + moved * self.width,
        )


def _by_name(operators: Iterable[Operator]) -> Iterable[Operator]:
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


def case_passes(case: Case) -> tuple[Pass, ...]:
    """The forward passes of a case, in order.

    Prefill and decode are one pass. generate() of n tokens is a prefill, which
    yields the first, and n - 1 decode steps on a growing cache.
    """
    prefill = Pass(batch=case.batch, new_tokens=case.length, context_len=0)
    if case.phase is Phase.PREFILL:
        return (prefill,)
    if case.phase is Phase.DECODE:
        return (Pass(batch=case.batch, new_tokens=1, context_len=case.length),)
    assert case.output_len is not None  # noqa: S101 - Case checks it
    steps = range(case.length, case.length + case.output_len - 1)
    return (prefill, *(Pass(batch=case.batch, new_tokens=1, context_len=n) for n in steps))


def case_costs(
    model: ModelSpec, case: Case, precision: Precision, *, causal: bool = False, absorbed: bool = False
) -> tuple[Cost, ...]:
    """The cost of each forward pass of a case, in order; counted as pass_cost does."""
    return tuple(
        pass_cost(
            model,
            batch=shape.batch,
            new_tokens=shape.new_tokens,
            context_len=shape.context_len,
            precision=precision,
            causal=causal,
            absorbed=absorbed,
        )
        for shape in case_passes(case)
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
        operators=tuple(_by_name(op for cost in costs for op in cost.operators)),
    )


def total_flops(costs: Sequence[Cost]) -> int:
    return sum(cost.flops for cost in costs)


def total_bytes(costs: Sequence[Cost]) -> int:
    return sum(cost.bytes for cost in costs)
