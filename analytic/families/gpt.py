"""GPT-2, OPT, GPT-NeoX (Pythia) and Falcon: LayerNorm, plain MLP, mostly biases."""

from dataclasses import replace

from analytic.errors import SpecError
from analytic.families.parts import layer_norm, linear, plain_mlp, stacked
from analytic.fields import Fields
from analytic.layers import Attention, Layer, Linear, Norm
from analytic.models import ModelSpec

# OPT's position table has two rows more than positions (OPTLearnedPositionalEmbedding).
OPT_POSITION_OFFSET = 2

# What transformers' config classes assume where a config.json is silent.
GPT_NEOX_ROTARY = 0.25
GPT2_POSITIONS = 1024


def gpt2(fields: Fields, name: str) -> ModelSpec:
    """Learned positions, fused c_attn, tied embeddings; all linears are Conv1D."""
    d_model = fields.size("n_embd")
    d_head = fields.heads(hidden="n_embd", heads="n_head")
    if fields.flag("add_cross_attention", default=False):
        raise SpecError(f"{fields.source}: add_cross_attention is true; only decoders alone are supported")
    d_ff = fields.size("n_inner", default=4 * d_model)
    layer = Layer(
        attention=_mha(
            n_heads=fields.size("n_head"),
            d_head=d_head,
            inputs=(linear("c_attn", 3 * d_model, d_model, bias=True),),
            output=linear("attn.c_proj", d_model, d_model, bias=True),
        ),
        mlp=plain_mlp(
            linear("c_fc", d_ff, d_model, bias=True),
            linear("mlp.c_proj", d_model, d_ff, bias=True),
            fields.word("activation_function", default="gelu_new"),
        ),
        moe=None,
        norms=(layer_norm("ln_1", d_model), layer_norm("ln_2", d_model)),
        parallel=False,
    )
    return _decoder(
        fields,
        name,
        "gpt2",
        [layer] * fields.size("n_layer"),
        d_model=d_model,
        final_norm=layer_norm("ln_f", d_model),
        position_rows=fields.size("n_positions", default=GPT2_POSITIONS),
    )


def opt(fields: Fields, name: str) -> ModelSpec:
    """Learned positions, tied embeddings, and for the 350m a narrower embedding
    between two projections and norms after the blocks."""
    d_model, d_ff = fields.size("hidden_size"), fields.size("ffn_dim")
    n_heads, d_head = fields.size("num_attention_heads"), fields.heads()
    bias = fields.flag("enable_bias", default=True)
    affine = 2 if fields.flag("layer_norm_elementwise_affine", default=True) else 0
    layer = Layer(
        attention=_mha(
            n_heads=n_heads,
            d_head=d_head,
            inputs=tuple(linear(p, d_model, d_model, bias=bias) for p in ("q_proj", "k_proj", "v_proj")),
            output=linear("out_proj", d_model, d_model, bias=bias),
        ),
        mlp=plain_mlp(
            linear("fc1", d_ff, d_model, bias=bias),
            linear("fc2", d_model, d_ff, bias=bias),
            fields.word("activation_function", default="relu"),
        ),
        moe=None,
        norms=tuple(
            layer_norm(n, d_model, params=affine) for n in ("self_attn_layer_norm", "final_layer_norm")
        ),
        parallel=False,
    )
    d_embed = fields.size("word_embed_proj_dim", default=d_model)
    projections: tuple[Linear, ...] = ()
    if d_embed != d_model:
        projections = (linear("project_in", d_model, d_embed), linear("project_out", d_embed, d_model))
    before = fields.flag("do_layer_norm_before", default=True)
    removed = fields.flag("_remove_final_layer_norm", default=False)
    return _decoder(
        fields,
        name,
        "opt",
        [layer] * fields.size("num_hidden_layers"),
        d_model=d_model,
        d_embed=d_embed,
        projections=projections,
        final_norm=layer_norm("final_layer_norm", d_model, params=affine) if before and not removed else None,
        position_rows=fields.size("max_position_embeddings") + OPT_POSITION_OFFSET,
    )


