"""Which kernels a quantised linear runs, and the bytes they move."""

from typing import Any

import pytest

from analytic.bitsandbytes import Path, linear_path
from analytic.errors import SpecError
from analytic.precision import find_precision
from analytic.quantised_linear import Step, steps

pytestmark = pytest.mark.analytic

# (compute capability, SMs)
T4, A10G, L4 = ((7, 5), 40), ((8, 6), 80), ((8, 9), 58)
A100, H100, L40S = ((8, 0), 108), ((9, 0), 132), ((8, 9), 142)
# Mistral-7B: (outputs, inputs).
QO, KV, UP, DOWN = (4096, 4096), (1024, 4096), (14336, 4096), (4096, 14336)

FUSED = Path(fused=True, reason="", version=(0, 50))
APART = Path(fused=False, reason="", version=(0, 50))
OLD_GEMV = Path(fused=True, reason="", version=(0, 49))
OLD_APART = Path(fused=False, reason="", version=(0, 49))


def path(gpu: Any, shape: tuple[int, int], tokens: int, dtype: str = "fp16", **more: Any) -> Path:
    (capability, sms), (rows, cols) = gpu, shape
    return linear_path(
        compute_capability=capability,
        sm_count=sms,
        tokens=tokens,
        rows=rows,
        cols=cols,
        dtype=dtype,
        **more,
    )


# The fewest tokens with which Mistral's linears are dequantised, replayed from
# bitsandbytes 0.50.2: q and o, k and v, gate and up, down.
@pytest.mark.parametrize(
    ("gpu", "turns"),
    [
        (T4, (65, 33, 129, 65)),
        (A10G, (65, 17, 129, 65)),
        (L4, (33, 13, 257, 129)),
        (A100, (6, 17, 65, 6)),
        (H100, (8, 8, 33, 6)),
        (L40S, (9, 13, 129, 17)),
    ],
    ids=["t4", "a10g", "l4", "a100", "h100", "l40s"],
)
def test_mistral_is_fused_up_to_a_limit(gpu: Any, turns: tuple[int, ...]) -> None:
    for shape, turn in zip((QO, KV, UP, DOWN), turns, strict=True):
        assert [m for m in range(1, 600) if not path(gpu, shape, m).fused] == list(range(turn, 600))


@pytest.mark.parametrize("gpu", [T4, A100, H100, ((8, 7), 16), ((10, 0), 148), ((7, 0), 80)])
def test_four_tokens_are_always_fused_and_1537_never(gpu: Any) -> None:
    for shape in (QO, KV, UP, DOWN, (64, 64), (8192, 256)):
        assert path(gpu, shape, 4).fused
        assert not path(gpu, shape, 1537).fused


def test_tokens_without_a_fused_kernel_between_some_with() -> None:
    assert [m for m in range(1, 40) if not path(A100, (4096, 8192), m).fused] == [6, 7, *range(17, 40)]


def test_small_and_shallow_weights_are_fused_longest() -> None:
    assert path(A100, (2048, 512), 1536).fused


@pytest.mark.parametrize(
    ("gpu", "dtype"), [(T4, "bf16"), (T4, "fp32"), (H100, "fp32"), (((7, 0), 80), "fp16")]
)
def test_without_tensor_cores_seven_tokens_are_the_most(gpu: Any, dtype: str) -> None:
    for shape in (QO, KV, DOWN):
        assert path(gpu, shape, 7, dtype).fused
        assert not path(gpu, shape, 8, dtype).fused


def test_a_chip_that_is_not_known_goes_by_sm89() -> None:
    for tokens in range(1, 300):
        assert path(((8, 8), 58), UP, tokens).fused == path(L4, UP, tokens).fused


@pytest.mark.parametrize("tokens", [1, 8, 128])
def test_inputs_must_fill_blocks(tokens: int) -> None:
    assert not path(T4, (4096, 4095), tokens).fused
    assert not path(T4, (4096, 4095), tokens, version=(0, 49)).fused


def test_old_versions_fuse_one_token() -> None:
    assert path(H100, QO, 1, version=(0, 49)).fused
    assert not path(H100, QO, 2, version=(0, 49)).fused


def test_reasons_name_the_numbers() -> None:
    assert path(H100, DOWN, 8).reason == "M 8 > 5, sm90, 0.48 wave: dequantise, then fp16 GEMM"
    assert path(T4, UP, 128).reason == "M 128 <= 128, sm75, 5.60 wave: one fused kernel"
    assert path(T4, QO, 1).reason == "M 1 <= 4, any GPU: one fused kernel"
    assert path(T4, (8, 100), 1).reason == "K 100 is no multiple of 64: dequantise, then fp16 GEMM"
    assert path(T4, QO, 2, version=(0, 49)).reason == "M 2 > 1, bitsandbytes 0.49: dequantise, then fp16 GEMM"


@pytest.mark.parametrize("field", ["tokens", "rows", "cols", "sm_count"])
def test_sizes_are_checked(field: str) -> None:
    given = {"tokens": 1, "rows": 64, "cols": 64, "sm_count": 40} | {field: 0}

    with pytest.raises(SpecError, match=f"{field} is 0"):
        linear_path(compute_capability=(7, 5), dtype="fp16", **given)


def test_dtypes_are_checked() -> None:
    with pytest.raises(SpecError, match="unknown compute dtype 'int8'"):
        path(T4, QO, 1, "int8")


# --- steps ---------------------------------------------------------------------

ROWS, COLS = QO
WEIGHTS = ROWS * COLS


def run(name: str, way: Path | None, tokens: int = 1, **more: Any) -> tuple[Step, ...]:
    compute = more.pop("compute", None)
    given = {"rows": ROWS, "cols": COLS} | more
    return steps(find_precision(name, compute=compute), way, tokens=tokens, **given)


