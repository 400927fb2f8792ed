"""What a decoder layer consists of: linears, norms, attention, MLP, experts.

Linears and norms carry the names of transformers' modules, so that a figure
here can be found there. Sizes are counts; nothing knows bytes or dtypes.
"""

from dataclasses import dataclass

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
