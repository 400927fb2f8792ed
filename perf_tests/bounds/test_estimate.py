"""The estimate of an eager pass: near to what was measured, and honest where nothing was."""

import pytest

from analytic import (
    Ceilings,
    GpuSpec,
    SpecError,
    find_gpu,
    find_precision,
    load_model,
    pass_bound,
)
from analytic.counting import cost_of
from analytic.estimate import (
    CLOSE,
    FAR,
    GAP_HIGH,
    GAP_LOW,
    HOST_SHARE,
    LAUNCH_GAP_S,
    NEAR,
    QUANTISED_LAUNCHES,
    Estimate,
    Interval,
    estimate,
    typical_ceilings,
)
from analytic.passes import Pass

pytestmark = pytest.mark.analytic

H100, T4, L4 = (find_gpu(key) for key in ("h100-sxm", "t4", "l4"))
PREFILL = Pass(batch=1, new_tokens=512, context_len=0)
DECODE = Pass(batch=1, new_tokens=1, context_len=512)
CEILINGS = typical_ceilings(H100)


def measured(*, rate: float = 1.0, gap_s: float | None = None) -> Ceilings:
    """An H100 that is `rate` times as fast as usual."""
    return Ceilings(
        device="this one",
        copy_bytes_per_s=CEILINGS.copy_bytes_per_s * rate,
        read_bytes_per_s=CEILINGS.read_bytes_per_s * rate,
        gemm_flops_per_s={dtype: peak * rate for dtype, peak in CEILINGS.gemm_flops_per_s.items()},
        launch_gap_s=gap_s,
    )


def guess(
    shape: Pass,
    precision: str = "fp16",
    *,
    model: str = "mistral-7b-v0.2",
    gpu: GpuSpec = H100,
    ceilings: Ceilings | None = None,
) -> Estimate:
    return estimate(load_model(model), shape, find_precision(precision), gpu, ceilings=ceilings)


@pytest.mark.parametrize(
    ("shape", "precision", "device_ms"),
    [(DECODE, "fp16", 7.79), (DECODE, "nf4", 6.2), (PREFILL, "fp16", 17.1)],
    ids=["decode fp16", "decode nf4", "prefill fp16"],
)
def test_device_time_is_within_5_percent_of_an_h100s(shape: Pass, precision: str, device_ms: float) -> None:
    """Mistral-7B on 512 tokens, kernel time by CUPTI."""
    assert guess(shape, precision).device.typical_s * 1e3 == pytest.approx(device_ms, rel=0.05)


@pytest.mark.parametrize("model", ["mistral-7b-v0.2", "pythia-2.8b", "mixtral-8x7b-v0.1", "gemma-2-2b"])
@pytest.mark.parametrize("gpu", [H100, T4, L4], ids=lambda gpu: gpu.key)
@pytest.mark.parametrize("precision", ["fp16", "nf4", "int8"])
def test_an_interval_holds_its_typical_time(model: str, gpu: GpuSpec, precision: str) -> None:
    for shape in (PREFILL, DECODE):
        found = guess(shape, precision, model=model, gpu=gpu)
        for interval in (found.device, found.wall):
            assert 0 < interval.low_s < interval.typical_s < interval.high_s


@pytest.mark.parametrize(
    ("model", "gpu", "width"),
    [
        ("mistral-7b-v0.2", H100, CLOSE),
        ("qwen3-8b", H100, CLOSE),
        ("pythia-2.8b", H100, NEAR),
        ("gemma-2-2b", H100, NEAR),
        ("mistral-7b-v0.2", T4, FAR),
        ("mistral-7b-v0.2", find_gpu("h200"), FAR),
    ],
)
def test_less_is_known_of_other_families_and_least_of_other_gpus(
    model: str, gpu: GpuSpec, width: float
) -> None:
    device = guess(DECODE, model=model, gpu=gpu).device

    assert CLOSE < NEAR < FAR
    assert device.high_s == pytest.approx(device.typical_s * (1 + width))
    assert device.low_s == pytest.approx(max(least_s(model, gpu), device.typical_s * (1 - width)))


def least_s(model: str, gpu: GpuSpec, precision: str = "fp16", shape: Pass = DECODE) -> float:
    cost = cost_of(load_model(model), shape, find_precision(precision))
    return pass_bound(cost, gpu.roofs).lower_s


@pytest.mark.parametrize("model", ["llama-3-70b", "mistral-7b-v0.1", "qwen2.5-0.5b", "mixtral-8x7b-v0.1"])
@pytest.mark.parametrize("precision", ["fp16", "nf4", "nf4-dq", "int8"])
@pytest.mark.parametrize("gpu", ["t4", "l4", "a100-80-sxm", "h100-sxm", "rtx-4090", "b200"])
def test_no_estimate_promises_what_nothing_can_reach(model: str, precision: str, gpu: str) -> None:
    for shape in (DECODE, PREFILL, Pass(batch=16, new_tokens=1, context_len=4096)):
        found = guess(shape, precision, model=model, gpu=find_gpu(gpu))
        least = least_s(model, find_gpu(gpu), precision, shape)

        assert least <= found.device.low_s <= found.device.typical_s <= found.device.high_s
        assert least <= found.wall.low_s


