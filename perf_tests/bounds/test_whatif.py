"""What changes would do: against hand counts, measured times and the model's own limits."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytic import Case, Phase, SpecError, find_gpu, load_model, preset_names, registry, text
from analytic.__main__ import main
from analytic.whatif import (
    Observation,
    Option,
    Present,
    Speculation,
    options,
    other_gpus,
    present,
    tokens_per_round,
)
from analytic.whatif.flash import flash

pytestmark = pytest.mark.analytic

MISTRAL = load_model("mistral-7b-v0.1")
DECODE = "decode-b1-c512-fp16-eager"
Capture = pytest.CaptureFixture[str]


def of(
    case_id: str, gpu: str, *, model: str = "mistral-7b-v0.1", observation: Observation | None = None
) -> Present:
    spec = load_model(model)
    return present(spec, Case.parse(case_id, model=model), gpu=find_gpu(gpu), observation=observation)


def observed(
    case_id: str, gpu: str = "h100-sxm", *, wall_s: float, device_s: float | None, launch_bound: bool = False
) -> Present:
    return of(
        case_id, gpu, observation=Observation(wall_s=wall_s, device_s=device_s, launch_bound=launch_bound)
    )


LAUNCH_BOUND = observed(DECODE, wall_s=0.035, device_s=0.008, launch_bound=True)
ON_T4 = observed(DECODE, "t4", wall_s=0.061, device_s=0.060)


def one(found: Sequence[Option], name: str) -> Option:
    (option,) = (o for o in found if o.name == name)
    return option


def gain(found: Sequence[Option], name: str) -> float:
    value = one(found, name).gain
    assert value is not None
    return value


def quicker(found: Sequence[Option]) -> list[str]:
    """What makes each sequence faster, best first."""
    return [o.name for o in found if o.gains and o.pace is not None and o.pace > 1.02]


class TestAllOptions:
    @pytest.mark.parametrize("gpu", ["t4", "h100-sxm", "mi300x"])
    @pytest.mark.parametrize("case_id", [DECODE, "prefill-b2-p300-nf4-eager", "decode-b64-c512-fp16-eager"])
    def test_sorted_by_gain_with_a_reason_each(self, case_id: str, gpu: str) -> None:
        found = options(of(case_id, gpu), Speculation(acceptance=0.7))
        gains = [o.gain for o in found if o.gain is not None]

        assert gains == sorted(gains, reverse=True)
        assert [o.gain for o in found[len(gains) :]] == [None] * (len(found) - len(gains))
        assert all(len(o.reason) > 10 for o in found)
        assert len({o.name for o in found}) == len(found)

    @pytest.mark.parametrize("model", preset_names())
    def test_no_estimate_is_below_its_bound_or_outside_its_interval(self, model: str) -> None:
        case_id = "decode-b2-c200-fp16-eager"
        for o in options(of(case_id, "h100-sxm", model=model), Speculation(acceptance=0.7)):
            if o.wall and o.device and o.lower_s:
                assert o.lower_s < o.device.typical_s <= o.wall.typical_s
                assert 0 < o.wall.low_s <= o.wall.typical_s <= o.wall.high_s

    def test_where_no_kernel_was_timed_gains_are_by_the_bound(self) -> None:
        found = options(of(DECODE, "mi300x"))
        nf4 = one(found, "nf4 weights")

        assert nf4.basis == "bound"
        assert (nf4.wall, nf4.device) == (None, None)
        # Compulsory bytes: 14.2885 GB against 4.2560 GB.
        assert nf4.gain == pytest.approx(14.2885 / 4.2560, rel=1e-3)
        assert one(found, "CUDA graphs").gain is None


class TestEngines:
    def test_an_eager_decode_on_an_h100_wants_graphs_or_a_compiler_first(self) -> None:
        now = of(DECODE, "h100-sxm")

        assert now.launch_bound
        assert quicker(options(now)) == ["compiled engine", "CUDA graphs"]

    def test_the_compiled_engine_is_what_torch_compile_measured(self) -> None:
        """6.8 ms on an H100, 6.25 ms with coordinate descent tuning."""
        wall = one(options(of(DECODE, "h100-sxm")), "compiled engine").wall

        assert wall is not None
        for measured_s in (6.25e-3, 6.8e-3):
            assert wall.typical_s == pytest.approx(measured_s, rel=0.10)
            assert wall.low_s < measured_s < wall.high_s

    def test_graphs_leave_the_kernels(self) -> None:
        now = of(DECODE, "h100-sxm")
        found = one(options(now), "CUDA graphs")

        assert found.wall_s == now.device_s
        assert gain(options(LAUNCH_BOUND), "CUDA graphs") == pytest.approx(35 / 8)
        assert gain(options(ON_T4), "CUDA graphs") == pytest.approx(1.0)

    def test_without_device_time_nothing_is_said_of_graphs(self) -> None:
        found = one(options(observed(DECODE, wall_s=0.035, device_s=None)), "CUDA graphs")

        assert (found.gain, found.reason) == (None, "no device time to hold against the wall of 35.000 ms")

    def test_a_compiler_leaves_bitsandbytes_alone(self) -> None:
        found = one(options(of("decode-b1-c512-nf4-eager", "h100-sxm")), "compiled engine")

        assert found.reason.endswith("the kernels of bitsandbytes stay")
        assert found.device
        # All 4.3 GB at the read ceiling would take 1.7 ms.
        assert found.device.typical_s > 4.5e-3


class TestFlash:
    def test_a_t4_is_offered_a_fused_attention_with_the_reason(self) -> None:
        found = one(options(of(DECODE, "t4")), "efficient attention")

        assert found.gains
        assert "sm75 + GQA + no mask → math" in found.reason
        assert "transformers#48633" in found.reason

    @pytest.mark.parametrize(("sequences", "before", "after"), [(18, 177.8, 288.9), (32, 202.0, 370.9)])
    def test_against_what_a_t4_measured(self, sequences: int, before: float, after: float) -> None:
        """Tokens/s of Qwen2.5-1.5B, 512 + 512 tokens, as shipped and with keys and
        values repeated (huggingface/transformers, pull request 45776, 2026-08-09)."""
        now = of(f"decode-b{sequences}-c768-fp16-eager", "t4", model="qwen2.5-1.5b")
        own = now.wall(now.run)
        (found,) = flash(now)

        assert own
        assert own.low_s < sequences / before < own.high_s
        assert found.wall
        assert found.wall.low_s < sequences / after < found.wall.high_s
        assert found.gains

    def test_where_attention_is_fused_already_nothing_is_offered(self) -> None:
        assert not [o for o in options(of(DECODE, "h100-sxm")) if "attention" in o.name]

    def test_what_no_fused_kernel_takes_is_said(self) -> None:
        found = one(options(of(DECODE, "h100-sxm", model="gemma-2-9b")), "flash attention")

        assert found.gain is None
        assert "capped scores" in found.reason


class TestFormats:
    def test_a_launch_bound_case_loses_by_the_host_s_work_for_lighter_weights(self) -> None:
        nf4, int8 = (one(options(LAUNCH_BOUND), f"{name} weights") for name in ("nf4", "int8"))

        # bitsandbytes' Python works as long as for three more launches in each of 224 linears.
        assert nf4.gain == pytest.approx(1301 / (1301 + 3 * 224))
        assert "launching (1,973 × 26.902 µs) stays the floor" in nf4.reason
        # Its int8 launches twice as much beside.
        assert int8.gain == pytest.approx(1301 / (2645 + 3 * 224))

    def test_a_memory_bound_t4_gains_by_nf4(self) -> None:
        assert quicker(options(ON_T4))[0].endswith("weights")
        assert one(options(ON_T4), "nf4 weights").gain > 1.5

    def test_no_bf16_on_a_t4(self) -> None:
        with pytest.raises(SpecError, match="has no bf16 units"):
            of("decode-b1-c512-bf16-eager", "t4")

    def test_no_int8_on_a_v100(self) -> None:
        found = one(options(of(DECODE, "v100-32-sxm")), "int8 weights")

        assert (found.gain, found.reason) == (None, "v100-32-sxm has no int8 units")


class TestFp8:
    def test_bytes_of_the_bound_by_hand(self) -> None:
        """6.98 GB of linears at one byte a weight, with 4 bytes a row; the rest as it was."""
        linears = 32 * 218_103_808
        rows = 32 * (4096 + 2 * 1024 + 4096 + 2 * 14336 + 4096)
        # lm_head, norms, one row of the embedding; 513 tokens of keys and values.
        rest = 2 * (32000 * 4096 + 65 * 4096 + 4096)
        cache = 513 * 131_072
        found = options(of(DECODE, "h100-sxm"))

        assert one(found, "fp8 weights").lower_s == pytest.approx(
            (linears + 4 * rows + rest + cache) / 3350e9
        )
        assert one(found, "fp8 KV cache").lower_s == pytest.approx((2 * linears + rest + cache / 2) / 3350e9)

    def test_no_fp8_on_a_t4(self) -> None:
        """The bytes are spared, the arithmetic is not."""
        prefill = "prefill-b1-p512-fp16-eager"
        now = of(prefill, "t4")
        on_t4, on_l4 = (one(options(of(prefill, gpu)), "fp8 weights") for gpu in ("t4", "l4"))

        assert on_t4.reason.startswith("t4 has no fp8 units: unpacked to fp16")
        assert on_t4.lower_s == pytest.approx(now.run.lower_s)
        assert on_l4.lower_s is not None
        assert on_l4.lower_s < 0.6 * of(prefill, "l4").run.lower_s

    def test_it_is_no_kernel_of_transformers(self) -> None:
        for name in ("fp8 weights", "fp8 KV cache"):
            assert "transformers' eager modules do not have" in one(options(ON_T4), name).reason

    def test_a_cache_pays_where_it_is_long(self) -> None:
        short, long = (of(f"decode-b8-c{n}-fp16-eager", "t4") for n in (128, 1024))

        assert gain(options(long), "fp8 KV cache") > gain(options(short), "fp8 KV cache") >= 1


class TestBatches:
    def test_under_the_launching_floor_tokens_are_free(self) -> None:
        found = options(LAUNCH_BOUND)

        assert [gain(found, f"batch {n}") for n in (2, 4, 8)] == pytest.approx([2, 4, 8])
        assert one(found, "batch 8").pace == pytest.approx(1.0)

    def test_more_sequences_never_pass_faster(self) -> None:
        walls = [one(options(of(DECODE, "t4")), f"batch {n}").wall_s or 0 for n in (2, 4, 8, 12)]

        assert walls == sorted(walls)

    def test_a_heavier_step_leaves_the_launching_floor(self) -> None:
        nearly = observed("decode-b128-c512-fp16-eager", wall_s=0.020, device_s=0.0158, launch_bound=True)

        assert 1 < gain(options(nearly), "batch 256") < 2

    def test_they_end_where_memory_does(self) -> None:
        found = options(of(DECODE, "t4"))

        assert [o.name for o in found if o.name.startswith("batch")] == [
            "batch 12",
            "batch 8",
            "batch 4",
            "batch 2",
        ]
        assert one(found, "batch 12").reason.endswith("usable, the largest batch that fits")

    def test_what_does_not_fit_is_refused_and_nothing_else_is_promised_of_it(self) -> None:
        found = options(of("decode-b64-c512-fp16-eager", "t4"))
        refused = {o.name for o in found if o.reason.startswith("does not fit: needs ")}

        assert {"CUDA graphs", "compiled engine", "speculative decoding"} <= refused
        assert one(found, "nf4 weights").gain is not None
        assert one(found, "batch 12").reason.endswith("the largest batch that fits")

    def test_what_was_seen_to_run_fits(self) -> None:
        """Also where the footprint says that it could not."""
        found = options(observed("prefill-b1-p2048-fp16-eager", "t4", wall_s=1.1, device_s=1.09))

        assert gain(found, "compiled engine") > 1
        assert one(found, "batch 2").reason.startswith("does not fit")


class TestSpeculation:
    @pytest.mark.parametrize(
        ("acceptance", "drafts", "tokens"),
        [
            (0.0, 4, 1.0),
            (1.0, 4, 5.0),
            (0.5, 1, 1.5),
            (0.7, 4, (1 - 0.16807) / 0.3),
            (0.8, 5, (1 - 0.262144) / 0.2),
        ],
    )
    def test_tokens_of_a_round_by_hand(self, acceptance: float, drafts: int, tokens: float) -> None:
        """Equation 1 of arXiv 2211.17192."""
        assert tokens_per_round(acceptance, drafts) == pytest.approx(tokens)

    def test_the_bound_of_a_round_is_a_pass_and_its_drafts(self) -> None:
        now = of(DECODE, "h100-sxm")
        plan = Speculation(acceptance=0.7, draft_tokens=4, draft_cost=0.1)
        found = one(options(now, plan), "speculative decoding")

        assert found.tokens == pytest.approx(2.77310)
        # Five new tokens read the weights once more: five rows of the embedding, and
        # the cache of five tokens written.
        verify_s = now.run.lower_s + 4 * (2 * 4096 + 131_072) / 3350e9
        assert found.lower_s == pytest.approx(verify_s + 0.4 * now.run.lower_s)

    def test_it_gains_with_the_acceptance(self) -> None:
        now = of(DECODE, "t4")
        rates = [0.0, 0.3, 0.6, 0.9, 1.0]
        gains = [gain(options(now, Speculation(acceptance=a)), "speculative decoding") for a in rates]

        assert gains == sorted(gains)
        assert gains[0] < 1 < gains[-1]

    def test_without_a_rate_the_break_even_is_told(self) -> None:
        now = of(DECODE, "t4")
        found = one(options(now), "speculative decoding")
        even = float(found.reason.split()[-2])

        assert found.gain is None
        assert gain(options(now, Speculation(acceptance=even - 0.01)), "speculative decoding") < 1
        assert gain(options(now, Speculation(acceptance=even + 0.01)), "speculative decoding") > 1

    def test_only_decoding_can_be_drafted(self) -> None:
        found = options(of("prefill-b1-p512-fp16-eager", "t4"), Speculation(acceptance=0.7))

        assert not [o for o in found if o.name == "speculative decoding"]

    @pytest.mark.parametrize(
        "wrong", [{"acceptance": 1.1}, {"acceptance": float("nan")}, {"draft_tokens": 0}, {"draft_cost": 1.0}]
    )
    def test_out_of_range(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(SpecError, match="needed"):
            Speculation(**wrong)


class TestObservation:
    def test_predictions_are_scaled_by_what_was_seen(self) -> None:
        """Twice the estimated device time is twice that of every change."""
        modelled = of(DECODE, "t4")
        assert modelled.device_s
        slow = observed(DECODE, "t4", wall_s=2 * modelled.device_s, device_s=2 * modelled.device_s)

        for name in ("batch 4", "nf4 weights", "compiled engine"):
            before, after = (one(options(now), name).device for now in (modelled, slow))
            assert before
            assert after
            assert after.typical_s == pytest.approx(2 * before.typical_s)

    def test_generate_goes_by_the_bound(self) -> None:
        now = observed("generate-b1-p512-n32-fp16-eager", wall_s=1.1, device_s=0.3, launch_bound=True)

        assert {o.basis for o in options(now)} <= {"bound", None}
        assert gain(options(now), "CUDA graphs") == pytest.approx(11 / 3)

    def test_a_launch_floor_needs_a_device_time(self) -> None:
        with pytest.raises(SpecError, match="device time"):
            Observation(wall_s=1.0, device_s=None, launch_bound=True)

    def test_something_must_bound_it(self) -> None:
        case = Case(model="m", phase=Phase.DECODE, batch=1, length=8, precision="fp32")
        with pytest.raises(SpecError, match="nothing bounds"):
            present(MISTRAL, case, gpu=None)


class TestOtherGpus:
    def test_every_gpu_of_the_registry_with_a_time_or_a_reason(self) -> None:
        rows = other_gpus(of("decode-b64-c2048-bf16-eager", "h100-sxm"))

        assert [row.gpu for row in rows] == [gpu.key for gpu in registry()]
        assert all(row.note for row in rows if row.wall is None)
        assert {row.gpu: row.note for row in rows}["t4"] == "no bf16 units"
        assert "does not fit" in {row.gpu: row.note for row in rows}["a10"]

    def test_the_gpu_it_ran_on_shows_what_was_measured(self) -> None:
        rows = {o.gpu: o for o in other_gpus(ON_T4)}

        assert (rows["t4"].wall_s, rows["t4"].speedup) == (0.061, 1.0)
        assert (rows["h100-sxm"].speedup or 0) > 2

    def test_a_launch_bound_case_is_no_faster_on_a_faster_gpu(self) -> None:
        rows = {o.gpu: o for o in other_gpus(LAUNCH_BOUND)}

        assert rows["h200"].wall_s == pytest.approx(0.035)
        assert rows["h200"].note == "the host's 35.000 ms of launching is the floor"
        assert (rows["t4"].wall_s or 0) > 0.035


class TestCommand:
    ARGUMENTS = ("whatif", "mistral-7b-v0.1", "--gpu", "t4")

    def test_json_is_the_model(self, capsys: Capture) -> None:
        rest = ["--phase", "decode", "--context", "512", "--acceptance", "0.7", "--json"]
        assert main([*self.ARGUMENTS, *rest]) == 0
        found = json.loads(capsys.readouterr().out)
        expected = options(of(DECODE, "t4"), Speculation(acceptance=0.7))

        assert [(o["name"], o["gain"], o["reason"]) for o in found["options"]] == [
            (o.name, o.gain, o.reason) for o in expected
        ]
        assert [o["wall_s"]["typical"] for o in found["options"]] == [o.wall_s for o in expected]
        assert len(found["gpus"]) == len(registry())
        assert found["present"]["launches"] == of(DECODE, "t4").run.launches

    def test_the_table_is_sorted_and_ends_with_the_gpus(self, capsys: Capture) -> None:
        assert main([*self.ARGUMENTS, "--phase", "prefill", "--prompt", "512"]) == 0
        lines = capsys.readouterr().out.splitlines()

        assert lines[0] == "mistral-7b-v0.1 on t4: prefill, batch 1, 512 prompt tokens, fp16"
        assert any(line.startswith("  efficient attention") and "→ math" in line for line in lines)
        assert any(line.startswith("  mi300x") for line in lines)

    def test_measured_ceilings_are_heeded(self, tmp_path: Path, capsys: Capture) -> None:
        file = tmp_path / "ceilings.json"
        rates = {"copy_bytes_per_s": 1e11, "read_bytes_per_s": 1e11, "gemm_flops_per_s": {"fp16": 3e13}}
        file.write_text(json.dumps({"schema": 1, "device": "Tesla T4", **rates}), encoding="utf-8")
        rest = ["--phase", "decode", "--context", "512", "--ceilings", str(file), "--json"]
        assert main([*self.ARGUMENTS, *rest]) == 0
        slow = json.loads(capsys.readouterr().out)["present"]["device_s"]["typical"]

        # Less than half the bandwidth that a T4 is expected to reach.
        assert slow > 2 * (of(DECODE, "t4").device_s or 0)

    @pytest.mark.parametrize(
        ("rest", "said"),
        [
            ("--phase decode --context 512 --acceptance 1.5", "acceptance rate is 1.5"),
            ("--phase decode --context 512 --acceptance nan", "acceptance rate is nan"),
            ("--phase decode --context 512 --acceptance 0.5 --draft-tokens 0", "0 draft tokens"),
            ("--phase decode --context 512 --draft-cost -1", "a draft step costs -1.0"),
            ("--phase prefill --context 512", "--phase prefill takes --prompt"),
            ("--phase prefill --prompt 5 --context 5", "--phase prefill takes --prompt"),
            ("--phase decode --prompt 512", "--phase decode takes --context"),
            ("--phase prefill --prompt 512 --acceptance 0.5", "--acceptance is for --phase decode"),
            ("--phase prefill --prompt 512 --draft-tokens 3", "--draft-tokens is for --phase decode"),
            ("--phase generate --prompt 512 --output 8", "prefill or decode is needed"),
            ("--phase decode --context 512 --batch 0", "--batch is 0"),
            ("--phase decode --context 512 --precision bf16", "no bf16 units"),
            ("--phase decode --context 512 --precision fp7", "unknown precision 'fp7'"),
            ("--phase decode --context 512 --ceilings nowhere.json", "nowhere.json: no such file"),
        ],
    )
    def test_bad_input_exits_2_with_one_line(self, rest: str, said: str, capsys: Capture) -> None:
        assert main([*self.ARGUMENTS, *rest.split()]) == 2
        shown = capsys.readouterr()

        assert shown.err.startswith("error: ")
        assert said in shown.err
        assert shown.err.count("\n") == 1
        assert not shown.out

    def test_ceilings_of_another_device_are_refused(self, tmp_path: Path, capsys: Capture) -> None:
        file = tmp_path / "ceilings.json"
        rates = {"copy_bytes_per_s": 1e12, "read_bytes_per_s": 1e12, "gemm_flops_per_s": {"fp16": 1e14}}
        file.write_text(json.dumps({"schema": 1, "device": "NVIDIA L4", **rates}), encoding="utf-8")

        assert main([*self.ARGUMENTS, "--phase", "decode", "--context", "5", "--ceilings", str(file)]) == 2
        assert "is of NVIDIA L4; of t4 (Tesla T4) is needed" in capsys.readouterr().err


def test_a_larger_batch_of_a_launch_bound_step_costs_nothing_at_the_bound() -> None:
    """Throughput never falls with the batch under the roofs alone."""
    lower = [replace(LAUNCH_BOUND.case, batch=n) for n in (1, 2, 4, 8, 16)]
    rates = [case.batch / LAUNCH_BOUND.eager(case).lower_s for case in lower]

    assert rates == sorted(rates)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.0110585, 0.022117, 0.044234), "22.1 ms (11.1–44.2)"),
        ((0.4, 0.99999, 1.5), "1000 ms (400–1500)"),
        ((1e-6, 2.5e-6, 3e-6), "2.5 µs (1–3)"),
        ((2.0, 2.0, 2.0), "2 s"),
        ((1e-10, 3e-10, 5e-10), "0.3 ns (0.1–0.5)"),
    ],
)
def test_an_interval_in_one_unit(ends: tuple[float, float, float], said: str) -> None:
    assert text.interval(*ends) == said
