"""Counting what a pass must compute and move, in closed form.

The alphabet: B batch, q new tokens per sequence, kv keys each attends to, T = B q.
A multiply-add is 2 FLOPs. As PyTorch's FlopCounterMode counts, and as
transformers runs: full attention (no causal halving), MLA expanded again at
every step, no norms, rotary embedding, softmax or activation functions.
"""

from collections.abc import Iterable
from functools import lru_cache

from analytic.case import Case
from analytic.cost import Cost, Operator, by_name
from analytic.layers import Attention, Layer, Linear, Moe
from analytic.models import ModelSpec
from analytic.passes import Pass, case_passes
from analytic.precision import Precision


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
    return cost_of(model, shape, precision, causal=causal, absorbed=absorbed)


@lru_cache(maxsize=4096)  # asked for again by whoever looks at a case: bound, estimate, regime, advice
def cost_of(
    model: ModelSpec, shape: Pass, precision: Precision, *, causal: bool = False, absorbed: bool = False
) -> Cost:
    """The cost of a pass that is at hand; counted as pass_cost does."""
    counter = _Counter(model, precision, shape, causal=causal, absorbed=absorbed)
    return Cost(
        batch=shape.batch,
        new_tokens=shape.new_tokens,
        context_len=shape.context_len,
        math=precision.linear_math,
        operators=tuple(by_name(counter.operators())),
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
        return self._operator(
            linear.name,
            count=count,
            math=self.precision.math_of(linear),
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


def case_costs(
    model: ModelSpec, case: Case, precision: Precision, *, causal: bool = False, absorbed: bool = False
) -> tuple[Cost, ...]:
    """The cost of each forward pass of a case, in order; counted as pass_cost does."""
    return tuple(
        cost_of(model, shape, precision, causal=causal, absorbed=absorbed) for shape in case_passes(case)
    )
