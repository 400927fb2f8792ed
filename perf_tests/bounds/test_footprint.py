"""The memory that a case needs, and what else would fit."""

from dataclasses import replace

import pytest

from analytic import Case, GpuSpec, ModelSpec, Phase, SpecError, find_gpu, find_precision, load_model
from analytic.footprint import Footprint, cache_bytes, fit, footprint, kv_bytes_per_token, largest_batch

pytestmark = pytest.mark.analytic

MIB = 2**20
H100, T4 = find_gpu("h100-sxm"), find_gpu("t4")
MISTRAL = load_model("mistral-7b-v0.2")
KV_BYTES_PER_TOKEN = 131_072


def case_of(
    phase: Phase,
    length: int,
    *,
    model: ModelSpec = MISTRAL,
    batch: int = 1,
    precision: str = "fp16",
    output: int | None = None,
) -> Case:
    return Case(
        model=model.name, phase=phase, batch=batch, length=length, output_len=output, precision=precision
    )


def need(case: Case, *, gpu: GpuSpec = H100, attention: str = "auto") -> Footprint:
    return footprint(load_model(case.model), case, find_precision(case.precision), gpu, attention=attention)


@pytest.mark.parametrize(
    ("model", "batch", "precision", "extra_mib"),
    [
        ("mistral-7b-v0.2", 8, "fp16", 976.25),
        ("mistral-7b-v0.2", 8, "nf4", 977.25),
        ("mistral-7b-v0.2", 1, "nf4", 221.25),
        ("qwen2.5-1.5b", 8, "fp16", 371.25),
        ("pythia-2.8b", 1, "fp16", 191.04),
    ],
)
def test_the_peak_of_a_prefill_is_within_5_percent_of_an_h100s(
    model: str, batch: int, precision: str, extra_mib: float
) -> None:
    """512 tokens; torch's peak, less what was allocated before the pass."""
    case = case_of(Phase.PREFILL, 512, model=load_model(model), batch=batch, precision=precision)
    found = need(case)

    assert (found.kv_bytes + found.activation_bytes) / MIB == pytest.approx(extra_mib, rel=0.05)


@pytest.mark.parametrize(("precision", "weights"), [("fp16", 14_483_464_192), ("nf4", 4_450_689_024)])
def test_the_total_is_weights_cache_and_activations(precision: str, weights: int) -> None:
    found = need(case_of(Phase.DECODE, 511, batch=4, precision=precision))

    assert found.weight_bytes == weights
    assert found.kv_bytes == 4 * 512 * KV_BYTES_PER_TOKEN
    assert found.total_bytes == weights + 4 * 512 * KV_BYTES_PER_TOKEN + found.activation_bytes
    assert 0 < found.activation_bytes < 0.01 * weights


def test_a_prefill_holds_three_tensors_of_the_mlp() -> None:
    """gate, its activation, up: then their product for gate; and four of the width."""
    found = need(case_of(Phase.PREFILL, 2048))
    wide, narrow = 2048 * 14_336 * 2, 2048 * 4096 * 2

    assert 3 * wide <= found.activation_bytes <= 3 * wide + 5 * narrow


def test_eager_attention_needs_room_for_the_scores_of_a_layer() -> None:
    """16-bit scores of 32 heads beside their softmax in fp32."""
    scores = 32 * 4096 * 4096
    case = case_of(Phase.PREFILL, 4096)
    eager, flash = (need(case, attention=attention).activation_bytes for attention in ("eager", "auto"))

    assert scores * (2 + 4) <= eager < scores * (2 + 4) * 1.5
    assert flash < scores


def test_nf4_needs_room_for_one_matrix_in_16_bit() -> None:
    """The largest of Mistral-7B, 14336 x 4096, where a prefill dequantises it."""
    nf4, fp16 = (need(case_of(Phase.PREFILL, 512, precision=precision)) for precision in ("nf4", "fp16"))
    matrix = 14_336 * 4096 * 2

    assert 0.8 * matrix < nf4.activation_bytes - fp16.activation_bytes <= matrix


def test_generate_ends_with_its_prompt_and_all_but_the_last_token_cached() -> None:
    whole = need(case_of(Phase.GENERATE, 512, output=33))
    prefill, last = need(case_of(Phase.PREFILL, 512)), need(case_of(Phase.DECODE, 543))

    assert whole.kv_bytes == (512 + 32) * KV_BYTES_PER_TOKEN
    assert whole.activation_bytes == max(prefill.activation_bytes, last.activation_bytes)


