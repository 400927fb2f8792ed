"""Llama and its kin: RMSNorm, rotary embedding, GQA, gated MLP."""

from analytic.families.parts import gated_mlp, gqa, pre_norm_layer, rms_decoder
from analytic.fields import Fields
from analytic.layers import Attention, Layer
from analytic.models import ModelSpec

# What transformers' config classes assume where a config.json is silent.
MISTRAL_WINDOW = 4096
QWEN_WINDOW = 4096
QWEN_MAX_WINDOW_LAYERS = 28
QWEN3_HEAD_DIM = 128

LAYER_TYPES = ("full_attention", "sliding_attention")


def head_dim(fields: Fields) -> int:
    return fields.size("head_dim") if fields.has("head_dim") else fields.heads()


def mistral(fields: Fields, name: str) -> ModelSpec:
    """One sliding window in every layer. A config that is silent has one of 4096;
    "sliding_window": null has none."""
    window = fields.size("sliding_window") if fields.has("sliding_window") else None
    if not fields.stated("sliding_window"):
        window = MISTRAL_WINDOW
    n_heads = fields.size("num_attention_heads")
    attention = gqa(
        fields,
        n_kv_heads=fields.kv_heads(n_heads, default=None),
        d_head=head_dim(fields),
        window=window,
    )
    return _uniform(fields, name, "mistral", attention)


def llama(fields: Fields, name: str) -> ModelSpec:
    """Biases on all of attention (attention_bias) and of the MLP (mlp_bias) are options."""
    n_heads = fields.size("num_attention_heads")
    bias = fields.flag("attention_bias", default=False)
    attention = gqa(
        fields,
        n_kv_heads=fields.kv_heads(n_heads, default=n_heads),
        d_head=head_dim(fields),
        window=None,
        qkv_bias=bias,
        o_bias=bias,
    )
    return _uniform(fields, name, "llama", attention, mlp_bias=fields.flag("mlp_bias", default=False))


def qwen2(fields: Fields, name: str) -> ModelSpec:
    """Biases on q, k and v; sliding windows in the upper layers if asked for."""
    return _qwen(fields, name, "qwen2", d_head=head_dim(fields), qkv_bias=True, o_bias=False, qk_norm=False)


def qwen3(fields: Fields, name: str) -> ModelSpec:
    """RMSNorm on every query and key head; head_dim of its own."""
    bias = fields.flag("attention_bias", default=False)
    d_head = fields.size("head_dim", default=QWEN3_HEAD_DIM)
    return _qwen(fields, name, "qwen3", d_head=d_head, qkv_bias=bias, o_bias=bias, qk_norm=True)


def phi3(fields: Fields, name: str) -> ModelSpec:
    """qkv_proj and gate_up_proj are fused; a part of each head may be rotated."""
    n_heads, d_head = fields.size("num_attention_heads"), head_dim(fields)
    rotated = fields.rotary_share("partial_rotary_factor", default=1.0)
    attention = gqa(
        fields,
        n_kv_heads=fields.kv_heads(n_heads, default=n_heads),
        d_head=d_head,
        window=fields.maybe("sliding_window"),
        fused=True,
        rotary=int(d_head * rotated),
    )
    return _uniform(fields, name, "phi3", attention, fused_mlp=True)


def _qwen(
    fields: Fields,
    name: str,
    model_type: str,
    *,
    d_head: int,
    qkv_bias: bool,
    o_bias: bool,
    qk_norm: bool,
) -> ModelSpec:
    n_heads, d_model = fields.size("num_attention_heads"), fields.size("hidden_size")
    mlp = gated_mlp(d_model, fields.size("intermediate_size"), fields.word("hidden_act", default="silu"))

    def layer(window: int | None) -> Layer:
        attention = gqa(
            fields,
            n_kv_heads=fields.kv_heads(n_heads, default=n_heads),
            d_head=d_head,
            window=window,
            qkv_bias=qkv_bias,
            o_bias=o_bias,
            qk_norm=qk_norm,
        )
        return pre_norm_layer(attention, mlp, d_model)

    return rms_decoder(fields, name, model_type, map(layer, _qwen_windows(fields)))


def _qwen_windows(fields: Fields) -> list[int | None]:
    """The window of each layer: none, unless use_sliding_window; then by
    layer_types, or in the layers from max_window_layers on."""
    n_layers = fields.size("num_hidden_layers")
    if not fields.flag("use_sliding_window", default=False):
        return [None] * n_layers
    window = fields.size("sliding_window", default=QWEN_WINDOW)
    types = fields.words("layer_types", allowed=LAYER_TYPES, length=n_layers)
    if types is not None:
        return [window if t == "sliding_attention" else None for t in types]
    first = fields.size("max_window_layers", default=QWEN_MAX_WINDOW_LAYERS, least=0)
    return [window if i >= first else None for i in range(n_layers)]


def _uniform(
    fields: Fields,
    name: str,
    model_type: str,
    attention: Attention,
    *,
    mlp_bias: bool = False,
    fused_mlp: bool = False,
) -> ModelSpec:
    d_model = fields.size("hidden_size")
    mlp = gated_mlp(
        d_model,
        fields.size("intermediate_size"),
        fields.word("hidden_act", default="silu"),
        bias=mlp_bias,
        fused=fused_mlp,
    )
    layer = pre_norm_layer(attention, mlp, d_model)
    return rms_decoder(fields, name, model_type, [layer] * fields.size("num_hidden_layers"))
