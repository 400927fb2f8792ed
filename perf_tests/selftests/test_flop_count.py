"""The count of parameters and FLOPs on the meta device."""

import json
from pathlib import Path
from typing import Any

import pytest

from analytic import SpecError
from perf_tests.bounds.count_flops import FLOPS, ODD, ODD_POINTS, PARAMS
from perf_tests.flop_count import build, by_operator, count_flops, count_modules, count_parameters
from perf_tests.selftests.tiny import Later

pytestmark = pytest.mark.usefixtures("torch_installed")

torch = Later("torch")

CONFIGS: dict[str, dict[str, Any]] = json.loads(ODD.read_text(encoding="utf-8"))
# grouped_mm takes rows of whole 16 bytes only.
MOE = {
    "mixtral": CONFIGS["odd-mixtral"],
    "qwen3_moe": CONFIGS["odd-qwen3-moe"] | {"moe_intermediate_size": 24},
    "deepseek_v2": CONFIGS["odd-deepseek-v2"] | {"moe_intermediate_size": 24},
}
ONE_PASS = {"batch": 2, "new_tokens": 5, "context_len": 3}


def rows(table: Path, name: str) -> list[list[str]]:
    """What a table holds of a model."""
    lines = (line.split(",") for line in table.read_text(encoding="utf-8").splitlines())
    return [row[1:] for row in lines if row[0] == name]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_committed_tables_are_what_is_counted_today(name: str) -> None:
    """The installed torch and transformers count what those did that made the tables."""
    model = build(CONFIGS[name])
    counted = [
        (b, q, c, logits, count_flops(model, batch=b, new_tokens=q, context_len=c, logits=logits))
        for b, q, c, logits in ODD_POINTS
    ]

    assert rows(PARAMS, name) == [[str(count_parameters(model))]]
    assert rows(FLOPS, name) == [list(map(str, row)) for row in counted]


def test_a_model_that_transformers_does_not_know() -> None:
    with pytest.raises(SpecError, match="'perceptron'"):
        build({"model_type": "perceptron", "hidden_size": 8})


def test_a_model_that_cannot_run() -> None:
    """Three experts a token of two: built, and refused by the first pass."""
    model = build(CONFIGS["odd-mixtral"] | {"num_local_experts": 2, "num_experts_per_tok": 3})

    with pytest.raises(SpecError, match="cannot run"):
        count_flops(model, **ONE_PASS)


def test_the_cache_is_used_whatever_the_config_says() -> None:
    model = build(CONFIGS["odd-mistral"] | {"use_cache": False})

    assert count_flops(model, **ONE_PASS) == count_flops(build(CONFIGS["odd-mistral"]), **ONE_PASS)


@pytest.mark.parametrize("name", MOE)
def test_grouped_mm_counts_as_batched_mm(name: str) -> None:
    """The default of transformers 5 for experts, with the formula that is registered here."""
    batched, grouped = (
        count_modules(build(MOE[name], experts=experts), **ONE_PASS)
        for experts in ("batched_mm", "grouped_mm")
    )

    assert grouped == batched


@pytest.mark.parametrize("name", MOE)
def test_flop_counter_mode_misses_grouped_mm(name: str) -> None:
    """Why: without the formula the experts cost nothing."""
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    if torch.ops.aten._grouped_mm in flop_registry:
        pytest.skip("this torch counts grouped_mm itself")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        build(MOE[name], experts="grouped_mm")(torch.zeros(2, 5, dtype=torch.long, device="meta"))
    stock = {path for path in counter.get_flop_counts() if path.endswith(".experts")}
    ours = {path for path in count_modules(build(MOE[name]), **ONE_PASS) if path.endswith(".experts")}

    assert ours
    assert not stock


@pytest.mark.parametrize("name", ["odd-mistral", "odd-gpt2", "odd-falcon-new", "odd-deepseek-v2"])
def test_sdpa_counts_as_eager(name: str) -> None:
    """On the meta device scaled_dot_product_attention is the products it consists of."""
    eager, sdpa = (count_flops(build(CONFIGS[name], attention=a), **ONE_PASS) for a in ("eager", "sdpa"))

    assert sdpa == eager


def test_tied_parameters_count_once() -> None:
    tied, untied = (
        count_parameters(build(CONFIGS["odd-mistral"] | {"tie_word_embeddings": tied}))
        for tied in (True, False)
    )

    assert untied - tied == 100 * 48


def test_modules_become_operators() -> None:
    """Layers are summed, and containers named only where two would be the same."""
    assert by_operator(
        {
            "transformer.h.0.attn": 1,
            "transformer.h.1.attn": 2,
            "transformer.h.0.attn.c_proj": 4,
            "transformer.h.0.mlp.c_proj": 8,
            "transformer.h.0.attn.c_attn": 16,
            "model.layers.1.mlp.gate": 32,
            "model.layers.1.mlp.shared_experts.up_proj": 64,
            "model.decoder.project_in": 128,
            "lm_head": 256,
        }
    ) == {
        "attention": 3,
        "attn.c_proj": 4,
        "mlp.c_proj": 8,
        "c_attn": 16,
        "router": 32,
        "shared_experts.up_proj": 64,
        "project_in": 128,
        "lm_head": 256,
    }