@pytest.mark.parametrize(
    ("name", "per_token"),
    [
        ("mistral-7b-v0.2", 131_072),  # 2 x 32 layers x 8 heads x 128 x 2 bytes
        ("llama-2-7b", 524_288),  # 32 heads
        ("deepseek-v2-lite", 27 * (512 + 64) * 2),  # the latent and its rotary part
        ("falcon-40b", 60 * 2 * 128 * 64 * 2),  # 8 heads, cached after they are repeated to 128
        ("falcon-7b", 32 * 2 * 64 * 2),
    ],
)
def test_bytes_that_transformers_caches_for_a_token(name: str, per_token: int) -> None:
    assert kv_bytes_per_token(load_model(name), find_precision("fp16")) == per_token


def test_a_cache_in_fp32_is_twice_as_large() -> None:
    double, usual = (find_precision("nf4", kv=kv) for kv in ("fp32", None))

    assert kv_bytes_per_token(MISTRAL, double) == 2 * kv_bytes_per_token(MISTRAL, usual)


@pytest.mark.parametrize(("tokens", "kept"), [(4000, 4000), (4095, 4095), (4096, 4095), (100_000, 4095)])
def test_a_sliding_window_caps_the_cache(tokens: int, kept: int) -> None:
    windowed = load_model("mistral-7b-v0.1")

    assert (
        cache_bytes(windowed, find_precision("fp16"), batch=2, tokens=tokens) == 2 * kept * KV_BYTES_PER_TOKEN
    )


def test_only_layers_with_a_window_are_capped() -> None:
    """Gemma 2: 13 layers of 4096 tokens, 13 of all."""
    gemma = load_model("gemma-2-2b")
    layer = 2 * 4 * 256 * 2

    assert cache_bytes(gemma, find_precision("fp16"), batch=1, tokens=8192) == 13 * layer * (8192 + 4095)


@pytest.mark.parametrize(
    ("model", "precision", "gpu", "fits"),
    [
        ("mistral-7b-v0.2", "fp16", T4, True),
        ("llama-3-8b", "fp16", T4, False),
        ("llama-3-8b", "nf4", T4, True),
        ("llama-3-70b", "fp16", H100, False),
        ("llama-3-70b", "nf4", H100, True),
        ("mixtral-8x7b-v0.1", "nf4", H100, False),  # bitsandbytes leaves its experts in 16 bit
    ],
)
def test_what_fits_and_what_does_not(model: str, precision: str, gpu: GpuSpec, fits: bool) -> None:  # noqa: FBT001
    spec = load_model(model)
    found = fit(
        spec, case_of(Phase.DECODE, 512, model=spec, precision=precision), find_precision(precision), gpu
    )

    assert found.fits is fits
    assert found.left_bytes == found.usable_bytes - found.need.total_bytes
    assert (found.left_bytes >= 0) is fits
    assert (found.largest_batch >= 1) is (found.longest >= 512) is fits


@pytest.mark.parametrize("gpu", [T4, H100], ids=["t4", "h100"])
@pytest.mark.parametrize("precision", ["fp16", "nf4"])
@pytest.mark.parametrize(
    ("phase", "output"), [(Phase.PREFILL, None), (Phase.DECODE, None), (Phase.GENERATE, 64)]
)
def test_the_largest_that_fits_does_and_one_more_does_not(
    gpu: GpuSpec, precision: str, phase: Phase, output: int | None
) -> None:
    case = case_of(phase, 512, precision=precision, output=output)
    found = fit(MISTRAL, case, find_precision(precision), gpu)
    left = {
        name: [
            found.usable_bytes - need(replace(case, **{name: size}), gpu=gpu).total_bytes
            for size in (most, most + 1)
        ]
        for name, most in (("batch", found.largest_batch), ("length", found.longest))
    }

    assert found.largest_batch >= 1
    assert found.longest >= 512
    for fits, too_much in left.values():
        assert fits >= 0 > too_much


def test_no_batch_fits_where_the_weights_do_not() -> None:
    llama = load_model("llama-3-8b")
    case = case_of(Phase.DECODE, 512, model=llama)

    assert largest_batch(llama, case, find_precision("fp16"), T4) == 0
    assert fit(llama, case, find_precision("fp16"), T4).longest == 0


def test_a_larger_card_holds_a_larger_batch() -> None:
    case = case_of(Phase.DECODE, 2048, precision="nf4")
    batches = [
        largest_batch(MISTRAL, case, find_precision("nf4"), find_gpu(key))
        for key in ("t4", "l4", "h100-sxm", "h200")
    ]

    assert batches == sorted(set(batches))


def test_an_attention_that_cannot_run_is_refused() -> None:
    with pytest.raises(SpecError, match="sm75 has no flash attention"):
        need(case_of(Phase.PREFILL, 512), gpu=T4, attention="flash")
