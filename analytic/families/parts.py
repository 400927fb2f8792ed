"""The parts that families share: RMSNorm, GQA, gated MLP, and how layers are grouped."""

from collections import Counter
from collections.abc import Iterable

from analytic.fields import Fields
from analytic.layers import Attention, Layer, Linear, Mlp, Norm, Stack
from analytic.models import ModelSpec


def linear(name: str, rows: int, cols: int, *, bias: bool = False) -> Linear:
    return Linear(name=name, rows=rows, cols=cols, bias=bias, convertible=True)


def rms_norm(name: str, width: int, *, vectors: int = 1, kind: str = "rms") -> Norm:
    return Norm(name=name, kind=kind, width=width, vectors=vectors, params=1)


def layer_norm(name: str, width: int, *, params: int = 2) -> Norm:
    return Norm(name=name, kind="layer", width=width, vectors=1, params=params)


def gqa(
    fields: Fields,
    *,
    n_kv_heads: int,
    d_head: int,
    window: int | None,
    qkv_bias: bool = False,
    o_bias: bool = False,
    fused: bool = False,
    qk_norm: bool = False,
    rotary: int | None = None,
    softcap: bool = False,
) -> Attention:
    """Grouped-query attention as Llama and its kin write it: q, k, v (or their
    fusion qkv_proj) and o_proj. `n_kv_heads` of 1 is MQA, of all heads MHA."""
    n_heads, d_model = fields.size("num_attention_heads"), fields.size("hidden_size")
    d_q, d_kv = n_heads * d_head, n_kv_heads * d_head
    inputs: tuple[Linear, ...] = (
        linear("q_proj", d_q, d_model, bias=qkv_bias),
        linear("k_proj", d_kv, d_model, bias=qkv_bias),
        linear("v_proj", d_kv, d_model, bias=qkv_bias),
    )
    if fused:
        inputs = (linear("qkv_proj", d_q + 2 * d_kv, d_model, bias=qkv_bias),)
    norms = (
        rms_norm("q_norm", d_head, vectors=n_heads),
        rms_norm("k_norm", d_head, vectors=n_kv_heads),
    )
    return Attention(
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        cached_heads=n_kv_heads,
        d_qk=d_head,
        d_v=d_head,
        inputs=inputs,
        output=linear("o_proj", d_model, d_q, bias=o_bias),
        norms=norms if qk_norm else (),
        latent=None,
        rotary=d_head if rotary is None else rotary,
        window=window,
        softcap=softcap,
        alibi=False,
        broadcast=False,
    )


def gated_mlp(
    d_model: int,
    d_ff: int,
    activation: str,
    *,
    bias: bool = False,
    fused: bool = False,
    prefix: str = "",
) -> Mlp:
    up: tuple[Linear, ...] = (
        linear(f"{prefix}gate_proj", d_ff, d_model, bias=bias),
        linear(f"{prefix}up_proj", d_ff, d_model, bias=bias),
    )
    if fused:
        up = (linear(f"{prefix}gate_up_proj", 2 * d_ff, d_model, bias=bias),)
    return Mlp(
        up=up,
        down=linear(f"{prefix}down_proj", d_model, d_ff, bias=bias),
        d_ff=d_ff,
        gated=True,
        activation=activation,
    )


def plain_mlp(up: Linear, down: Linear, activation: str) -> Mlp:
    return Mlp(up=(up,), down=down, d_ff=up.rows, gated=False, activation=activation)


def stacked(layers: Iterable[Layer]) -> tuple[Stack, ...]:
    """Equal layers grouped, in the order in which their kinds appear."""
    return tuple(Stack(count=count, layer=layer) for layer, count in Counter(layers).items())


def rms_decoder(fields: Fields, name: str, model_type: str, layers: Iterable[Layer]) -> ModelSpec:
    """A Llama-like model around its layers: embedding, final RMSNorm, lm_head."""
    d_model = fields.size("hidden_size")
    return ModelSpec(
        name=name,
        model_type=model_type,
        d_model=d_model,
        d_embed=d_model,
        vocab_size=fields.size("vocab_size"),
        position_rows=0,
        stacks=stacked(layers),
        projections=(),
        final_norm=rms_norm("norm", d_model),
        head_name="lm_head",
        head_bias=False,
        logit_softcap=False,
        tied_embeddings=fields.flag("tie_word_embeddings", default=False),
    )


def pre_norm_layer(attention: Attention, mlp: Mlp, d_model: int) -> Layer:
    return Layer(attention=attention, mlp=mlp, moe=None, norms=two_norms(d_model), parallel=False)


def two_norms(d_model: int) -> tuple[Norm, ...]:
    return (rms_norm("input_layernorm", d_model), rms_norm("post_attention_layernorm", d_model))
