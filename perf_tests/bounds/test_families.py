"""Every family's reader: the fields that only it has, their defaults, and their errors.

Whole models are held against transformers in test_flops.py; here each field is
turned by itself.
"""

import re
from typing import Any

import pytest

from analytic import ModelSpec, SpecError, read_config
from analytic.families import FAMILIES
from analytic.layers import Attention, Layer

pytestmark = pytest.mark.analytic

LLAMA: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 112,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
EXPERTS = LLAMA | {"num_experts_per_tok": 2, "moe_intermediate_size": 20}
PLAIN = {key: LLAMA[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")}
# The least that each family's config must say.
LEAST: dict[str, dict[str, Any]] = {
    "mistral": LLAMA,
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "phi3": LLAMA,
    "gemma2": LLAMA,
    "mixtral": LLAMA | {"num_local_experts": 5, "num_experts_per_tok": 2},
    "qwen3_moe": EXPERTS | {"num_experts": 7},
    "deepseek_v2": EXPERTS
    | {
        "n_routed_experts": 7,
        "n_shared_experts": 3,
        "kv_lora_rank": 12,
        "qk_nope_head_dim": 10,
        "qk_rope_head_dim": 4,
        "v_head_dim": 9,
    },
    "gpt2": {"n_embd": 48, "n_layer": 4, "n_head": 6, "vocab_size": 100},
    "opt": PLAIN | {"ffn_dim": 112, "max_position_embeddings": 64},
    "gpt_neox": PLAIN | {"intermediate_size": 112},
    "falcon": PLAIN,
}
RENAMED = {"gpt2": {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}}
# Families in which key/value heads need not be all or one.
GROUPED = ("mistral", "llama", "qwen2", "qwen3", "phi3", "gemma2", "mixtral", "qwen3_moe")
# What a family's config class has a default for, and what then is to be seen.
DEFAULTS = dict.fromkeys(
    ((family, "num_key_value_heads") for family in ("llama", "qwen2", "qwen3", "phi3", "mixtral")),
    "n_kv_heads=6",
) | {("deepseek_v2", "n_shared_experts"): "d_ff=40"}
# Without a plain layer its width is not looked at; a latent is for all heads.
UNREAD = {
    ("qwen3_moe", "intermediate_size"),
    ("deepseek_v2", "intermediate_size"),
    ("deepseek_v2", "num_key_value_heads"),
}
WITH_EXPERTS = ("mixtral", "qwen3_moe", "deepseek_v2")


def spec(family: str, *, without: str | None = None, **changes: Any) -> ModelSpec:
    """The family's least config with `changes`."""
    config = {"model_type": family} | LEAST[family] | changes
    config.pop(without or "", None)
    return read_config(config, name="odd", source="odd.json")


def only(model: ModelSpec) -> Layer:
    (stack,) = model.stacks
    assert stack.count == 4
    return stack.layer


def refusal(family: str, *, without: str | None = None, **changes: Any) -> str:
    with pytest.raises(SpecError) as error:
        spec(family, without=without, **changes)
    message = str(error.value)
    assert message.startswith("odd.json: ")
    assert "\n" not in message
    return message.removeprefix("odd.json: ")


def sizes(attention: Attention) -> list[tuple[str, int, int]]:
    return [(linear.name, linear.rows, linear.cols) for linear in attention.linears]


def windows(model: ModelSpec) -> list[int | None]:
    """Of each kind of layers, as many times as there are layers of it."""
    return [layer.attention.window for layer in model.layers]


# --- what holds for every family ---------------------------------------------


def test_every_family_is_here() -> None:
    assert set(LEAST) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_least_config_is_enough(family: str) -> None:
    model = spec(family)

    assert (model.model_type, model.n_layers, model.d_model, model.vocab_size) == (family, 4, 48, 100)
    assert model.attention.n_heads == 6
    assert sum(layer.params for layer in model.layers) < model.param_count


@pytest.mark.parametrize("value", [None, 0, -1, True, "6", 6.0, float("nan"), 10**9 + 1])
@pytest.mark.parametrize(
    ("family", "field"),
    [(f, field) for f, least in LEAST.items() for field in least if (f, field) not in UNREAD],
)
def test_each_size_is_checked(family: str, field: str, value: object) -> None:
    if value is None and (family, field) in DEFAULTS:
        assert DEFAULTS[family, field] in repr(spec(family, **{field: None}))
        return
    said = refusal(family, **{field: value})

    most = "10,000" if field in ("num_hidden_layers", "n_layer") else "1,000,000,000"
    what = "missing" if value is None else re.escape(repr(value))
    assert re.fullmatch(rf"field '{field}' is {what}; a positive integer \(at most {most}\) is needed", said)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_width_that_heads_do_not_divide(family: str) -> None:
    """Where a family has head_dim or sizes of its own, that is no error."""
    names = RENAMED.get(family, {})
    hidden, heads = (
        names.get("hidden_size", "hidden_size"),
        names.get("num_attention_heads", "num_attention_heads"),
    )
    if family in ("qwen3", "gemma2", "deepseek_v2"):
        assert spec(family, **{hidden: 50}).d_model == 50
        return

    assert refusal(family, **{hidden: 50}) == (
        f"{hidden} 50 is not divisible by {heads} 6, and there is no head_dim"
    )
    if family in GROUPED:
        assert spec(family, **{hidden: 50, "head_dim": 10}).attention.d_qk == 10


@pytest.mark.parametrize("family", GROUPED)
def test_key_value_heads_divide_the_heads(family: str) -> None:
    assert [spec(family, num_key_value_heads=n).attention.n_kv_heads for n in (1, 3, 6)] == [1, 3, 6]
    assert refusal(family, num_key_value_heads=4) == (
        "num_attention_heads 6 is not divisible by num_key_value_heads 4"
    )
    assert refusal(family, num_key_value_heads=12).endswith("not divisible by num_key_value_heads 12")


@pytest.mark.parametrize("family", FAMILIES)
def test_tied_embeddings_are_a_flag_with_the_familys_default(family: str) -> None:
    tied = {"gemma2", "gpt2", "opt", "falcon"}

    assert spec(family).tied_embeddings == (family in tied)
    assert [spec(family, tie_word_embeddings=flag).tied_embeddings for flag in (True, False)] == [True, False]
    assert refusal(family, tie_word_embeddings="no") == (
        "field 'tie_word_embeddings' is 'no'; true or false is needed"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_unknown_fields_are_no_concern(family: str) -> None:
    """A config.json has dozens that change no shape."""
    assert spec(family, architectures=["X"], torch_dtype="bfloat16", rope_scaling={"a": 1}) == spec(family)


# --- Llama and its kin -------------------------------------------------------


def test_mistrals_window_is_4096_unless_told() -> None:
    assert windows(spec("mistral")) == [4096] * 4
    assert windows(spec("mistral", sliding_window=None)) == [None] * 4
    assert windows(spec("mistral", sliding_window=8)) == [8] * 4


def test_llamas_biases() -> None:
    plain, biased = only(spec("llama")), only(spec("llama", attention_bias=True, mlp_bias=True))

    assert [linear.bias for linear in plain.linears] == [False] * 7
    assert [linear.bias for linear in biased.linears] == [True] * 7
    assert biased.params - plain.params == 48 + 16 + 16 + 48 + 112 + 112 + 48
    assert windows(spec("llama", sliding_window=8)) == [None] * 4


def test_llamas_heads_are_all_key_value_heads_unless_told() -> None:
    assert spec("llama", without="num_key_value_heads").attention.n_kv_heads == 6


def test_qwen2_has_biases_on_q_k_and_v() -> None:
    assert [linear.bias for linear in only(spec("qwen2")).linears] == [True] * 3 + [False] * 4


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_qwens_windows(family: str) -> None:
    """None unless asked for; then in the layers from max_window_layers on, or by layer_types."""
    asked = {"use_sliding_window": True, "sliding_window": 8}

    assert windows(spec(family, sliding_window=8, max_window_layers=0)) == [None] * 4
    assert windows(spec(family, **asked)) == [None] * 4  # max_window_layers is 28
    assert windows(spec(family, **asked, max_window_layers=0)) == [8] * 4
    assert windows(spec(family, **asked, max_window_layers=3)) == [None] * 3 + [8]
    assert windows(spec(family, use_sliding_window=True, max_window_layers=3)) == [None] * 3 + [4096]
    types = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    mixed = spec(family, **asked, layer_types=types)
    assert [(stack.count, stack.layer.attention.window) for stack in mixed.stacks] == [(2, 8), (2, None)]


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "gemma2"])
@pytest.mark.parametrize(
    "types",
    [
        ["full_attention"] * 3,
        ["full_attention"] * 5,
        ["full_attention"] * 3 + ["full"],
        "full",
        [7] * 4,
        [[]] * 4,
        {},
    ],
)
def test_layer_types_are_one_known_word_a_layer(family: str, types: object) -> None:
    said = refusal(family, use_sliding_window=True, layer_types=types)

    assert said.startswith("field 'layer_types' is ")
    assert said.endswith("; a list of 4 entries out of full_attention, sliding_attention is needed")


def test_qwen3_norms_every_head_and_has_a_head_dim_of_its_own() -> None:
    layer = only(spec("qwen3", head_dim=10))

    assert [(n.name, n.width, n.vectors) for n in layer.attention.norms] == [
        ("q_norm", 10, 6),
        ("k_norm", 10, 2),
    ]
    assert layer.norm_params == 2 * 48 + 2 * 10
    assert spec("qwen3").attention.d_qk == 128
    assert not any(linear.bias for linear in layer.linears)
    biased = only(spec("qwen3", attention_bias=True))
    assert [linear.bias for linear in biased.linears] == [True] * 4 + [False] * 3


def test_phi3_is_fused_and_may_rotate_a_part() -> None:
    layer = only(spec("phi3"))

    assert sizes(layer.attention) == [("qkv_proj", 6 * 8 + 2 * 2 * 8, 48), ("o_proj", 48, 48)]
    assert layer.mlp is not None
    assert [(linear.name, linear.rows) for linear in layer.mlp.linears] == [
        ("gate_up_proj", 224),
        ("down_proj", 48),
    ]
    assert (layer.attention.rotary, layer.attention.window) == (8, None)
    assert spec("phi3", partial_rotary_factor=0.75).attention.rotary == 6
    assert windows(spec("phi3", sliding_window=8)) == [8] * 4


@pytest.mark.parametrize(("family", "field"), [("phi3", "partial_rotary_factor"), ("gpt_neox", "rotary_pct")])
@pytest.mark.parametrize("value", [0, -0.5, 1.5, True, "0.5", float("nan"), float("inf"), [0.5]])
def test_a_share_of_rotation_is_one(family: str, field: str, value: object) -> None:
    assert refusal(family, **{field: value}) == (
        f"field '{field}' is {value!r}; a number above 0 and up to 1 is needed"
    )


# --- Gemma 2 -----------------------------------------------------------------


def test_gemma2_alternates_windows_first_layer_first() -> None:
    model = spec("gemma2", sliding_window=8)

    assert [(stack.count, stack.layer.attention.window) for stack in model.stacks] == [(2, 8), (2, None)]
    odd = spec("gemma2", num_hidden_layers=3)
    assert [(stack.count, stack.layer.attention.window) for stack in odd.stacks] == [(2, 4096), (1, None)]
    full = ["full_attention"] * 4
    assert windows(spec("gemma2", layer_types=full)) == [None] * 4


def test_gemma2_has_four_norms_of_its_own_kind() -> None:
    model = spec("gemma2")
    layer = model.stacks[0].layer

    assert [norm.kind for norm in layer.norms] == ["gemma"] * 4
    assert model.final_norm is not None
    assert model.final_norm.kind == "gemma"
    assert model.norm_params == 4 * 4 * 48 + 48


def test_gemma2s_caps_are_on_unless_null() -> None:
    """A config that is silent has transformers' 50 and 30; null switches them off."""
    silent = spec("gemma2")
    told = spec("gemma2", attn_logit_softcapping=40.0, final_logit_softcapping=20.0)
    off = spec("gemma2", attn_logit_softcapping=None, final_logit_softcapping=None)
    scores_alone = spec("gemma2", final_logit_softcapping=None)

    assert [(m.attention.softcap, m.logit_softcap) for m in (silent, told, off, scores_alone)] == [
        (True, True),
        (True, True),
        (False, False),
        (True, False),
    ]


def test_gemma2s_activation_and_head_size_have_defaults_of_their_own() -> None:
    layer = spec("gemma2", hidden_activation="relu").stacks[0].layer

    assert layer.mlp is not None
    assert layer.mlp.activation == "relu"
    assert spec("gemma2").attention.d_qk == 256
    assert spec("gemma2", head_dim=10).attention.d_qk == 10
    assert refusal("gemma2", hidden_activation=7) == "field 'hidden_activation' is 7; a word is needed"


# --- mixtures of experts -----------------------------------------------------


@pytest.mark.parametrize("family", WITH_EXPERTS)
def test_a_token_uses_no_more_experts_than_there_are(family: str) -> None:
    experts = next(n for n in ("num_local_experts", "num_experts", "n_routed_experts") if n in LEAST[family])
    count = LEAST[family][experts]

    said = refusal(family, num_experts_per_tok=count + 1)
    assert f"num_experts_per_tok {count + 1}" in said
    assert f"{experts} {count}" in said
    all_of_them = spec(family, num_experts_per_tok=count)
    assert all_of_them.active_param_count == all_of_them.param_count


@pytest.mark.parametrize(
    ("family", "first", "second"),
    [
        ("mixtral", "num_local_experts", "num_experts"),
        ("qwen3_moe", "num_experts", "num_local_experts"),
        ("deepseek_v2", "n_routed_experts", "num_experts"),
    ],
)
def test_experts_have_two_names_that_may_not_contradict(family: str, first: str, second: str) -> None:
    """Releases of transformers name them differently; their files may hold both."""
    alike = spec(family, **{first: 5, second: 5})

    assert alike == spec(family, **{first: 5}) == spec(family, without=first, **{second: 5})
    said = refusal(family, **{first: 5, second: 6})
    assert said == f"{first} 5 and {second} 6 contradict each other; one of them, or both alike, are needed"
    assert refusal(family, without=first).startswith(f"field '{first}' is missing; a positive integer")


def test_mixtrals_experts_are_in_every_layer() -> None:
    layer = only(spec("mixtral"))

    assert layer.moe is not None
    assert layer.mlp is layer.dense is None
    assert (layer.moe.n_experts, layer.moe.top_k, layer.moe.d_expert) == (5, 2, 112)
    assert layer.moe.expert_params == 3 * 48 * 112
    assert layer.moe.router_params == 5 * 48
    assert windows(spec("mixtral")) == [None] * 4
    assert windows(spec("mixtral", sliding_window=8)) == [8] * 4


def test_qwen3_moe_has_plain_layers_where_told() -> None:
    def kinds(**changes: Any) -> list[tuple[int, bool]]:
        return [(stack.count, stack.layer.moe is not None) for stack in spec("qwen3_moe", **changes).stacks]

    assert kinds() == [(4, True)]
    assert kinds(decoder_sparse_step=2) == [(2, False), (2, True)]
    assert kinds(mlp_only_layers=[0, 3]) == [(2, False), (2, True)]
    assert kinds(decoder_sparse_step=2, mlp_only_layers=[3]) == [(3, False), (1, True)]
    dense = spec("qwen3_moe", mlp_only_layers=[0, 1, 2, 3])
    assert dense.expert_params == dense.router_params == 0
    assert refusal("qwen3_moe", mlp_only_layers=[0], intermediate_size=None).startswith(
        "field 'intermediate_size' is missing"
    )


@pytest.mark.parametrize("value", [3, "3", [-1], [1.0], [True], [None], {"3": 1}])
def test_layers_are_listed_by_number(value: object) -> None:
    assert refusal("qwen3_moe", mlp_only_layers=value) == (
        f"field 'mlp_only_layers' is {value!r}; a list of layer numbers is needed"
    )


def test_qwen3_moes_window_is_for_all_layers_or_none() -> None:
    assert windows(spec("qwen3_moe", sliding_window=8)) == [None] * 4
    assert windows(spec("qwen3_moe", sliding_window=8, use_sliding_window=True)) == [8] * 4
    assert windows(spec("qwen3_moe", use_sliding_window=True)) == [4096] * 4


def test_deepseek_keeps_a_latent_of_keys_and_values() -> None:
    attention = spec("deepseek_v2", q_lora_rank=22).attention

    assert sizes(attention) == [
        ("q_a_proj", 22, 48),
        ("q_b_proj", 6 * 14, 22),
        ("kv_a_proj_with_mqa", 12 + 4, 48),
        ("kv_b_proj", 6 * (10 + 9), 12),
        ("o_proj", 48, 6 * 9),
    ]
    assert (attention.d_qk, attention.d_v, attention.rotary) == (14, 9, 4)
    assert attention.cached_elements == attention.kv_elements == 12 + 4
    assert attention.cache_shapes == ((1, 12), (1, 4))
    assert [norm.width for norm in attention.norms] == [22, 12]


@pytest.mark.parametrize("without", [True, False])
def test_deepseek_without_a_query_rank_has_one_query_matrix(*, without: bool) -> None:
    model = spec("deepseek_v2") if without else spec("deepseek_v2", q_lora_rank=None)

    assert sizes(model.attention)[0] == ("q_proj", 6 * 14, 48)
    assert [norm.width for norm in model.attention.norms] == [12]


def test_deepseeks_biases_are_of_the_narrow_matrices() -> None:
    attention = spec("deepseek_v2", q_lora_rank=22, attention_bias=True).attention

    assert {linear.name for linear in attention.linears if linear.bias} == {
        "q_a_proj",
        "kv_a_proj_with_mqa",
        "o_proj",
    }


def test_deepseeks_mlp_biases_are_of_plain_and_shared_mlps() -> None:
    plain, routed = (s.layer for s in spec("deepseek_v2", mlp_bias=True, first_k_dense_replace=1).stacks)

    for layer, width in ((plain, 112), (routed, 3 * 20)):
        assert layer.dense is not None
        assert sum(linear.bias_params for linear in layer.dense.linears) == 2 * width + 48
    assert routed.moe is not None
    assert routed.moe.expert_params == 3 * 48 * 20


def test_deepseeks_first_layers_are_plain() -> None:
    def kinds(first: int | None) -> list[tuple[int, bool]]:
        model = spec("deepseek_v2", first_k_dense_replace=first)
        return [(stack.count, stack.layer.moe is not None) for stack in model.stacks]

    assert kinds(None) == kinds(0) == [(4, True)]
    assert kinds(1) == [(1, False), (3, True)]
    assert kinds(4) == kinds(9) == [(4, False)]
    assert refusal("deepseek_v2", first_k_dense_replace=-1) == (
        "field 'first_k_dense_replace' is -1; an integer of at least 0 (at most 1,000,000,000) is needed"
    )


def test_deepseeks_shared_experts_are_one_mlp() -> None:
    layer = only(spec("deepseek_v2"))

    assert layer.dense is not None
    assert layer.dense.d_ff == 3 * 20
    assert layer.moe is not None
    assert layer.moe.shared == layer.dense
    assert layer.moe.d_expert == 20


# --- GPT-2, OPT, GPT-NeoX ----------------------------------------------------


def test_gpt2_is_fused_and_four_times_as_wide_inside() -> None:
    layer = only(spec("gpt2"))

    assert [(linear.rows, linear.cols) for linear in layer.attention.linears] == [(144, 48), (48, 48)]
    assert layer.mlp is not None
    assert layer.mlp.d_ff == 4 * 48
    assert all(linear.bias for linear in layer.linears)
    assert spec("gpt2").position_rows == 1024
    assert spec("gpt2", n_positions=64).position_params == 64 * 48
    narrow = only(spec("gpt2", n_inner=100))
    assert narrow.mlp is not None
    assert narrow.mlp.d_ff == 100


def test_gpt2_with_cross_attention_is_no_decoder_alone() -> None:
    assert spec("gpt2", add_cross_attention=False) == spec("gpt2")
    assert "add_cross_attention is true; only decoders alone" in refusal("gpt2", add_cross_attention=True)


def test_opt_has_two_positions_more_than_it_says() -> None:
    assert spec("opt").position_rows == 64 + 2
    assert spec("opt").projections == ()
    assert spec("opt").final_norm is not None


def test_opt_350m_embeds_narrowly_and_norms_after() -> None:
    """word_embed_proj_dim between two projections, do_layer_norm_before false."""
    model = spec("opt", word_embed_proj_dim=20, do_layer_norm_before=False)

    assert [(p.name, p.rows, p.cols, p.bias) for p in model.projections] == [
        ("project_in", 48, 20, False),
        ("project_out", 20, 48, False),
    ]
    assert (model.d_embed, model.embedding_params, model.head.cols) == (20, 100 * 20, 20)
    assert model.final_norm is None
    assert spec("opt", word_embed_proj_dim=48) == spec("opt")


def test_opts_options_take_parameters_away() -> None:
    bare = spec("opt", enable_bias=False, layer_norm_elementwise_affine=False)

    assert bare.norm_params == 0
    assert not any(linear.bias for layer in bare.layers for linear in layer.linears)
    assert spec("opt", _remove_final_layer_norm=True).final_norm is None


def test_gpt_neox_rotates_a_quarter_side_by_side() -> None:
    layer = only(spec("gpt_neox"))

    assert sizes(layer.attention) == [("query_key_value", 144, 48), ("dense", 48, 48)]
    assert (layer.attention.rotary, layer.parallel) == (2, True)
    assert spec("gpt_neox", rotary_pct=1.0).attention.rotary == 8
    assert not only(spec("gpt_neox", use_parallel_residual=False)).parallel
    unbiased = only(spec("gpt_neox", attention_bias=False))
    assert [linear.bias for linear in unbiased.linears] == [False, False, True, True]


# --- Falcon ------------------------------------------------------------------


def test_the_first_falcon_has_one_key_value_head() -> None:
    model = spec("falcon")
    layer = only(model)
    attention = layer.attention

    assert sizes(attention) == [("query_key_value", (6 + 2) * 8, 48), ("dense", 48, 48)]
    assert (attention.n_kv_heads, attention.cached_heads, attention.rotary) == (1, 1, 8)
    assert layer.mlp is not None
    assert (layer.mlp.d_ff, layer.parallel) == (4 * 48, True)
    assert [norm.name for norm in layer.norms] == ["input_layernorm"]
    assert spec("falcon", num_kv_heads=3) == model


def test_falcon_rw_has_all_heads_alibi_and_one_block_after_another() -> None:
    layer = only(spec("falcon", multi_query=False, alibi=True, parallel_attn=False, bias=True))
    attention = layer.attention

    assert (attention.n_kv_heads, attention.cached_heads, attention.rotary) == (6, 6, 0)
    assert attention.alibi
    assert not layer.parallel
    assert all(linear.bias for linear in layer.linears)
    assert [norm.name for norm in layer.norms] == ["input_layernorm", "post_attention_layernorm"]


def test_the_second_falcon_has_groups_and_caches_every_head() -> None:
    """Keys and values are repeated in transformers before they are cached."""
    layer = only(spec("falcon", new_decoder_architecture=True, num_kv_heads=2))
    attention = layer.attention

    assert sizes(attention)[0] == ("query_key_value", (6 + 2 * 2) * 8, 48)
    assert (attention.n_kv_heads, attention.cached_heads) == (2, 6)
    assert attention.cached_elements == 3 * attention.kv_elements
    assert [norm.name for norm in layer.norms] == ["ln_attn", "ln_mlp"]
    one = only(spec("falcon", new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1))
    assert [norm.name for norm in one.norms] == ["input_layernorm"]
    assert spec("falcon", new_decoder_architecture=True).attention.n_kv_heads == 6
    assert refusal("falcon", new_decoder_architecture=True, num_kv_heads=4) == (
        "num_attention_heads 6 is not divisible by num_kv_heads 4"
    )


def test_falcons_linears_are_none_that_bitsandbytes_converts() -> None:
    assert {
        family for family in FAMILIES if not all(linear.convertible for _, linear in spec(family).linears)
    } == {"falcon"}


def test_falcons_mlp_may_be_of_any_width() -> None:
    layer = only(spec("falcon", ffn_hidden_size=100))

    assert layer.mlp is not None
    assert layer.mlp.d_ff == 100
