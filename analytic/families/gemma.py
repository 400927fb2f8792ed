"""Gemma 2: four norms a layer, capped scores and logits, alternating windows."""

from dataclasses import replace

from analytic.families.llama import LAYER_TYPES
from analytic.families.parts import gated_mlp, gqa, rms_decoder, rms_norm
from analytic.fields import Fields
from analytic.layers import Layer
from analytic.models import ModelSpec

# transformers.Gemma2Config's defaults.
WINDOW = 4096
ACTIVATION = "gelu_pytorch_tanh"
HEAD_DIM = 256


def gemma2(fields: Fields, name: str) -> ModelSpec:
    """Every other layer has a window, the first included, unless layer_types says
    otherwise. Embeddings are tied unless the config says otherwise."""
    n_layers, d_model = fields.size("num_hidden_layers"), fields.size("hidden_size")
    n_heads = fields.size("num_attention_heads")
    window = fields.size("sliding_window", default=WINDOW)
    types = fields.words("layer_types", allowed=LAYER_TYPES, length=n_layers)
    if types is None:
        types = tuple(LAYER_TYPES[(i + 1) % 2] for i in range(n_layers))
    mlp = gated_mlp(
        d_model,
        fields.size("intermediate_size"),
        fields.word("hidden_activation", default=ACTIVATION),
    )
    norms = tuple(
        rms_norm(norm, d_model, kind="gemma")
        for norm in (
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
        )
    )
    bias = fields.flag("attention_bias", default=False)
    # Null switches the cap off; a config that is silent has it.
    softcap = fields.has("attn_logit_softcapping") or not fields.stated("attn_logit_softcapping")
    final_softcap = fields.has("final_logit_softcapping") or not fields.stated("final_logit_softcapping")

    def layer(layer_type: str) -> Layer:
        attention = gqa(
            fields,
            n_kv_heads=fields.kv_heads(n_heads, default=None),
            d_head=fields.size("head_dim", default=HEAD_DIM),
            window=window if layer_type == "sliding_attention" else None,
            qkv_bias=bias,
            o_bias=bias,
            softcap=softcap,
        )
        return Layer(attention=attention, mlp=mlp, moe=None, norms=norms, parallel=False)

    spec = rms_decoder(fields, name, "gemma2", map(layer, types))
    return replace(
        spec,
        final_norm=rms_norm("norm", d_model, kind="gemma"),
        logit_softcap=final_softcap,
        tied_embeddings=fields.flag("tie_word_embeddings", default=True),
    )
