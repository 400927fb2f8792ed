"""FLOPs and parameters against PyTorch's own count, for every preset and family."""

import csv
import json
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from analytic import Cost, ModelSpec, find_precision, load_model, pass_cost, preset_names
from analytic.config_file import read_config

pytestmark = pytest.mark.analytic

HERE = Path(__file__).parent
FP16 = find_precision("fp16")

FAMILIES = {
    "deepseek_v2",
    "falcon",
    "gemma2",
    "gpt2",
    "gpt_neox",
    "llama",
    "mistral",
    "mixtral",
    "opt",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3_moe",
}


def read_table(name: str) -> tuple[dict[str, str], ...]:
    """A table of count_flops.py, without the comment that says what counted it."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(line for line in file if not line.startswith("#")))


FLOPS = read_table("flops_truth.csv")
PARAMS = read_table("params_truth.csv")
# Shapes in which no two widths are equal, so that no two can be swapped.
ODD = json.loads((HERE / "odd_configs.json").read_text(encoding="utf-8"))


@cache
def spec(name: str) -> ModelSpec:
    """A model of the tables: an odd config or a preset."""
    return read_config(ODD[name], name=name, source="odd_configs.json") if name in ODD else load_model(name)


def explain(counted: int, cost: Cost) -> str:
    """What a wrong count may come from: the operators, in all layers or in one, that
    the difference is a whole multiple or a simple fraction of; simplest first."""
    gap = cost.flops - counted
    origins = []
    for op in cost.operators:
        parts = {op.flops: op.name, op.flops // op.count: f"{op.name} of one layer"}
        for flops, part in (parts | {op.flops: op.name}).items():
            ratio = Fraction(abs(gap), flops) if flops else Fraction(0)
            if ratio and (ratio.denominator == 1 or (ratio.numerator <= 4 and ratio.denominator <= 4)):
                origins.append((ratio.numerator + ratio.denominator, f"{part} × {ratio}"))
    likely = ", or ".join(text for _, text in sorted(origins)[:3]) or "no simple multiple of an operator"
    flops = ", ".join(f"{op.name} {op.flops}" for op in cost.operators if op.flops)
    return (
        f"the model says {cost.flops}, PyTorch counts {counted}: difference {gap:+} = {likely}. "
        f"The model's operators: {flops}"
    )


def point_id(point: dict[str, str]) -> str:
    return "{model}-b{batch}-q{new_tokens}-c{context_len}-{logits}".format(**point)


@pytest.mark.parametrize("point", FLOPS, ids=point_id)
def test_equals_flop_counter_mode(point: dict[str, str]) -> None:
    """FLOPs of a pass equal FlopCounterMode's, to the last one."""
    cost = pass_cost(
        spec(point["model"]),
        batch=int(point["batch"]),
        new_tokens=int(point["new_tokens"]),
        context_len=int(point["context_len"]),
        logits=point["logits"],
        precision=FP16,
    )

    assert cost.flops == int(point["flops"]), explain(int(point["flops"]), cost)


@pytest.mark.parametrize("row", PARAMS, ids=lambda row: row["model"])
def test_parameter_count_is_transformers(row: dict[str, str]) -> None:
    """Every weight, bias and norm; tied embeddings are one tensor."""
    counted = int(row["parameters"])
    modelled = spec(row["model"]).param_count

    assert modelled == counted, f"difference {modelled - counted:+}"


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("deepseek-v2-lite", 15_706_484_224),
        ("falcon-rw-1b", 1_311_625_216),
        ("gemma-2-9b", 9_241_705_984),
        ("gpt2", 124_439_808),
        ("llama-3-8b", 8_030_261_248),
        ("llama-3.2-1b", 1_235_814_400),
        ("mistral-7b-v0.1", 7_241_732_096),
        ("mistral-7b-v0.2", 7_241_732_096),
        ("mistral-7b-v0.3", 7_248_023_552),
        ("mixtral-8x7b-v0.1", 46_702_792_704),
        ("opt-6.7b", 6_658_473_984),
        ("phi-3-mini-4k", 3_821_079_552),
        ("pythia-6.9b", 6_857_302_016),
        ("qwen2.5-7b", 7_615_616_512),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("qwen3-8b", 8_190_735_360),
    ],
)
def test_parameter_count_is_the_checkpoints(model: str, params: int) -> None:
    """The presets are the published models, not only consistent with themselves."""
    assert load_model(model).param_count == params


def test_the_tables_hold_every_preset_and_family() -> None:
    """A preset that was added without counting it is not compared with anything."""
    models = {*preset_names(), *ODD}

    assert {row["model"] for row in FLOPS} == models
    assert {row["model"] for row in PARAMS} == models
    assert {config["model_type"] for config in ODD.values()} == FAMILIES


@pytest.mark.parametrize("name", preset_names())
def test_the_table_holds_the_passes_that_matter(name: str) -> None:
    """Both phases, both kinds of logits, batches and a chunked prefill."""
    points = {
        (p["batch"] != "1", p["new_tokens"] != "1", p["context_len"] != "0", p["logits"])
        for p in FLOPS
        if p["model"] == name
    }

    assert {
        (False, True, False, "last"),
        (False, True, False, "all"),
        (True, True, False, "last"),
        (False, False, True, "last"),
        (True, False, True, "last"),
        (False, True, True, "last"),
        (False, True, True, "all"),
    } <= points


@pytest.mark.parametrize(
    ("name", "window"), [("mistral-7b-v0.1", 4096), ("gemma-2-9b", 4096), ("phi-3-mini-4k", 2047)]
)
def test_the_table_goes_past_the_window(name: str, window: int) -> None:
    phases = {
        p["new_tokens"] == "1"
        for p in FLOPS
        if p["model"] == name and int(p["new_tokens"]) + int(p["context_len"]) > window
    }

    assert phases == {True, False}


def test_a_difference_is_explained() -> None:
    cost = pass_cost(spec("odd-mistral"), batch=1, new_tokens=1, context_len=0, precision=FP16)
    head = next(op.flops for op in cost.operators if op.name == "lm_head")

    assert f"difference +{head} = lm_head × 1," in explain(cost.flops - head, cost)
    assert "no simple multiple" in explain(cost.flops + 1, cost)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "nf4", "nf4-dq"])
def test_precision_does_not_change_the_count(precision: str) -> None:
    cost = pass_cost(
        load_model("mistral-7b-v0.1"),
        batch=1,
        new_tokens=1,
        context_len=512,
        precision=find_precision(precision),
    )

    assert cost.flops == 14_489_747_456


def test_operators_in_the_order_of_the_model() -> None:
    cost = pass_cost(spec("odd-mistral"), batch=1, new_tokens=1, context_len=0, precision=FP16)

    assert [(op.name, op.count) for op in cost.operators if op.flops] == [
        ("q_proj", 3),
        ("k_proj", 3),
        ("v_proj", 3),
        ("attention", 3),
        ("o_proj", 3),
        ("gate_proj", 3),
        ("up_proj", 3),
        ("down_proj", 3),
        ("lm_head", 1),
    ]
