"""python -m analytic: its output, and its answers to bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import analytic
from analytic import preset_names
from analytic.__main__ import main
from analytic.commands import COMMANDS

pytestmark = pytest.mark.analytic

ROOT = Path(analytic.__file__).parents[1]

Capture = pytest.CaptureFixture[str]


def bounds(*, model: str = "mistral-7b-v0.1", gpu: str = "h100-sxm", rest: str) -> list[str]:
    return ["bounds", model, "--gpu", gpu, *rest.split()]


PREFILL = "--phase prefill --prompt 512"
DECODE = "--phase decode --context 512"


def run_json(capsys: Capture, arguments: list[str]) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_bounds_as_json_of_a_prefill(capsys: Capture) -> None:
    found = run_json(capsys, bounds(rest=PREFILL))

    exact = {
        "model": "mistral-7b-v0.1",
        "gpu": "h100-sxm",
        "phase": "prefill",
        "batch": 1,
        "new_tokens": 512,
        "context_len": 0,
        "precision": "fp16",
        "logits": "last",
        "flops": 7_284_526_678_016,
        "bytes": 14_292_623_360,
        "limiter": "compute",
        "param_count": 7_241_732_096,
        "weight_traffic_bytes": 14_225_514_496,
        "kv_traffic_bytes": 67_108_864,
    }
    assert {key: found[key] for key in exact} == exact
    rounded = {
        "intensity": 509.67,
        "ridge_point": 295.34,
        "compute_s": 7.3626e-3,
        "memory_s": 4.2665e-3,
        "lower_s": 7.3626e-3,
        "serial_s": 7.4420e-3,
    }
    assert {key: found[key] for key in rounded} == pytest.approx(rounded, rel=1e-4)


def test_bounds_as_json_of_a_quantised_decode(capsys: Capture) -> None:
    found = run_json(capsys, bounds(gpu="Tesla T4", rest=f"{DECODE} --precision nf4 --batch 4"))

    assert (found["gpu"], found["batch"], found["new_tokens"], found["context_len"]) == ("t4", 4, 1, 512)
    assert found["flops"] == 57_958_989_824
    assert found["limiter"] == "memory"
    assert found["kv_traffic_bytes"] == 4 * 513 * 131_072


def test_logits_and_dtypes_reach_the_cost(capsys: Capture) -> None:
    found = run_json(capsys, bounds(rest=f"{PREFILL} --logits all --precision nf4 --compute bf16 --kv fp32"))

    assert found["logits"] == "all"
    assert found["flops"] == 7_418_482_262_016
    assert found["kv_traffic_bytes"] == 2 * 67_108_864


def test_counts_are_integers_and_times_are_not(capsys: Capture) -> None:
    """1.43e10 bytes would not survive an exact comparison."""
    found = run_json(capsys, bounds(rest=DECODE))

    integers = ("batch", "new_tokens", "context_len", "flops", "bytes", "param_count")
    streams = ("weight_traffic_bytes", "kv_traffic_bytes")
    assert {type(found[key]) for key in (*integers, *streams)} == {int}
    assert {type(found[key]) for key in ("intensity", "ridge_point", "compute_s", "serial_s")} == {float}


@pytest.mark.parametrize("rest", [PREFILL, DECODE, f"{DECODE} --precision nf4-dq --batch 8"])
def test_operators_sum_to_the_totals(capsys: Capture, rest: str) -> None:
    found = run_json(capsys, bounds(rest=rest))
    operators = found["operators"]

    assert all(type(op[key]) is int for op in operators for key in ("count", "flops", "bytes"))
    assert {op["name"] for op in operators} >= {"q_proj", "attention", "down_proj", "lm_head"}
    assert sum(op["flops"] for op in operators) == found["flops"]
    assert sum(op["bytes"] for op in operators) == found["bytes"]
    assert found["weight_traffic_bytes"] + found["kv_traffic_bytes"] == found["bytes"]


def test_bounds_as_text(capsys: Capture) -> None:
    assert main(bounds(rest=PREFILL)) == 0
    out = capsys.readouterr().out

    first = "mistral-7b-v0.1 on h100-sxm: prefill, batch 1, 512 new on 0 cached, fp16"
    assert out.splitlines()[0] == first
    for words in ("7.285 TFLOP", "14.29 GB", "509.7 FLOP/B", "295.3", "7.363 ms, compute-bound", "7.442 ms"):
        assert words in out
    (lm_head,) = (line.split() for line in out.splitlines() if line.strip().startswith("lm_head"))
    assert lm_head[:5] == ["lm_head", "262.1", "MFLOP", "262.1", "MB"]


def test_bounds_read_a_config_from_a_folder(tmp_path: Path, capsys: Capture) -> None:
    source = ROOT / "analytic" / "presets" / "mistral-7b-v0.3.json"
    (tmp_path / "config.json").write_bytes(source.read_bytes())

    found = run_json(capsys, bounds(model=str(tmp_path), rest=DECODE))

    assert (found["model"], found["param_count"]) == (tmp_path.name, 7_248_023_552)


def test_bounds_on_a_gpu_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'key = "twice-a-t4"\ntorch_names = []\narch = "none"\ncompute_capability = "7.5"\nsm_count = 80\n'
        'memory_gb = 32\nbandwidth_gb_per_s = 640\nl2_mib = 8\nfp16_tflops = 130.2\nsource = "twice a T4"\n',
        encoding="utf-8",
    )
    t4 = run_json(capsys, bounds(gpu="t4", rest=DECODE))
    found = run_json(capsys, bounds(gpu=str(path), rest=DECODE))

    assert found["gpu"] == "twice-a-t4"
    assert found["lower_s"] == pytest.approx(t4["lower_s"] / 2)
    assert main(bounds(gpu=str(path), rest=f"{DECODE} --precision int8")) == 2
    assert "twice-a-t4 (none) has no int8 units; it has: fp16 (source: twice a T4)" in capsys.readouterr().err


def test_gpus_as_json(capsys: Capture) -> None:
    rows = {row["key"]: row for row in run_json(capsys, ["gpus"])}

    assert rows["t4"]["flops_per_s"] == pytest.approx({"fp32": 8.1e12, "fp16": 65.1e12, "int8": 130e12})
    assert rows["h100-sxm"]["bytes_per_s"] == pytest.approx(3350e9)
    assert rows["h100-sxm"]["torch_names"] == ["NVIDIA H100 80GB HBM3"]
    assert all(row["source"] for row in rows.values())
    assert rows["l4"]["flops_per_s"]["fp8"] == pytest.approx(242e12)
    assert rows["t4"]["usable_bytes"] == pytest.approx(14.64 * 2**30)
    assert "7700 (HGX)" in rows["b200"]["note"]


def test_gpus_as_text(capsys: Capture) -> None:
    assert main(["gpus"]) == 0
    lines = capsys.readouterr().out.splitlines()

    t4 = next(line.split() for line in lines if line.startswith("t4 "))
    assert t4 == ["t4", "320", "16", "40", "8.1", "65.1", "–", "130", "–", "Tesla", "T4"]
    assert lines[0].split()[4:9] == ["fp32", "fp16", "bf16", "int8", "fp8"]


def test_models_as_json(capsys: Capture) -> None:
    rows = {row["name"]: row for row in run_json(capsys, ["models"])}

    assert tuple(rows) == preset_names()
    assert rows["mistral-7b-v0.1"]["param_count"] == 7_241_732_096
    assert rows["mistral-7b-v0.1"]["sliding_window"] == 4096
    assert rows["mistral-7b-v0.3"]["vocab_size"] == 32_768
    mistral = rows["mistral-7b-v0.2"]
    assert [mistral[key] for key in ("d_model", "d_ff", "n_heads", "n_kv_heads", "d_head")] == [
        4096,
        14_336,
        32,
        8,
        128,
    ]


def test_models_as_json_tell_kinds_of_layers_apart(capsys: Capture) -> None:
    """What differs between them is null outside of them."""
    rows = {row["name"]: row for row in run_json(capsys, ["models"])}
    gemma, deepseek, mixtral = (rows[n] for n in ("gemma-2-2b", "deepseek-v2-lite", "mixtral-8x7b-v0.1"))

    assert [(kind["count"], kind["window"]) for kind in gemma["layers"]] == [(13, 4096), (13, None)]
    assert (gemma["sliding_window"], gemma["d_ff"]) == (None, 9216)
    assert [(kind["count"], kind["d_ff"], kind["n_experts"]) for kind in deepseek["layers"]] == [
        (1, 10_944, None),
        (26, 2816, 64),
    ]
    assert {kind["cached_elements_per_token"] for kind in deepseek["layers"]} == {512 + 64}
    assert deepseek["d_ff"] is None
    assert mixtral["active_param_count"] == 12_879_925_248
    (kind,) = mixtral["layers"]
    assert (kind["n_experts"], kind["top_k"], kind["d_expert"], kind["d_ff"]) == (8, 2, 14_336, None)
    for row in rows.values():
        assert sum(kind["count"] for kind in row["layers"]) == row["n_layers"]


def test_models_as_text(capsys: Capture) -> None:
    assert main(["models"]) == 0
    head, *lines, legend = (line.split() for line in capsys.readouterr().out.splitlines())

    assert head == ["name", "parameters", "per", "token", "shapes"]
    assert [line[0] for line in lines] == list(preset_names())
    rows = {line[0]: line[1:] for line in lines}
    assert rows["mistral-7b-v0.1"] == [
        *("7,241,732,096", "all"),
        *("L32", "D4096", "F14336", "H32/8x128", "V32000", "window4096"),
    ]
    assert rows["mixtral-8x7b-v0.1"][:2] == ["46,702,792,704", "12,879,925,248"]
    assert legend[:2] == ["L", "layers,"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (bounds(gpu="h100", rest=DECODE), ("GPU 'h100'", "Nearest: ", "h100-sxm", "h100-pcie")),
        (bounds(gpu="mine.toml", rest=DECODE), ("mine.toml: no such file", "a GPU as TOML")),
        (bounds(gpu="t4x", rest=DECODE), ("GPU 't4x'", "Nearest: t4")),
        (bounds(model="mistral-7b-v0.4", rest=DECODE), ("'mistral-7b-v0.4'", "Nearest: mistral-7b-v0.")),
        (bounds(rest=f"{DECODE} --precision fp8"), ("precision 'fp8'", "Nearest: ", "fp16")),
        (bounds(rest=f"{DECODE} --precision NF4"), ("precision 'NF4'", "Nearest: nf4")),
        (bounds(rest="--phase prefil --prompt 512"), ("phase 'prefil'", "Nearest: prefill")),
        (bounds(rest="--phase generate --prompt 512"), ("--phase generate takes --output",)),
        (bounds(rest="--phase chat --prompt 512"), ("phase 'chat'", "decode, generate, prefill")),
        (bounds(rest="--phase prefill"), ("--phase prefill takes --prompt",)),
        (bounds(rest="--phase decode"), ("--phase decode takes --context",)),
        (bounds(rest=f"{PREFILL} --context 512"), ("--phase prefill takes --prompt", "no --context")),
        (bounds(rest=f"{DECODE} --prompt 512"), ("--phase decode takes --context", "no --prompt")),
        (bounds(gpu="t4", rest=f"{DECODE} --precision bf16"), ("t4", "no bf16 units", "fp16, fp32, int8")),
        (bounds(gpu="t4", rest=f"{DECODE} --precision nf4 --compute bf16"), ("t4", "no bf16 units")),
        (bounds(gpu="t4", rest=f"{DECODE} --kv bf16"), ("t4", "no bf16 units")),
        (bounds(rest=f"{DECODE} --compute bf16"), ("fp16 computes in fp16, not in bf16", "nf4")),
        (bounds(rest=f"{DECODE} --precision nf4 --compute fp61"), ("compute dtype 'fp61'", "Nearest: fp16")),
        (bounds(rest=f"{DECODE} --kv int8"), ("KV dtype 'int8'", "Known: bf16, fp16, fp32")),
        (bounds(rest=f"{DECODE} --batch 0"), ("batch is 0", "at least 1")),
        (bounds(rest="--phase prefill --prompt 0"), ("is 0", "at least 1")),
        (bounds(rest="--phase decode --context -1"), ("--context is -1", "at least 1")),
        (bounds(rest=f"{DECODE} --logits first"), ("'first'", "'last' or 'all'")),
    ],
)
def test_bad_input_is_one_line_on_stderr(
    capsys: Capture, arguments: list[str], words: tuple[str, ...]
) -> None:
    """Exit code 2, nothing on stdout, the value and what would be right."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()

    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_a_folder_without_a_config_is_bad_input(tmp_path: Path, capsys: Capture) -> None:
    assert main(bounds(model=str(tmp_path), rest=DECODE)) == 2
    assert capsys.readouterr() == ("", f"error: {tmp_path} is a folder without a config.json\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (bounds(rest=f"{DECODE} --batch one"), "'one'"),
        (bounds(rest=f"{DECODE} --batch 1.5"), "'1.5'"),
        (bounds(rest="--context 512"), "--phase"),
        (["bounds"], "MODEL"),
        ([], "COMMAND"),
    ],
)
def test_arguments_that_do_not_parse_exit_with_2(capsys: Capture, arguments: list[str], word: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err


LOADED = """
import sys
from analytic.__main__ import main
main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [bounds(rest=DECODE), ["gpus"], ["models"]], ids=["bounds", "gpus", "models"]
)
def test_a_command_imports_no_other_and_nothing_slow(arguments: list[str]) -> None:
    """A cold start costs a tenth of a second; numpy alone would double it."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())

    commands = {f"analytic.commands.{command}" for command in COMMANDS}
    assert loaded & commands == {f"analytic.commands.{arguments[0]}"}
    assert not loaded & {"numpy", "pandas", "torch", "pytest", "asyncio", "baselines"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_line_in_that_of_all(capsys: Capture, command: str) -> None:
    for arguments in (["--help"], [command, "--help"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        assert command in capsys.readouterr().out


def test_an_unknown_command_exits_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analytic", "bonds"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "'bonds'" in done.stderr
    assert "bounds" in done.stderr


def test_a_reader_that_stops_early_is_no_error() -> None:
    """As in python -m analytic gpus | head -1"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "analytic", "gpus"],
            cwd=ROOT,
            env=environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")
