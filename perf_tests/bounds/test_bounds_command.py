"""python -m analytic bounds and footprint: traffic, estimates, and flags that contradict each other."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import analytic
from analytic import find_gpu
from analytic.__main__ import main
from analytic.ceilings_file import as_json
from analytic.estimate import typical_ceilings
from analytic.roofs import Ceilings

pytestmark = pytest.mark.analytic

ROOT = Path(analytic.__file__).parents[1]
Capture = pytest.CaptureFixture[str]

PREFILL = "--phase prefill --prompt 512"
DECODE = "--phase decode --context 512"
GENERATE = "--phase generate --prompt 512 --output 32"


def arguments(
    rest: str, *, command: str = "bounds", model: str = "mistral-7b-v0.2", gpu: str = "h100-sxm"
) -> list[str]:
    return [command, model, "--gpu", gpu, *rest.split()]


def found(capsys: Capture, rest: str, **names: str) -> Any:
    assert main([*arguments(rest, **names), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def said(capsys: Capture, rest: str, **names: str) -> str:
    assert main(arguments(rest, **names)) == 0
    return capsys.readouterr().out


def line(out: str, name: str) -> str:
    return next(text for text in out.splitlines() if text.strip().startswith(name))


def test_eager_traffic_says_which_attention_runs_and_what_the_l2_keeps(capsys: Capture) -> None:
    out = said(capsys, f"{DECODE} --traffic eager")

    assert "flash: sm90 + GQA + no mask + fp16 heads of 128 → flash" in line(out, "attention ")
    assert "cached keys 33.6 MB" in line(out, "read from L2")
    assert "(estimate)" in line(out, "eager traffic")
    assert " eager " in line(out, "operator")


def test_eager_traffic_on_a_t4_says_why_it_is_slow(capsys: Capture) -> None:
    out = said(capsys, f"{PREFILL} --traffic eager", gpu="t4")

    assert "math: sm75 + GQA + no mask → math" in line(out, "attention ")


def test_without_an_l2_nothing_is_read_from_it(capsys: Capture) -> None:
    assert "read from L2" not in said(capsys, f"{DECODE} --traffic eager --l2 0")


def test_the_bound_alone_names_neither_cache_nor_backend(capsys: Capture) -> None:
    out = said(capsys, DECODE)

    assert "read from L2" not in out
    assert "traffic" not in out


def test_traffics_grow_from_ideal_to_eager_and_leave_the_bound_alone(capsys: Capture) -> None:
    ideal, fused, eager = (
        found(capsys, f"{PREFILL} --traffic {which}") for which in ("ideal", "fused", "eager")
    )

    assert ideal["traffic"]["bytes"] == ideal["bytes"]
    assert ideal["bytes"] < fused["traffic"]["bytes"] < eager["traffic"]["bytes"]
    assert ideal["lower_s"] == fused["lower_s"] == eager["lower_s"]
    assert fused["traffic"]["read_bytes"] is None


def test_a_larger_l2_moves_less(capsys: Capture) -> None:
    moved = [
        found(capsys, f"{DECODE} --traffic eager --l2 {mib}")["traffic"]["bytes"] for mib in (1, 50, 1000)
    ]

    assert moved == sorted(set(moved), reverse=True)
    assert found(capsys, f"{DECODE} --traffic eager")["traffic"]["bytes"] == moved[1]


def test_causal_counts_the_scores_that_the_mask_leaves(capsys: Capture) -> None:
    """512 x 513 / 2 pairs of 512 x 512, in 32 layers of 32 heads of 128."""
    full, causal = (found(capsys, f"{PREFILL}{flag}")["flops"] for flag in ("", " --causal"))

    assert full - causal == 4 * 4096 * 32 * (512 * 512 - 512 * 513 // 2)


def test_absorbed_expands_no_cached_token_again(capsys: Capture) -> None:
    expanded, absorbed = (
        found(capsys, f"{DECODE}{flag}", model="deepseek-v2-lite") for flag in ("", " --absorbed")
    )

    assert absorbed["flops"] < expanded["flops"] / 2
    assert absorbed["bytes"] == expanded["bytes"]


@pytest.mark.parametrize("flag", ["--causal", "--absorbed"])
def test_a_way_of_counting_holds_for_generate_as_a_whole(capsys: Capture, flag: str) -> None:
    """Its prefill is the pass whose bound is printed above it."""
    whole = found(capsys, f"--phase generate --prompt 4096 --output 8 {flag}", model="deepseek-v2-lite")

    assert whole["generation"]["prefill_s"] == pytest.approx(whole["lower_s"])


def test_generate_has_time_per_token_and_single_passes_have_none(capsys: Capture) -> None:
    whole = found(capsys, GENERATE)["generation"]

    assert whole["total_s"] == pytest.approx(whole["prefill_s"] + 31 * whole["tpot_s"])
    assert whole["tokens_per_s"] == pytest.approx(1 / whole["tpot_s"])
    assert found(capsys, DECODE)["generation"] is None
    assert "per output token" in line(said(capsys, GENERATE), "generate()")


def test_json_has_estimate_regime_and_traffic(capsys: Capture) -> None:
    whole = found(capsys, f"{DECODE} --traffic eager")
    estimate = whole["estimate"]

    assert whole["regime"] == "overhead"
    assert estimate["launches"] == 1301 == sum(op["launches"] for op in whole["operators"])
    for times in (estimate["device_s"], estimate["wall_s"]):
        assert 0 < times["low"] < times["typical"] < times["high"]
    assert estimate["overhead_s"] == pytest.approx(1301 * estimate["launch_gap_s"])
    assert whole["attention"][0]["backend"] == "flash"
    assert {"tensor", "bytes"} == set(whole["traffic"]["resident"][0])
    assert sum(op["traffic_bytes"] for op in whole["operators"]) == pytest.approx(whole["traffic"]["bytes"])
    assert {op["regime"] for op in whole["operators"]} <= {"compute", "memory", "overhead"}


def test_measured_ceilings_change_the_estimate_and_not_the_bound(tmp_path: Path, capsys: Capture) -> None:
    usual = typical_ceilings(find_gpu("h100-sxm"))
    slow = Ceilings(
        device="NVIDIA H100 80GB HBM3",
        copy_bytes_per_s=usual.copy_bytes_per_s / 2,
        read_bytes_per_s=usual.read_bytes_per_s / 2,
        gemm_flops_per_s=usual.gemm_flops_per_s,
        launch_gap_s=1e-6,
    )
    path = tmp_path / "ceilings.json"
    path.write_text(json.dumps(as_json(slow)), encoding="utf-8")
    before, after = found(capsys, DECODE), found(capsys, f"{DECODE} --ceilings {path}")

    assert after["estimate"]["device_s"]["typical"] > 1.5 * before["estimate"]["device_s"]["typical"]
    assert after["estimate"]["launch_gap_s"] == 1e-6
    assert (before["regime"], after["regime"]) == ("overhead", "memory")
    assert after["lower_s"] == before["lower_s"]


def test_ceilings_of_another_device_are_refused(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "ceilings.json"
    path.write_text(json.dumps(as_json(typical_ceilings(find_gpu("t4")))), encoding="utf-8")

    assert main(f"bounds mistral-7b-v0.2 --gpu h100-sxm {DECODE} --ceilings {path}".split()) == 2
    assert "is of t4; of h100-sxm" in capsys.readouterr().err


def test_older_bitsandbytes_launch_more(capsys: Capture) -> None:
    new, old = (
        found(capsys, f"{DECODE} --batch 2 --precision nf4{flag}")["estimate"]["launches"]
        for flag in ("", " --bitsandbytes 0.49.2")
    )

    assert old == new + 224


def test_footprint_adds_up(capsys: Capture) -> None:
    whole = found(capsys, f"{DECODE} --batch 4", command="footprint", gpu="t4")
    out = said(capsys, f"{DECODE} --batch 4", command="footprint", gpu="t4")

    parts = [whole[f"{part}_bytes"] for part in ("weight", "kv", "activation")]
    assert whole["total_bytes"] == sum(parts) == whole["usable_bytes"] - whole["left_bytes"]
    assert whole["fits"] is (whole["largest_batch"] >= 4) is True
    assert "fits, " in line(out, "verdict")
    assert line(out, "largest batch").split()[-1] == str(whole["largest_batch"])


def test_footprint_says_that_and_by_how_much_a_model_does_not_fit(capsys: Capture) -> None:
    out = said(capsys, DECODE, command="footprint", model="llama-3-8b", gpu="t4")

    assert "does not fit: 0." in line(out, "verdict")
    assert line(out, "largest batch").split()[-1] == "none"


@pytest.mark.parametrize(
    ("command", "rest", "names", "words"),
    [
        ("bounds", f"{DECODE} --l2 50", {}, ("--l2", "--traffic eager")),
        ("bounds", f"{DECODE} --traffic fused --l2 50", {}, ("--l2", "--traffic eager")),
        ("bounds", f"{DECODE} --traffic eager --l2 -1", {}, ("--l2 is -1.0",)),
        ("bounds", f"{DECODE} --traffic eager --l2 nan", {}, ("--l2 is nan",)),
        ("bounds", f"{DECODE} --traffic real", {}, ("traffic model 'real'", "eager, fused, ideal")),
        ("bounds", f"{DECODE} --attention flsh", {}, ("attention 'flsh'", "Nearest: flash")),
        ("bounds", f"{DECODE} --attention flash", {"gpu": "t4"}, ("--attention flash", "sm75")),
        ("bounds", f"{DECODE} --attention math", {"model": "gemma-2-2b"}, ("--attention math", "softcap")),
        ("bounds", f"{DECODE} --cached 5", {}, ("--phase decode takes --context", "--cached")),
        ("bounds", f"{GENERATE} --cached 5", {}, ("--phase generate takes --prompt", "--cached")),
        ("bounds", f"{PREFILL} --cached -1", {}, ("--cached is -1",)),
        ("bounds", f"{PREFILL} --output 5", {}, ("--phase prefill takes --prompt", "--output")),
        ("bounds", f"{DECODE} --output 5", {}, ("--phase decode takes --context", "--output")),
        ("bounds", "--phase generate --prompt 512", {}, ("--phase generate takes --output",)),
        ("bounds", "--phase generate --prompt 512 --output 0", {}, ("--output is 0",)),
        ("bounds", "--phase generate --prompt 512 --output 1", {}, ("output", "at least 2")),
        ("bounds", f"{DECODE} --bitsandbytes new", {}, ("--bitsandbytes is 'new'", "0.50")),
        ("bounds", f"{DECODE} --ceilings none.json", {}, ("none.json",)),
        ("footprint", f"{PREFILL} --cached 5", {}, ("--cached is not for footprint",)),
        ("footprint", f"{DECODE} --attention flash", {"gpu": "t4"}, ("--attention flash", "sm75")),
        ("footprint", "--phase generate --prompt 512", {}, ("--phase generate takes --output",)),
    ],
)
def test_what_does_not_go_together_is_one_line_that_names_the_flag(
    capsys: Capture, command: str, rest: str, names: dict[str, str], words: tuple[str, ...]
) -> None:
    assert main(arguments(rest, command=command, **names)) == 2
    out, err = capsys.readouterr()

    assert out == ""
    assert (err.startswith("error: "), err.count("\n")) == (True, 1)
    for word in words:
        assert word in err


LOADED = (
    "import sys; from analytic.__main__ import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
)


@pytest.mark.parametrize("command", ["bounds", "footprint"])
def test_a_command_needs_neither_numpy_nor_torch(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments(GENERATE, command=command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())

    assert f"analytic.commands.{command}" in loaded
    assert not loaded & {"numpy", "torch", "pandas", "pytest"}


def test_which_4_bit_linears_are_fused_and_why(capsys: Capture) -> None:
    """Seen by Nsight Compute on an H100 at batch 8: gate and up are fused, the rest unpacked."""
    reasons = found(capsys, f"{DECODE} --batch 8 --precision nf4")["four_bit"]
    fused = [names for reason, names in reasons.items() if reason.endswith("one fused kernel")]

    assert fused == [["gate_proj", "up_proj"]]
    assert sorted(n for names in reasons.values() for n in names) == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    assert found(capsys, DECODE)["four_bit"] == {}
