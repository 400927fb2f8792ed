"""Random weights are built as from_pretrained builds real ones: or their speed
says nothing of a real model's."""

from pathlib import Path
from typing import Any

import pytest

from analytic import find_precision
from perf_tests.checkpoint import checkpoint_source, load, random_source
from perf_tests.random_weights import build
from perf_tests.selftests.tiny import CONFIG, Later, write_config

pytestmark = pytest.mark.usefixtures("torch_installed")

torch, transformers = Later("torch"), Later("transformers")

QUANTISED = ("nf4", "nf4-dq", "int8")
PRECISIONS = ("fp32", "fp16", "bf16", *QUANTISED)

_SHAPES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 500,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Models whose linears differ from Mistral's in what bitsandbytes does with them.
FAMILIES: dict[str, dict[str, Any]] = {
    "tied": CONFIG | {"tie_word_embeddings": True},
    "with biases": _SHAPES
    | {
        "model_type": "qwen2",
        "intermediate_size": 256,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "Conv1D": _SHAPES | {"model_type": "gpt2", "n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "experts": _SHAPES
    | {
        "model_type": "mixtral",
        "intermediate_size": 256,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "init_std": _SHAPES | {"model_type": "opt", "ffn_dim": 256, "word_embed_proj_dim": 128},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny shapes, in safetensors."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    torch.manual_seed(3)
    config = transformers.MistralConfig(**{k: v for k, v in CONFIG.items() if k != "model_type"})
    transformers.MistralForCausalLM(config).to(torch.float16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=PRECISIONS)
def pair(request: pytest.FixtureRequest, checkpoint: Path) -> tuple[str, Any, Any]:
    """(precision, loaded from the checkpoint, built with random weights)."""
    if request.param in QUANTISED:
        pytest.importorskip("bitsandbytes")
    precision = find_precision(request.param)
    real = load(checkpoint_source(str(checkpoint)), precision, "cpu")
    return (
        request.param,
        real,
        load(random_source(str(write_config(checkpoint.parent / "r"))), precision, "cpu"),
    )


def tensor(value: Any) -> tuple[Any, ...]:
    return (type(value).__name__, tuple(value.shape), value.dtype, value.device.type, value.is_contiguous())


def quant_state(state: Any) -> dict[str, Any] | None:
    """How a 4-bit weight is stored, and how its scales are."""
    if state is None:
        return None
    return {
        "type": state.quant_type,
        "blocksize": state.blocksize,
        "dtype": state.dtype,
        "shape": state.shape and tuple(state.shape),
        "absmax": tensor(state.absmax),
        "nested": state.nested,
        "nested state": quant_state(state.state2) if state.nested else None,
    }


# What bitsandbytes' modules and weights are told at construction.
SETTINGS = (
    "compute_dtype",
    "compute_type_is_set",
    "quant_state",
    "in_features",
    "out_features",
    "compress_statistics",
    "quant_type",
    "quant_storage",
    "blocksize",
    "bnb_quantized",
    "has_fp16_weights",
)


def settings(thing: Any) -> dict[str, Any]:
    """Those of the SETTINGS that `thing` has."""
    has = {name: getattr(thing, name) for name in SETTINGS if name in dir(thing)}
    if "quant_state" in has:
        has["quant_state"] = quant_state(has["quant_state"])
    for scales in ("CB", "SCB"):
        value = getattr(thing, scales, None)
        has[scales] = None if value is None else tensor(value)
    return has


def described(model: Any) -> dict[str, Any]:
    """Every module, parameter and buffer by name, as it decides the speed."""
    seen: dict[str, Any] = {name: (type(m).__name__, settings(m)) for name, m in model.named_modules()}
    for name, weight in model.named_parameters():
        seen[f"{name} weight"] = (*tensor(weight), weight.requires_grad and "grad", settings(weight))
    for name, buffer in model.named_buffers():
        seen[f"{name} buffer"] = tensor(buffer)
    return seen


def test_every_module_is_stored_as_from_pretrained_stores_it(pair: tuple[str, Any, Any]) -> None:
    _, real, made = pair
    expected, found = described(real), described(made)

    assert list(found) == list(expected)
    different = {name: (found[name], expected[name]) for name in expected if found[name] != expected[name]}
    assert different == {}


def saved(config: dict[str, Any], folder: Path) -> Path:
    """A checkpoint of that config, in safetensors."""
    known = {k: v for k, v in config.items() if k != "model_type"}
    settings = transformers.AutoConfig.for_model(config["model_type"], **known)
    torch.manual_seed(3)
    transformers.AutoModelForCausalLM.from_config(settings).to(torch.float16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small model of another family."""
    return saved(FAMILIES[request.param], tmp_path_factory.mktemp("family") / "small")


@pytest.mark.parametrize("name", ["bf16", *QUANTISED])
def test_other_families_are_stored_alike_and_skip_the_same_linears(family: Path, name: str) -> None:
    """Biases, Conv1D, tied embeddings, and experts, which no nn.Linear holds."""
    if name in QUANTISED:
        pytest.importorskip("bitsandbytes")
    precision, source = find_precision(name), checkpoint_source(str(family))
    real = load(source, precision, "cpu")
    made = load(random_source(str(family)), precision, "cpu")
    expected, found = described(real), described(made)

    assert list(found) == list(expected)
    assert {n: (found[n], expected[n]) for n in expected if found[n] != expected[n]} == {}
    left = {n for n, m in made.named_modules() if type(m).__name__ in ("Linear", "Conv1D")}
    assert "lm_head" in left
    if name in QUANTISED:
        assert left == {"lm_head"}
    with torch.inference_mode():
        assert torch.isfinite(made(torch.arange(8)[None]).logits).all()


def test_only_the_layers_are_quantised(pair: tuple[str, Any, Any]) -> None:
    """lm_head, embedding and norms stay in 16 bit, as the model of the machine assumes."""
    name, _, made = pair
    kinds = {"nf4": "Linear4bit", "nf4-dq": "Linear4bit", "int8": "Linear8bitLt"}
    linears = {n: type(m).__name__ for n, m in made.named_modules() if "Linear" in type(m).__name__}

    assert linears.pop("lm_head") == "Linear"
    assert len(linears) == 7 * CONFIG["num_hidden_layers"]
    assert set(linears.values()) == {kinds.get(name, "Linear")}
    assert made.lm_head.weight.dtype == made.model.norm.weight.dtype == made.dtype
    assert made.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}.get(name, torch.float16)


@pytest.mark.parametrize("name", ["nf4", "nf4-dq"])
def test_4_bit_weights_are_what_the_precision_says(name: str) -> None:
    """By default transformers takes fp4, and products in fp32."""
    pytest.importorskip("bitsandbytes")
    linear = build(CONFIG, find_precision(name), "cpu").model.layers[0].mlp.down_proj

    assert linear.weight.quant_state.quant_type == "nf4"
    assert linear.compute_dtype == torch.float16
    assert linear.weight.quant_state.nested is (name == "nf4-dq")
    assert linear.weight.numel() * linear.weight.element_size() == 256 * 512 // 2


def test_nothing_is_left_unmade(pair: tuple[str, Any, Any]) -> None:
    """No tensor without memory, none that is constant where a real one is not."""
    _, real, made = pair
    tensors = dict(made.named_parameters()) | dict(made.named_buffers())

    assert not [name for name, t in tensors.items() if t.device.type == "meta"]
    for name, weight in made.named_parameters():
        values = weight.float()
        assert torch.isfinite(values).all(), name
        if "norm" in name:
            assert torch.equal(values, torch.ones_like(values)), name
        else:
            assert values.std() > 0, name
            # Few repeated rows: what memory held before would not be noise.
            assert len(values.flatten()[:1000].unique()) > (8 if values.abs().max() > 100 else 100), name
    inverse = {n: b for n, b in made.named_buffers() if "inv_freq" in n}
    assert inverse
    for name, buffer in real.named_buffers():
        assert torch.equal(tensors[name], buffer), name


def test_weights_are_spread_as_the_config_says() -> None:
    made = build(CONFIG, find_precision("fp32"), "cpu")

    for name in ("lm_head", "model.embed_tokens", "model.layers.1.self_attn.q_proj"):
        weight = made.get_submodule(name).weight
        assert weight.std().item() == pytest.approx(made.config.initializer_range, rel=0.05)
        assert weight.mean().item() == pytest.approx(0, abs=0.001)


def test_quantised_weights_are_those_of_the_same_spread() -> None:
    pytest.importorskip("bitsandbytes")
    import bitsandbytes.functional

    made = build(CONFIG, find_precision("nf4"), "cpu")
    weight = made.model.layers[0].mlp.up_proj.weight
    values = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)

    assert values.shape == (512, 256)
    assert values.float().std().item() == pytest.approx(made.config.initializer_range, rel=0.1)


@pytest.mark.parametrize("name", ["fp32", "nf4"])
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    if name in QUANTISED:
        pytest.importorskip("bitsandbytes")
    first, second = (dict(build(CONFIG, find_precision(name), "cpu").named_parameters()) for _ in range(2))

    assert list(first) == list(second)
    assert all(torch.equal(first[n], second[n]) for n in first)


def test_layers_differ_from_each_other() -> None:
    layers = build(CONFIG, find_precision("fp32"), "cpu").model.layers

    assert not torch.equal(layers[0].mlp.up_proj.weight, layers[1].mlp.up_proj.weight)


def test_both_give_logits(pair: tuple[str, Any, Any]) -> None:
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        shapes = [model(ids).logits for model in pair[1:]]

    assert [tuple(s.shape) for s in shapes] == [(1, 8, CONFIG["vocab_size"])] * 2
    assert all(torch.isfinite(s).all() for s in shapes)


def test_tied_embeddings_stay_tied() -> None:
    made = build(CONFIG | {"tie_word_embeddings": True}, find_precision("fp32"), "cpu")

    assert made.lm_head.weight is made.model.embed_tokens.weight
