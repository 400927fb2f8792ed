"""A model's shapes: its kinds of layers, and what surrounds them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from analytic.errors import SpecError
from analytic.layers import Attention, Layer, Linear, Norm, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A decoder-only transformer.

    `d_embed` is the width of the embedding and of lm_head's input, `d_model`
    unless there are `projections` between. `position_rows` counts learned
    positions. Raises SpecError at construction for a size below 1.
    """

    name: str
    model_type: str
    d_model: int
    d_embed: int
    vocab_size: int
    position_rows: int
    stacks: tuple[Stack, ...]
    projections: tuple[Linear, ...]
    final_norm: Norm | None
    head_name: str
    head_bias: bool
    logit_softcap: bool
    tied_embeddings: bool

    def __post_init__(self) -> None:
        sizes = {"d_model": self.d_model, "d_embed": self.d_embed, "vocab_size": self.vocab_size}
        sizes |= {f"stacks[{i}].count": stack.count for i, stack in enumerate(self.stacks)}
        for where, value in sizes.items():
            if value < 1:
                raise SpecError(f"{self.name}: {where} is {value}; at least 1 is needed")
        if not self.stacks:
            raise SpecError(f"{self.name} has no layer")
        for attention in (stack.layer.attention for stack in self.stacks):
            for where in ("n_heads", "n_kv_heads", "cached_heads", "d_qk", "d_v"):
                if getattr(attention, where) < 1:
                    raise SpecError(f"{self.name}: {where} is {getattr(attention, where)}; at least 1")

    @property
    def n_layers(self) -> int:
        return sum(stack.count for stack in self.stacks)

    @property
    def positions(self) -> int | None:
        """How many learned positions there are; None where there is no table. OPT's
        has two rows more than positions (OPTLearnedPositionalEmbedding)."""
        if not self.position_rows:
            return None
        return self.position_rows - (2 if self.model_type == "opt" else 0)

    @property
    def attention(self) -> Attention:
        """The attention of the first kind of layer; heads and sizes are the same in all."""
        return self.stacks[0].layer.attention

    @property
    def shapes(self) -> str:
        """All sizes in a line, such as "L32 D4096 F14336 H32/8x128 V32000": equal
        lines are models that run equally fast."""
        window = self._common_window
        kinds = [_described(stack.layer, windowed=not window) for stack in self.stacks]
        if len(kinds) > 1:
            kinds = [f"{stack.count}x({kind})" for stack, kind in zip(self.stacks, kinds, strict=True)]
        embed = f" E{self.d_embed}" if self.d_embed != self.d_model else ""
        tied = " tied" if self.tied_embeddings else ""
        # Mistral's line says everything, and is what the stored baselines have; another
        # family's carries a digest of what has no letter (biases, ranks, rotary share).
        family, digest = "", ""
        if self.model_type != "mistral":
            family = f"{self.model_type} "
            digest = f" #{sha256(repr(replace(self, name='')).encode()).hexdigest()[:8]}"
        where = f" window{window}" if window else ""
        return (
            f"{family}L{self.n_layers} D{self.d_model}{embed} {' + '.join(kinds)} "
            f"V{self.vocab_size}{where}{tied}{digest}"
        )

    @property
    def _common_window(self) -> int | None:
        windows = {stack.layer.attention.window for stack in self.stacks}
        return windows.pop() if len(windows) == 1 else None

    @property
    def layers(self) -> Iterator[Layer]:
        """Every layer, kind by kind."""
        for stack in self.stacks:
            for _ in range(stack.count):
                yield stack.layer

    @property
    def head(self) -> Linear:
        return Linear(
            name=self.head_name,
            rows=self.vocab_size,
            cols=self.d_embed,
            bias=self.head_bias,
            convertible=False,  # bitsandbytes leaves the output embedding alone
        )

    @property
    def linears(self) -> Iterator[tuple[int, Linear]]:
        """(how many, which) of all linears, without lm_head, router and experts."""
        for stack in self.stacks:
            for linear in stack.layer.linears:
                yield stack.count, linear
        for linear in self.projections:
            yield 1, linear

    @property
    def linear_params(self) -> int:
        return sum(count * linear.params for count, linear in self.linears)

    @property
    def expert_params(self) -> int:
        moes = ((stack.count, stack.layer.moe) for stack in self.stacks)
        return sum(count * moe.n_experts * moe.expert_params for count, moe in moes if moe)

    @property
    def router_params(self) -> int:
        return sum(stack.count * stack.layer.moe.router_params for stack in self.stacks if stack.layer.moe)

    @property
    def embedding_params(self) -> int:
        return self.vocab_size * self.d_embed

    @property
    def position_params(self) -> int:
        return self.position_rows * self.d_model

    @property
    def norm_params(self) -> int:
        final = self.final_norm.param_count if self.final_norm else 0
        return final + sum(stack.count * stack.layer.norm_params for stack in self.stacks)

    @property
    def head_params(self) -> int:
        """Parameters that lm_head adds: none but its bias where it is tied."""
        return self.head.bias_params + (0 if self.tied_embeddings else self.head.weights)

    @property
    def param_count(self) -> int:
        return (
            self.embedding_params
            + self.position_params
            + self.linear_params
            + self.expert_params
            + self.router_params
            + self.norm_params
            + self.head_params
        )

    @property
    def active_param_count(self) -> int:
        """Parameters that one token uses: of the experts only its top k."""
        idle = sum(
            stack.count * (moe.n_experts - moe.top_k) * moe.expert_params
            for stack in self.stacks
            if (moe := stack.layer.moe)
        )
        return self.param_count - idle


def _described(layer: Layer, *, windowed: bool) -> str:
    attention, dense, moe = layer.attention, layer.dense, layer.moe
    parts = [f"F{dense.d_ff}"] if dense else []
    if moe:
        parts.append(f"E{moe.n_experts}/{moe.top_k}x{moe.d_expert}")
    heads = f"H{attention.n_heads}/{attention.n_kv_heads}x{attention.d_qk}"
    if attention.d_v != attention.d_qk:
        heads += f"/{attention.d_v}"
    if windowed and attention.window:
        heads += f" window{attention.window}"
    return " ".join([*parts, heads])