def kinds(done: tuple[Step, ...]) -> list[str]:
    return [step.kind for step in done]


def weight_bytes(done: tuple[Step, ...]) -> float:
    """Bytes moved per weight, activations left out."""
    tensors = [t for step in done for t in (*step.reads, *step.writes)]
    own = ("weight", "unpacked", "absmax", "absmax_8bit", "absmax_nested")
    return sum(size for name, size in tensors if name in own) / WEIGHTS


# By hand: 0.5 packed, 4/64 absmax; 2 + 2 for fp16 written and read again. Double
# quantisation: 1/64 + 4/(64 x 256) stored, 4 x 4/64 to widen it; 1028 bytes of tables.
STORED = 1 / 64 + 4 / (64 * 256) + 1028 / WEIGHTS


@pytest.mark.parametrize(
    ("name", "way", "expected", "launched"),
    [
        ("nf4", FUSED, 0.5625, ["gemm_4bit"]),
        ("nf4", APART, 4.5625, ["dequantise", "gemm"]),
        ("nf4", OLD_GEMV, 0.5625, ["gemv_4bit"]),
        ("nf4", OLD_APART, 4.5625, ["dequantise", "gemm"]),
        ("nf4-dq", FUSED, 0.5 + STORED, ["gemm_4bit"]),
        ("nf4-dq", APART, 4.75 + STORED, ["dequantise_absmax", "add_offset", "dequantise", "gemm"]),
        ("nf4-dq", OLD_GEMV, 0.75 + STORED, ["dequantise_absmax", "add_offset", "gemv_4bit"]),
        ("nf4-dq", OLD_APART, 4.75 + STORED, ["dequantise_absmax", "add_offset", "dequantise", "gemm"]),
    ],
)
def test_four_bit_bytes_per_weight(name: str, way: Path, expected: float, launched: list[str]) -> None:
    done = run(name, way)

    assert weight_bytes(done) == pytest.approx(expected, abs=1e-12)
    assert kinds(done) == launched
    assert not any(step.syncs for step in done)


def test_activations_of_a_four_bit_linear() -> None:
    (done,) = run("nf4", FUSED, 3)

    assert ("input", 3 * COLS * 2) in done.reads
    assert done.writes == (("output", 3 * ROWS * 2),)
    assert done.bytes == WEIGHTS // 2 + WEIGHTS // 16 + 3 * (COLS + ROWS) * 2


def test_a_bias_rides_along_but_for_the_old_gemv() -> None:
    for way in (FUSED, APART, OLD_APART):
        assert ("bias", 2 * ROWS) in run("nf4", way, bias=True)[-1].reads
    gemv, added = run("nf4", OLD_GEMV, bias=True)

    assert "bias" not in dict(gemv.reads)
    assert added.bytes == 3 * ROWS * 2


def test_products_in_fp32_cast_on_the_way_in_and_out() -> None:
    assert kinds(run("nf4", FUSED, compute="fp32")) == ["cast_input", "gemm_4bit", "cast_output"]
    assert weight_bytes(run("nf4", APART, compute="fp32")) == 0.5625 + 4 + 4
    old = run("nf4", OLD_APART, compute="fp32")

    assert kinds(old) == ["cast_input", "dequantise", "cast_unpacked", "gemm", "cast_output"]
    assert weight_bytes(old) == 0.5625 + 2 + 2 + 4 + 4


INT8 = ["abs", "compare", "any", "copy_any_to_host", "quantise_rows", "int8_gemm", "dequantise_output"]


def test_int8_with_one_token() -> None:
    done = run("int8", None)

    assert kinds(done) == INT8
    assert sum(step.kernel for step in done) == 6
    assert [step.kind for step in done if step.syncs] == ["copy_any_to_host"]


def test_int8_with_more_tokens_waits_twice() -> None:
    done = run("int8", None, 128)

    assert kinds(done) == [*INT8[:5], "copy_zero_to_device", *INT8[5:]]
    assert sum(step.syncs for step in done) == 2
    assert sum(step.kernel for step in done) == 6


def test_int8_bytes_by_hand() -> None:
    """Input: abs 2 + 2, compare 2 + 1, any 1, quantise 2 + 1, product 1. Output:
    int32 written and read, fp16 written. Rows: fp32 written and read."""
    tokens = 128
    done = run("int8", None, tokens)

    activations = tokens * (12 * COLS + (4 + 4 + 2) * ROWS + 8)
    assert sum(step.bytes for step in done) == activations + WEIGHTS + 4 * ROWS


def test_int8_in_bf16_casts_and_adds_the_bias_apart() -> None:
    assert kinds(run("int8", None, bias=True)) == INT8
    done = run("int8", None, compute="bf16", bias=True)

    assert kinds(done) == ["cast_input", *INT8, "add_bias", "cast_output"]


def test_int8_with_inputs_that_are_no_multiple_of_four_multiplies_in_fp32() -> None:
    done = run("int8", None, 8, cols=4094)

    assert kinds(done)[6:] == [
        "cast_input",
        "cast_weight",
        "gemm",
        "cast_output",
        "copy_output",
        "dequantise_output",
    ]


@pytest.mark.parametrize(("name", "way"), [("fp16", FUSED), ("nf4", None)])
def test_other_precisions_have_no_steps(name: str, way: Path | None) -> None:
    with pytest.raises(SpecError, match=f"precision {name}"):
        run(name, way)


def test_steps_check_their_sizes() -> None:
    with pytest.raises(SpecError, match="tokens is 0"):
        run("nf4", FUSED, 0)
