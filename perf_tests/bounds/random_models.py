"""Random but valid models and passes of every family, for the property tests.

Sizes are small and odd, so that nothing holds only where a tile or a block fits.
"""

from typing import Any

from hypothesis import strategies as st

from analytic import ModelSpec, read_config
from analytic.passes import Pass

FAMILIES = (
    *("mistral", "llama", "qwen2", "qwen3", "phi3", "gemma2", "mixtral"),
    *("qwen3_moe", "deepseek_v2", "gpt2", "opt", "gpt_neox", "falcon"),
)
LAYERS = {"gpt2": "n_layer"}
Config = dict[str, Any]


@st.composite
def configs(draw: st.DrawFn, families: tuple[str, ...] = FAMILIES) -> Config:
    """A config.json as one of the families would have it."""
    family = draw(st.sampled_from(families))
    kv_heads, group = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    heads, d_head = kv_heads * group, 8 * draw(st.integers(1, 6))
    width, layers = heads * d_head, draw(st.integers(1, 5))
    config: Config = {
        "model_type": family,
        "hidden_size": width,
        "intermediate_size": draw(st.integers(8, 300)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": draw(st.integers(50, 700)),
        "tie_word_embeddings": draw(st.booleans()),
    }
    return config | _own(draw, family, config)


def _own(draw: st.DrawFn, family: str, config: Config) -> Config:
    """What only this family's config says."""
    width, layers, heads = (config[n] for n in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
    window = draw(st.none() | st.integers(2, 200))
    positions = draw(st.integers(10, 900))
    windowed = {"sliding_window": window}
    sometimes = {"use_sliding_window": window is not None, "max_window_layers": draw(st.integers(0, 5))}
    sometimes |= {"sliding_window": window or 100, "head_dim": width // heads}
    own: dict[str, Config] = {
        "mistral": windowed,
        "phi3": windowed,
        "mixtral": windowed
        | {"num_local_experts": draw(st.integers(2, 6)), "num_experts_per_tok": draw(st.integers(1, 2))},
        "qwen2": sometimes,
        "qwen3": sometimes,
        "gemma2": sometimes,
        "qwen3_moe": sometimes | _experts(draw),
        "deepseek_v2": _experts(draw) | _latent(draw),
        "gpt2": {"n_embd": width, "n_layer": layers, "n_head": heads, "n_positions": positions},
        "opt": {
            "ffn_dim": 112,
            "max_position_embeddings": positions,
            "word_embed_proj_dim": draw(st.sampled_from([width, 24])),
        },
        "falcon": {
            "new_decoder_architecture": draw(st.booleans()),
            "num_kv_heads": config["num_key_value_heads"],
            "multi_query": draw(st.booleans()),
            "alibi": draw(st.booleans()),
        },
    }
    return own.get(family, {})


def _experts(draw: st.DrawFn) -> Config:
    count, used = draw(st.integers(3, 9)), draw(st.integers(1, 3))
    chosen = {"num_experts_per_tok": used, "moe_intermediate_size": draw(st.integers(8, 100))}
    return chosen | {"num_experts": count, "n_routed_experts": count}


def _latent(draw: st.DrawFn) -> Config:
    sizes = {"kv_lora_rank": draw(st.integers(4, 64)), "v_head_dim": draw(st.integers(4, 40))}
    sizes |= {"qk_nope_head_dim": draw(st.integers(4, 40)), "qk_rope_head_dim": 2 * draw(st.integers(1, 16))}
    ranks = {
        "q_lora_rank": draw(st.none() | st.integers(4, 40)),
        "first_k_dense_replace": draw(st.integers(0, 2)),
    }
    return sizes | ranks | {"n_shared_experts": draw(st.integers(1, 3))}


def spec(config: Config) -> ModelSpec:
    return read_config(config, name=config["model_type"], source="random")


def deeper(config: Config) -> Config:
    """The same with one layer more."""
    name = LAYERS.get(config["model_type"], "num_hidden_layers")
    return config | {name: config[name] + 1}


def models(families: tuple[str, ...] = FAMILIES) -> st.SearchStrategy[ModelSpec]:
    return configs(families).map(spec)


def passes() -> st.SearchStrategy[Pass]:
    """Prefills, chunks on a cache, and decode steps."""
    return st.builds(
        Pass,
        batch=st.integers(1, 9),
        new_tokens=st.just(1) | st.integers(1, 300),
        context_len=st.just(0) | st.integers(0, 400),
        logits=st.sampled_from(["last", "all"]),
    )
