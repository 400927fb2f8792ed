"""The registry of GPUs: dense peaks with their sources, and exact names."""

import re

import pytest

from analytic import SpecError, find_gpu, registry

pytestmark = pytest.mark.analytic

DTYPES = ("fp32", "fp16", "bf16", "int8")


@pytest.mark.parametrize(
    ("key", "fp32", "fp16", "bf16", "int8", "gb_per_s"),
    [
        ("t4", 8.1, 65.1, None, 130, 320),
        ("l4", 30.3, 121, 121, 242, 300),
        ("a10g", 35, 70, 70, 140, 600),
        ("a100-40-sxm", 19.5, 312, 312, 624, 1555),
        ("a100-80-sxm", 19.5, 312, 312, 624, 2039),
        ("h100-pcie", 51.2, 756, 756, 1513, 2039),
        ("h100-sxm", 66.9, 989.4, 989.4, 1979, 3350),
        ("h200", 66.9, 989.4, 989.4, 1979, 4800),
    ],
)
def test_dense_peaks_and_bandwidth(  # noqa: PLR0917 - a row of the table
    key: str, fp32: float, fp16: float, bf16: float | None, int8: float, gb_per_s: float
) -> None:
    """TFLOP/s without sparsity, as the datasheets give them or halved."""
    gpu = find_gpu(key)

    for dtype, tera in zip(DTYPES, (fp32, fp16, bf16, int8), strict=True):
        assert gpu.flops_per_s.get(dtype) == (pytest.approx(tera * 1e12) if tera else None)
    assert gpu.bytes_per_s == pytest.approx(gb_per_s * 1e9)


# FLOP per clock and SM, and the boost clock at which the datasheet counts. The
# H100 PCIe is left out: its published peak belongs to no published clock.
@pytest.mark.parametrize(
    ("key", "dtype", "per_clock", "mhz"),
    [
        ("t4", "fp16", 1024, 1590),
        ("t4", "int8", 2048, 1590),
        ("t4", "fp32", 128, 1590),
        ("l4", "fp16", 1024, 2040),
        ("l4", "int8", 2048, 2040),
        ("l4", "fp32", 256, 2040),
        ("a10g", "fp16", 512, 1710),
        ("a10g", "fp32", 256, 1710),
        ("a100-40-sxm", "fp16", 2048, 1410),
        ("a100-80-sxm", "int8", 4096, 1410),
        ("a100-80-sxm", "fp32", 128, 1410),
        ("h100-pcie", "fp32", 256, 1755),
        ("h100-sxm", "fp16", 4096, 1830),
        ("h100-sxm", "int8", 8192, 1830),
        ("h100-sxm", "fp32", 256, 1980),
        ("h200", "fp16", 4096, 1830),
    ],
)
def test_peak_is_units_times_clock(key: str, dtype: str, per_clock: int, mhz: float) -> None:
    """The peak by another road: SMs x FLOP per clock and SM x clock, within 1 %."""
    gpu = find_gpu(key)

    assert gpu.flops_per_s[dtype] == pytest.approx(gpu.sm_count * per_clock * mhz * 1e6, rel=0.01)


@pytest.mark.parametrize(
    ("key", "bus_bits", "gbit_per_pin"), [("t4", 256, 10.002), ("l4", 192, 12.5), ("a10g", 384, 12.5)]
)
def test_bandwidth_is_bus_times_rate(key: str, bus_bits: int, gbit_per_pin: float) -> None:
    assert find_gpu(key).bytes_per_s == pytest.approx(bus_bits * gbit_per_pin * 1e9 / 8, rel=0.01)


@pytest.mark.parametrize(
    ("key", "sms", "gigabytes", "l2_mib", "capability"),
    [
        ("t4", 40, 16, 4, (7, 5)),
        ("l4", 58, 24, 48, (8, 9)),
        ("a10g", 80, 24, 6, (8, 6)),
        ("a100-40-sxm", 108, 40, 40, (8, 0)),
        ("h100-sxm", 132, 80, 50, (9, 0)),
        ("h200", 132, 141, 60, (9, 0)),
    ],
)
def test_the_chip_behind_the_name(
    key: str, sms: int, gigabytes: float, l2_mib: int, capability: tuple[int, int]
) -> None:
    gpu = find_gpu(key)

    assert (gpu.sm_count, gpu.memory_bytes, gpu.l2_bytes, gpu.compute_capability) == (
        sms,
        gigabytes * 1e9,
        l2_mib * 2**20,
        capability,
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("H100", ("h100-sxm", "h100-pcie")),
        ("A100", ("a100-40-sxm", "a100-80-sxm")),
        ("t4x", ("t4",)),
        ("NVIDIA L40S", ("NVIDIA L4",)),
        ("NVIDIA A10", ("NVIDIA A10G",)),
        ("NVIDIA H100 80GB", ("NVIDIA H100 80GB HBM3",)),
    ],
)
def test_a_near_match_is_an_error_that_names_it(name: str, nearest: tuple[str, ...]) -> None:
    """L40S is no L4 and A10 no A10G; H100 alone means three chips."""
    with pytest.raises(SpecError, match=f"unknown GPU '{name}'") as error:
        find_gpu(name)

    hint = re.search(r"Nearest: (.*?)\. Known", str(error.value))
    assert hint is not None
    assert set(nearest) <= set(hint[1].split(", "))


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(SpecError, match=r"unknown GPU 'zzz'\. Known: .*h100-sxm.*t4"):
        find_gpu("zzz")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Tesla T4", "t4"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA A100-SXM4-80GB", "a100-80-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H200", "h200"),
        ("nvidia l4", "l4"),
        (" T4 ", "t4"),
        ("H100-SXM", "h100-sxm"),
    ],
)
def test_names_of_torch_and_keys_resolve_in_any_case(name: str, key: str) -> None:
    assert find_gpu(name).key == key


def test_every_name_means_one_gpu() -> None:
    names = [name.casefold() for gpu in registry() for name in (gpu.key, *gpu.torch_names)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("gpu", registry(), ids=lambda gpu: gpu.key)
def test_every_row_is_complete(gpu: object) -> None:
    """A source, a torch name, positive numbers in SI units, and a plausible scale."""
    assert len(gpu.source) > 20
    assert all(gpu.torch_names)
    assert set(gpu.flops_per_s) <= set(DTYPES)
    assert {"fp32", "fp16", "int8"} <= set(gpu.flops_per_s)
    assert all(1e12 < peak < 1e16 for peak in gpu.flops_per_s.values())
    assert 1e11 < gpu.bytes_per_s < 1e13
    assert 8e9 <= gpu.memory_bytes < 1e12
    assert 2**20 <= gpu.l2_bytes < 2**28


@pytest.mark.parametrize("gpu", registry(), ids=lambda gpu: gpu.key)
def test_int8_is_twice_fp16(gpu: object) -> None:
    """A row that mixed a sparse figure with a dense one would break the ratio."""
    assert gpu.flops_per_s["int8"] == pytest.approx(2 * gpu.flops_per_s["fp16"], rel=0.002)


def test_bf16_on_a_t4_is_refused_with_the_reason() -> None:
    gpu = find_gpu("t4")

    assert not gpu.supports("bf16")
    with pytest.raises(SpecError, match=r"t4 \(Turing TU104\) has no bf16 units.*emulated.*It has: fp16"):
        gpu.require("bf16")


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_what_the_t4_has_is_not_refused(dtype: str) -> None:
    find_gpu("t4").require(dtype)
