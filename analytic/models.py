"""Model shapes: what a decoder-only transformer consists of, layer by layer.

Linears and norms carry the names of transformers' modules, so that a figure
here can be found there. Sizes are counts; nothing knows bytes or dtypes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from analytic.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A matrix of `rows` outputs x `cols` inputs. `convertible` says that its
    module is an nn.Linear or Conv1D, the only ones that bitsandbytes replaces."""

    name: str
    rows: int
    cols: int
    bias: bool
    convertible: bool

    @property
    def weights(self) -> int:
        return self.rows * self.cols

    @property
    def bias_params(self) -> int:
        return self.rows if self.bias else 0

    @property
    def params(self) -> int:
        return self.weights + self.bias_params


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """A normalisation of `vectors` vectors of `width` per token.

    `kind` is "rms" (an RMSNorm that goes through fp32, weight last), "gemma"
    (all of it in fp32, weight + 1) or "layer" (LayerNorm, one kernel). `params`
    is how many vectors of parameters it has: weight, and bias.
    """

    name: str
    kind: str
    width: int
    vectors: int
    params: int

    @property
    def param_count(self) -> int:
        return self.width * self.params


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """Multi-head latent attention: the cache holds `rank` + `rope` numbers a token,
    and `expand` makes keys (without their rotary part) and values of all heads from
    the rank (DeepSeek-V2, arXiv 2405.04434). transformers expands every cached
    token again at every step."""

    rank: int
    rope: int
    nope: int
    expand: Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """`n_heads` queries and `n_kv_heads` keys and values of `d_qk` and `d_v` per token.

    `cached_heads` is how many of them transformers' cache holds: more than
    `n_kv_heads` where a family repeats them before caching. `window` is in
    tokens, None where all are attended to; `rotary` counts the rotated
    dimensions of a head; `softcap` and `alibi` need the score matrix; `broadcast`
    says that fewer key/value heads reach SDPA without a word, as Falcon's do.
    """

    n_heads: int
    n_kv_heads: int
    cached_heads: int
    d_qk: int
    d_v: int
    inputs: tuple[Linear, ...]
    output: Linear
    norms: tuple[Norm, ...]
    latent: Latent | None
    rotary: int
    window: int | None
    softcap: bool
    alibi: bool
    broadcast: bool

    @property
    def linears(self) -> tuple[Linear, ...]:
        expand = (self.latent.expand,) if self.latent else ()
        return (*self.inputs, *expand, self.output)

    @property
    def kv_elements(self) -> int:
        """Elements that one token of context must keep: keys and values, or the latent."""
        if self.latent:
            return self.latent.rank + self.latent.rope
        return self.n_kv_heads * (self.d_qk + self.d_v)

    @property
    def cached_elements(self) -> int:
        """Elements that transformers' cache keeps per token."""
        if self.latent:
            return self.kv_elements
        return self.cached_heads * (self.d_qk + self.d_v)

    @property
    def cache_shapes(self) -> tuple[tuple[int, int], ...]:
        """(heads, size) of the two tensors that transformers' cache keeps per layer:
        keys and values, or a latent's two parts."""
        if self.latent:
            return ((1, self.latent.rank), (1, self.latent.rope))
        return ((self.cached_heads, self.d_qk), (self.cached_heads, self.d_v))

    def cached_tokens(self, context_len: int) -> int:
        """How many of `context_len` past tokens the cache still holds: with a
        sliding window of w, the last w - 1."""
        if self.window is None:
            return context_len
        return min(context_len, self.window - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mlp:
    """`up` holds gate and up (or their fusion, or the one matrix of a plain MLP),
    `down` leads back. `activation` is transformers' name of it."""

    up: tuple[Linear, ...]
    down: Linear
    d_ff: int
    gated: bool
    activation: str

    @property
    def linears(self) -> tuple[Linear, ...]:
        return (*self.up, self.down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moe:
    """`n_experts` gated MLPs of width `d_expert`, kept as 3-D parameters, of which a
    token uses `top_k`; `shared` ones see every token."""

    n_experts: int
    top_k: int
    d_expert: int
    d_model: int
    shared: Mlp | None
    activation: str

    @property
    def expert_params(self) -> int:
        """Parameters of one expert: gate, up and down."""
        return 3 * self.d_model * self.d_expert

    @property
    def router_params(self) -> int:
        return self.n_experts * self.d_model

    def distinct(self, tokens: int) -> float:
        """Experts that `tokens` tokens use, expected under even and independent
        routing: E (1 - (1 - k/E)^T), between k and all."""
        unused = (1.0 - self.top_k / self.n_experts) ** tokens
        return self.n_experts * (1.0 - unused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One decoder layer. It has an `mlp` or a `moe`. `parallel` feeds both
    attention and MLP from the layer's input."""

    attention: Attention
    mlp: Mlp | None
    moe: Moe | None
    norms: tuple[Norm, ...]
    parallel: bool

    def __post_init__(self) -> None:
        if (self.mlp is None) == (self.moe is None):
            raise SpecError("a layer has either an MLP or experts")

    @property
    def dense(self) -> Mlp | None:
        """The MLP that every token goes through: the layer's own or the shared experts."""
        return self.mlp if self.moe is None else self.moe.shared

    @property
    def linears(self) -> tuple[Linear, ...]:
        """All but router and experts."""
        return (*self.attention.linears, *(self.dense.linears if self.dense else ()))

    @property
    def norm_params(self) -> int:
        return sum(n.param_count for n in (*self.norms, *self.attention.norms))

    @property
    def params(self) -> int:
        moe = self.moe
        experts = moe.n_experts * moe.expert_params + moe.router_params if moe else 0
        return sum(linear.params for linear in self.linears) + experts + self.norm_params


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """`count` equal layers. Where kinds of layers alternate, each kind is a stack:
    their order changes no figure here."""

    count: int
    layer: Layer


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
