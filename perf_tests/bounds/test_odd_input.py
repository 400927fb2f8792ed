"""Input at the edge of what is taken: each is one line on stderr, or a right answer."""

import json
from pathlib import Path

import pytest

from analytic import SpecError, load_model, read_config
from analytic.__main__ import main
from analytic.config_file import find_config

pytestmark = pytest.mark.analytic

Capture = pytest.CaptureFixture[str]
NEOX = {
    "model_type": "gpt_neox",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


def rotated(config: dict[str, object]) -> int:
    return read_config(config, name="x", source="test").attention.rotary


@pytest.mark.parametrize(
    ("fields", "dims"),
    [
        ({}, 4),  # a quarter of 16
        ({"rotary_pct": 0.5}, 8),
        # As transformers 5 saves it.
        ({"rope_parameters": {"partial_rotary_factor": 0.5, "rope_type": "default"}}, 8),
        ({"rope_parameters": {"rope_type": "default"}}, 4),
    ],
)
def test_the_rotated_share_is_read_in_both_spellings(fields: dict[str, object], dims: int) -> None:
    assert rotated(NEOX | fields) == dims


def test_a_checkpoint_quantised_by_others_is_not_counted_as_16_bit(tmp_path: Path) -> None:
    config = json.loads(find_config("llama-3-8b").read_text(encoding="utf-8"))
    path = tmp_path / "gptq.json"
    path.write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}), encoding="utf-8")

    with pytest.raises(SpecError, match=r"gptq.json: quantization_config is of 'gptq'"):
        load_model(str(path))

    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    path.write_text(json.dumps(config), encoding="utf-8")
    assert load_model(str(path)).param_count == load_model("llama-3-8b").param_count


@pytest.mark.parametrize("command", ["bounds", "footprint", "whatif"])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--phase decode --context 5 --batch 1.5", "--batch: invalid int value: '1.5'"),
        ("--phase decode --context 5 --foo", "unrecognized arguments: --foo"),
        ("--phase decode --context 5 --batch " + "9" * 400, "--batch is 9999"),
        ("--phase prefill --prompt " + "9" * 200, "--prompt is 9999"),
        ("--phase decode --context 1000000000000", "at most 100,000,000 is taken"),
        ("--phase decode --context 0", "--context is 0; at least 1 is needed"),
        ("--phase generate --prompt 5 --output 1000000000000", "--output is 1000000000000; at most"),
        ("--phase generate --prompt 5 --output 1", "--output is 1; at least 2 is needed"),
    ],
)
def test_a_size_that_no_machine_runs_is_one_line(
    command: str, flags: str, said: str, capsys: Capture
) -> None:
    arguments = [command, "llama-3-8b", "--gpu", "t4", *flags.split()]
    try:
        status: object = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    out, err = capsys.readouterr()

    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert len(err) < 400
    assert said in err


@pytest.mark.parametrize("command", ["bounds", "footprint"])
@pytest.mark.parametrize(("context", "status"), [(1023, 0), (1024, 2)])
def test_learned_positions_end(command: str, context: int, status: int, capsys: Capture) -> None:
    """GPT-2 has 1024; a step on 1023 cached tokens takes the last."""
    arguments = [command, "gpt2", "--gpu", "l4", "--phase", "decode", "--context", str(context)]

    assert main(arguments) == status
    err = capsys.readouterr().err
    assert err == (
        "" if status == 0 else "error: gpt2 has 1024 learned positions; 1025 tokens are too many\n"
    )


def test_the_longest_context_ends_with_the_positions(capsys: Capture) -> None:
    """OPT's table has two rows more than positions."""
    arguments = [
        "footprint",
        "opt-125m",
        "--gpu",
        "h100-sxm",
        "--phase",
        "prefill",
        "--prompt",
        "64",
        "--json",
    ]

    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["longest"] == 2048


def test_absorption_is_of_latent_attention(capsys: Capture) -> None:
    rest = ["--gpu", "h100-sxm", "--phase", "decode", "--context", "64", "--absorbed"]

    assert main(["bounds", "llama-3-8b", *rest]) == 2
    assert "--absorbed is for latent attention (MLA); llama-3-8b has none" in capsys.readouterr().err
    assert main(["bounds", "deepseek-v2-lite", *rest]) == 0


@pytest.mark.parametrize("model", ["", "  "])
def test_no_model_is_not_the_working_folder(model: str) -> None:
    with pytest.raises(SpecError, match="the model is empty"):
        load_model(model)


def test_a_generate_is_told_apart_from_its_prefill(capsys: Capture) -> None:
    rest = ["--gpu", "h100-sxm", "--phase", "generate", "--prompt", "512", "--output", "32", "--json"]

    assert main(["bounds", "mistral-7b-v0.2", *rest]) == 0
    found = json.loads(capsys.readouterr().out)
    whole = found["generation"]
    assert (found["of"], found["output_len"]) == ("its prefill", 32)
    assert whole["prefill_s"] == found["lower_s"]
    assert whole["total_s"] > 31 * whole["tpot_s"] > 30 * found["lower_s"] / 2
    assert whole["total_s"] < whole["device_s"]["low"] < whole["wall_s"]["low"]
    # An H100's virtual machine took 645 and 691 ms for it, in two runs.
    assert all(whole["wall_s"]["low"] < seen_s < whole["wall_s"]["high"] for seen_s in (0.645, 0.691))