def gpt_neox(fields: Fields, name: str) -> ModelSpec:
    """Attention and MLP side by side (use_parallel_residual); a part of each head rotated."""
    d_model, d_ff = fields.size("hidden_size"), fields.size("intermediate_size")
    n_heads, d_head = fields.size("num_attention_heads"), fields.heads()
    bias = fields.flag("attention_bias", default=True)
    layer = Layer(
        attention=_mha(
            n_heads=n_heads,
            d_head=d_head,
            inputs=(linear("query_key_value", 3 * d_model, d_model, bias=bias),),
            output=linear("dense", d_model, d_model, bias=bias),
            rotary=int(d_head * fields.rotary_share("rotary_pct", default=GPT_NEOX_ROTARY)),
        ),
        mlp=plain_mlp(
            linear("dense_h_to_4h", d_ff, d_model, bias=True),
            linear("dense_4h_to_h", d_model, d_ff, bias=True),
            fields.word("hidden_act", default="gelu"),
        ),
        moe=None,
        norms=(layer_norm("input_layernorm", d_model), layer_norm("post_attention_layernorm", d_model)),
        parallel=fields.flag("use_parallel_residual", default=True),
    )
    return _decoder(
        fields,
        name,
        "gpt_neox",
        [layer] * fields.size("num_hidden_layers"),
        d_model=d_model,
        final_norm=layer_norm("final_layer_norm", d_model),
        tied=False,
    )


def falcon(fields: Fields, name: str) -> ModelSpec:
    """Both generations: the first with one key/value head (multi_query), the second
    (new_decoder_architecture) with groups, which transformers repeats to all heads
    before it caches them. Its linears are a class of its own, which bitsandbytes
    does not replace."""
    d_model = fields.size("hidden_size")
    n_heads, d_head = fields.size("num_attention_heads"), fields.heads()
    new = fields.flag("new_decoder_architecture", default=False)
    multi_query = fields.flag("multi_query", default=True)
    n_kv_heads = 1 if multi_query else n_heads
    if new:
        n_kv_heads = fields.kv_heads(n_heads, name="num_kv_heads", default=n_heads)
    bias = fields.flag("bias", default=False)
    alibi = fields.flag("alibi", default=False)
    d_ff = fields.size("ffn_hidden_size", default=4 * d_model)
    attention = Attention(
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        cached_heads=n_heads if new else n_kv_heads,
        d_qk=d_head,
        d_v=d_head,
        inputs=(_falcon_linear("query_key_value", (n_heads + 2 * n_kv_heads) * d_head, d_model, bias=bias),),
        output=_falcon_linear("dense", d_model, d_model, bias=bias),
        norms=(),
        latent=None,
        rotary=0 if alibi else d_head,
        window=None,
        softcap=False,
        alibi=alibi,
        broadcast=not new and multi_query,
    )
    layer = Layer(
        attention=attention,
        mlp=plain_mlp(
            _falcon_linear("dense_h_to_4h", d_ff, d_model, bias=bias),
            _falcon_linear("dense_4h_to_h", d_model, d_ff, bias=bias),
            fields.word("activation", default="gelu"),
        ),
        moe=None,
        norms=_falcon_norms(fields, d_model, new=new),
        parallel=fields.flag("parallel_attn", default=True) or new,
    )
    return _decoder(
        fields,
        name,
        "falcon",
        [layer] * fields.size("num_hidden_layers"),
        d_model=d_model,
        final_norm=layer_norm("ln_f", d_model),
    )


def _falcon_norms(fields: Fields, d_model: int, *, new: bool) -> tuple[Norm, ...]:
    if not fields.flag("parallel_attn", default=True):
        names: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    elif fields.size("num_ln_in_parallel_attn", default=2 if new else 1) == 2:
        names = ("ln_attn", "ln_mlp")
    else:
        names = ("input_layernorm",)
    return tuple(layer_norm(name, d_model) for name in names)


def _falcon_linear(name: str, rows: int, cols: int, *, bias: bool) -> Linear:
    return replace(linear(name, rows, cols, bias=bias), convertible=False)


def _mha(
    *, n_heads: int, d_head: int, inputs: tuple[Linear, ...], output: Linear, rotary: int = 0
) -> Attention:
    return Attention(
        n_heads=n_heads,
        n_kv_heads=n_heads,
        cached_heads=n_heads,
        d_qk=d_head,
        d_v=d_head,
        inputs=inputs,
        output=output,
        norms=(),
        latent=None,
        rotary=rotary,
        window=None,
        softcap=False,
        alibi=False,
        broadcast=False,
    )


def _decoder(
    fields: Fields,
    name: str,
    model_type: str,
    layers: list[Layer],
    *,
    d_model: int,
    final_norm: Norm | None,
    d_embed: int | None = None,
    projections: tuple[Linear, ...] = (),
    position_rows: int = 0,
    tied: bool = True,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        model_type=model_type,
        d_model=d_model,
        d_embed=d_embed or d_model,
        vocab_size=fields.size("vocab_size"),
        position_rows=position_rows,
        stacks=stacked(layers),
        projections=projections,
        final_norm=final_norm,
        head_name="lm_head",
        head_bias=False,
        logit_softcap=False,
        tied_embeddings=fields.flag("tie_word_embeddings", default=tied),
    )
