"""Mixtures of experts: Mixtral, Qwen3-MoE and DeepSeek-V2."""

from analytic.errors import SpecError
from analytic.families.llama import head_dim
from analytic.families.parts import (
    gated_mlp,
    gqa,
    linear,
    pre_norm_layer,
    rms_decoder,
    rms_norm,
    two_norms,
)
from analytic.fields import Fields
from analytic.layers import Attention, Latent, Layer, Linear, Mlp, Moe, Norm
from analytic.models import ModelSpec

# transformers.Qwen3MoeConfig's default.
QWEN_WINDOW = 4096
# transformers.DeepseekV2Config's default.
DEEPSEEK_SHARED = 2


def mixtral(fields: Fields, name: str) -> ModelSpec:
    """Experts in every layer."""
    n_heads = fields.size("num_attention_heads")
    attention = gqa(
        fields,
        n_kv_heads=fields.kv_heads(n_heads, default=n_heads),
        d_head=head_dim(fields),
        window=fields.maybe("sliding_window"),
    )
    moe = _moe(fields, experts=("num_local_experts", "num_experts"), width="intermediate_size")
    layer = _moe_layer(attention, moe, fields.size("hidden_size"))
    return rms_decoder(fields, name, "mixtral", [layer] * fields.size("num_hidden_layers"))


def qwen3_moe(fields: Fields, name: str) -> ModelSpec:
    """Experts in every decoder_sparse_step-th layer but those in mlp_only_layers;
    RMSNorm on every query and key head."""
    n_heads, d_model = fields.size("num_attention_heads"), fields.size("hidden_size")
    bias = fields.flag("attention_bias", default=False)
    windowed = fields.flag("use_sliding_window", default=False)
    attention = gqa(
        fields,
        n_kv_heads=fields.kv_heads(n_heads, default=None),
        d_head=head_dim(fields),
        window=fields.size("sliding_window", default=QWEN_WINDOW) if windowed else None,
        qkv_bias=bias,
        o_bias=bias,
        qk_norm=True,
    )
    dense = fields.indices("mlp_only_layers")
    every = fields.size("decoder_sparse_step", default=1)

    def layer(i: int) -> Layer:
        if i not in dense and (i + 1) % every == 0:
            moe = _moe(fields, experts=("num_experts", "num_local_experts"), width="moe_intermediate_size")
            return _moe_layer(attention, moe, d_model)
        mlp = gated_mlp(d_model, fields.size("intermediate_size"), _activation(fields))
        return pre_norm_layer(attention, mlp, d_model)

    layers = map(layer, range(fields.size("num_hidden_layers")))
    return rms_decoder(fields, name, "qwen3_moe", layers)


def deepseek_v2(fields: Fields, name: str) -> ModelSpec:
    """Latent attention; the first first_k_dense_replace layers have a plain MLP,
    the others routed experts beside shared ones."""
    d_model = fields.size("hidden_size")
    attention = _latent_attention(fields)
    first_dense = fields.size("first_k_dense_replace", default=0, least=0)
    # Biases of dense and shared MLPs; the routed experts have none.
    bias = fields.flag("mlp_bias", default=False)

    def layer(i: int) -> Layer:
        if i < first_dense:
            mlp = gated_mlp(d_model, fields.size("intermediate_size"), _activation(fields), bias=bias)
            return pre_norm_layer(attention, mlp, d_model)
        width = fields.size("moe_intermediate_size")
        shared = gated_mlp(
            d_model,
            width * fields.size("n_shared_experts", default=DEEPSEEK_SHARED),
            _activation(fields),
            bias=bias,
            prefix="shared_experts.",
        )
        moe = _moe(
            fields, experts=("n_routed_experts", "num_experts"), width="moe_intermediate_size", shared=shared
        )
        return _moe_layer(attention, moe, d_model)

    layers = map(layer, range(fields.size("num_hidden_layers")))
    return rms_decoder(fields, name, "deepseek_v2", layers)


def _latent_attention(fields: Fields) -> Attention:
    n_heads, d_model = fields.size("num_attention_heads"), fields.size("hidden_size")
    nope, rope = fields.size("qk_nope_head_dim"), fields.size("qk_rope_head_dim")
    d_v, rank = fields.size("v_head_dim"), fields.size("kv_lora_rank")
    bias = fields.flag("attention_bias", default=False)
    d_q = n_heads * (nope + rope)
    inputs: list[Linear] = []
    norms: list[Norm] = []
    q_rank = fields.maybe("q_lora_rank")
    if q_rank is None:
        inputs.append(linear("q_proj", d_q, d_model))
    else:
        inputs.append(linear("q_a_proj", q_rank, d_model, bias=bias))
        norms.append(rms_norm("q_a_layernorm", q_rank))
        inputs.append(linear("q_b_proj", d_q, q_rank))
    inputs.append(linear("kv_a_proj_with_mqa", rank + rope, d_model, bias=bias))
    norms.append(rms_norm("kv_a_layernorm", rank))
    expand = linear("kv_b_proj", n_heads * (nope + d_v), rank)
    return Attention(
        n_heads=n_heads,
        n_kv_heads=n_heads,
        cached_heads=n_heads,
        d_qk=nope + rope,
        d_v=d_v,
        inputs=tuple(inputs),
        output=linear("o_proj", d_model, n_heads * d_v, bias=bias),
        norms=tuple(norms),
        latent=Latent(rank=rank, rope=rope, nope=nope, expand=expand),
        rotary=rope,
        window=None,
        softcap=False,
        alibi=False,
        broadcast=False,
    )


def _moe(fields: Fields, *, experts: tuple[str, ...], width: str, shared: Mlp | None = None) -> Moe:
    n_experts, top_k = fields.either(*experts), fields.size("num_experts_per_tok")
    if top_k > n_experts:
        raise SpecError(
            f"{fields.source}: num_experts_per_tok {top_k} of {experts[0]} {n_experts}; "
            f"at most {n_experts} is needed"
        )
    return Moe(
        n_experts=n_experts,
        top_k=top_k,
        d_expert=fields.size(width),
        d_model=fields.size("hidden_size"),
        shared=shared,
        activation=_activation(fields),
    )


def _moe_layer(attention: Attention, moe: Moe, d_model: int) -> Layer:
    return Layer(attention=attention, mlp=None, moe=moe, norms=two_norms(d_model), parallel=False)


def _activation(fields: Fields) -> str:
    return fields.word("hidden_act", default="silu")