def test_the_basis_says_what_nobody_tested() -> None:
    on_h100, on_t4 = guess(DECODE).basis, guess(DECODE, gpu=T4).basis

    assert on_h100 == "the H100's shares of the datasheet; calibrated on this GPU"
    assert on_t4 == "the H100's shares of the datasheet; kernel paces of an H100, untested here"
    assert guess(DECODE, ceilings=measured()).basis.startswith("measured ceilings; ")


def test_overhead_is_the_gap_for_every_launch() -> None:
    found = guess(DECODE)

    assert found.launches == 1301
    assert found.overhead_s == pytest.approx(1301 * LAUNCH_GAP_S)


def test_a_measured_gap_replaces_the_usual_one() -> None:
    assert guess(DECODE, ceilings=measured(gap_s=5e-6)).overhead_s == pytest.approx(1301 * 5e-6)
    assert guess(DECODE, ceilings=measured()).overhead_s == pytest.approx(1301 * LAUNCH_GAP_S)


@pytest.mark.parametrize(("gap_s", "waits_for"), [(20e-6, "host"), (1e-7, "device")])
def test_the_wall_is_that_of_the_slower_side(gap_s: float, waits_for: str) -> None:
    found = guess(DECODE, ceilings=measured(gap_s=gap_s))
    host = Interval(low_s=GAP_LOW * found.host_s, typical_s=found.host_s, high_s=GAP_HIGH * found.host_s)

    assert found.wall == (host if waits_for == "host" else found.device)


def test_the_host_takes_longer_than_its_launches_and_longest_in_quantised_linears() -> None:
    """224 linears of bitsandbytes cost the host as much as three more launches each."""
    plain, quantised = guess(DECODE), guess(DECODE, precision="nf4")

    assert plain.host_s == pytest.approx(HOST_SHARE * plain.overhead_s)
    assert quantised.host_launches == quantised.launches + QUANTISED_LAUNCHES * 224
    assert quantised.host_s == pytest.approx(HOST_SHARE * LAUNCH_GAP_S * quantised.host_launches)


def test_a_faster_machine_is_estimated_faster() -> None:
    """But for what each kernel needs whatever its size: 1301 of 1.7 µs and more."""
    usual, twice = (guess(PREFILL, ceilings=measured(rate=rate)).device.typical_s for rate in (1, 2))
    fixed = 2 * twice - usual

    assert usual / 2 < twice < usual
    assert 1301 * 1.7e-6 <= fixed <= 1301 * 6e-6


def test_usual_ceilings_change_nothing_but_the_basis() -> None:
    assert guess(PREFILL, ceilings=measured()).device == guess(PREFILL).device


def test_no_estimate_is_faster_than_the_ceilings_allow() -> None:
    """Weights at the measured copy rate, products at the measured GEMM rate."""
    assert guess(DECODE).device.typical_s > 14.29e9 / CEILINGS.copy_bytes_per_s
    assert guess(PREFILL).device.typical_s > 7.28e12 / CEILINGS.gemm_flops_per_s["fp16"]


def test_operators_sum_to_the_whole() -> None:
    found = guess(PREFILL, "nf4")

    assert sum(op.device_s for op in found.operators) == pytest.approx(found.device.typical_s)
    assert sum(op.launches for op in found.operators) == found.launches == 1525


@pytest.mark.parametrize("precision", ["fp16", "int8", "nf4", "nf4-dq"])
def test_a_t4_is_slower_in_proportion_to_its_bandwidth(precision: str) -> None:
    """Decode of a T4 with a tenth of the bandwidth: some ten times, never faster."""
    ratio = guess(DECODE, precision, gpu=T4).device.typical_s / guess(DECODE, precision).device.typical_s

    assert 2 < ratio < 12


@pytest.mark.parametrize(
    ("gpu", "precision", "dtype"), [(T4, "bf16", "bf16"), (find_gpu("v100-16-sxm"), "int8", "int8")]
)
def test_a_gpu_without_the_units_is_refused(gpu: GpuSpec, precision: str, dtype: str) -> None:
    with pytest.raises(SpecError, match=f"has no {dtype} units"):
        guess(DECODE, precision, gpu=gpu)


def test_an_attention_that_cannot_run_is_refused() -> None:
    with pytest.raises(SpecError, match="sm75 has no flash attention"):
        estimate(load_model("mistral-7b-v0.2"), DECODE, find_precision("fp16"), T4, attention="flash")


def test_older_bitsandbytes_dequantise_where_newer_ones_fuse() -> None:
    """Two sequences: 0.49 has no fused kernel for them."""
    two = Pass(batch=2, new_tokens=1, context_len=512)
    model, nf4 = load_model("mistral-7b-v0.2"), find_precision("nf4")
    new, old = (estimate(model, two, nf4, H100, bitsandbytes=version) for version in ((0, 50), (0, 49)))

    assert old.launches == new.launches + 224
    assert old.device.typical_s > 1.5 * new.device.typical_s
