"""The registry of GPUs: dense peaks with their sources, and exact names."""

import csv
import re

import pytest

from analytic import GpuSpec, SpecError, find_gpu, registry
from analytic.gpu_file import COLUMNS
from analytic.gpus import TABLE, check_device

pytestmark = pytest.mark.analytic

DTYPES = ("fp32", "fp16", "bf16", "int8", "fp8")

# Their units add up fp16 products in fp32, as PyTorch has it, at half their rate.
GEFORCE = ("rtx-2080-ti", "rtx-3090", "rtx-4090", "rtx-5090")

EVERY_GPU = pytest.mark.parametrize("gpu", registry(), ids=lambda gpu: gpu.key)


@pytest.mark.parametrize(
    ("key", "gb_per_s", "tera"),
    [
        ("v100-16-sxm", 900, (15.7, 125.3, None, None, None)),
        ("v100-32-pcie", 900, (14.0, 112, None, None, None)),
        ("t4", 320, (8.1, 65.1, None, 130, None)),
        ("rtx-2080-ti", 616, (14.2, 56.9, None, 227.7, None)),
        ("a10", 600, (31.2, 125, 125, 250, None)),
        ("a10g", 600, (35, 70, 70, 140, None)),
        ("a30", 933, (10.3, 165, 165, 330, None)),
        ("a40", 696, (37.4, 149.7, 149.7, 299.3, None)),
        ("rtx-3090", 936, (35.6, 71, 71, 284, None)),
        ("a100-40-sxm", 1555, (19.5, 312, 312, 624, None)),
        ("a100-40-pcie", 1555, (19.5, 312, 312, 624, None)),
        ("a100-80-sxm", 2039, (19.5, 312, 312, 624, None)),
        ("a100-80-pcie", 1935, (19.5, 312, 312, 624, None)),
        ("l4", 300, (30.3, 121, 121, 242, 242)),
        ("l40s", 864, (91.6, 362, 362, 733, 733)),
        ("rtx-4090", 1008, (82.6, 165.2, 165.2, 660.6, 330.3)),
        ("h100-pcie", 2039, (51.2, 756, 756, 1513, 1513)),
        ("h100-sxm", 3350, (66.9, 989.4, 989.4, 1979, 1979)),
        ("h100-nvl", 3938, (60, 835.5, 835.5, 1671, 1671)),
        ("h200", 4800, (66.9, 989.4, 989.4, 1979, 1979)),
        ("gh200-96", 4000, (66.9, 989.4, 989.4, 1979, 1979)),
        ("gh200-144", 4900, (66.9, 989.4, 989.4, 1979, 1979)),
        ("b200", 8000, (75, 2250, 2250, 4500, 4500)),
        ("rtx-5090", 1792, (104.8, 209.5, 209.5, 838, 419)),
        ("mi250x", 1638, (47.9, 191.5, 191.5, 191.5, None)),
        ("mi300x", 5300, (163.4, 1307.4, 1307.4, 2614.9, 2614.9)),
    ],
)
def test_dense_peaks_and_bandwidth(key: str, gb_per_s: float, tera: tuple[float | None, ...]) -> None:
    """TFLOP/s without sparsity, as the datasheets give them or halved."""
    gpu = find_gpu(key)

    for dtype, peak in zip(DTYPES, tera, strict=True):
        assert gpu.flops_per_s.get(dtype) == (pytest.approx(peak * 1e12) if peak else None)
    assert gpu.bytes_per_s == pytest.approx(gb_per_s * 1e9)


# FLOP per clock and SM, and the boost clock at which the datasheet counts. Left
# out are peaks that belong to no published clock: fp16 of the H100 PCIe and NVL,
# of the B200 and of the L40S.
@pytest.mark.parametrize(
    ("key", "dtype", "per_clock", "mhz"),
    [
        ("v100-16-sxm", "fp16", 1024, 1530),
        ("v100-32-sxm", "fp32", 128, 1530),
        ("v100-16-pcie", "fp16", 1024, 1380),
        ("v100-32-pcie", "fp32", 128, 1380),
        ("rtx-2080-ti", "fp16", 512, 1635),
        ("rtx-2080-ti", "int8", 2048, 1635),
        ("rtx-2080-ti", "fp32", 128, 1635),
        ("a10", "fp16", 1024, 1695),
        ("a10", "int8", 2048, 1695),
        ("a10", "fp32", 256, 1695),
        ("a30", "fp16", 2048, 1440),
        ("a30", "int8", 4096, 1440),
        ("a30", "fp32", 128, 1440),
        ("a40", "fp16", 1024, 1740),
        ("a40", "int8", 2048, 1740),
        ("a40", "fp32", 256, 1740),
        ("rtx-3090", "fp16", 512, 1695),
        ("rtx-3090", "int8", 2048, 1695),
        ("rtx-3090", "fp32", 256, 1695),
        ("a100-40-pcie", "fp16", 2048, 1410),
        ("a100-80-pcie", "int8", 4096, 1410),
        ("l40s", "int8", 2048, 2520),
        ("l40s", "fp8", 2048, 2520),
        ("l40s", "fp32", 256, 2520),
        ("rtx-4090", "fp16", 512, 2520),
        ("rtx-4090", "int8", 2048, 2520),
        ("rtx-4090", "fp8", 1024, 2520),
        ("rtx-4090", "fp32", 256, 2520),
        ("h100-nvl", "fp32", 256, 1785),
        ("gh200-96", "fp16", 4096, 1830),
        ("gh200-144", "int8", 8192, 1830),
        ("b200", "fp32", 256, 1965),
        ("rtx-5090", "fp16", 512, 2407),
        ("rtx-5090", "int8", 2048, 2407),
        ("rtx-5090", "fp8", 1024, 2407),
        ("rtx-5090", "fp32", 256, 2407),
        ("mi250x", "fp16", 1024, 1700),
        ("mi250x", "fp32", 256, 1700),
        ("mi300x", "fp16", 2048, 2100),
        ("mi300x", "int8", 4096, 2100),
        ("mi300x", "fp8", 4096, 2100),
        ("mi300x", "fp32", 256, 2100),
        ("l4", "fp8", 2048, 2040),
        ("h100-sxm", "fp8", 8192, 1830),
        ("h200", "int8", 8192, 1830),
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
    ("key", "bus_bits", "gbit_per_pin"),
    [
        ("t4", 256, 10.002),
        ("l4", 192, 12.5),
        ("a10g", 384, 12.5),
        ("v100-32-sxm", 4096, 1.755),
        ("rtx-2080-ti", 352, 14),
        ("rtx-3090", 384, 19.5),
        ("rtx-4090", 384, 21),
        ("rtx-5090", 512, 28),
    ],
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
        ("v100-16-pcie", 80, 16, 6, (7, 0)),
        ("v100-32-sxm", 80, 32, 6, (7, 0)),
        ("rtx-2080-ti", 68, 11, 5.5, (7, 5)),
        ("a30", 56, 24, 24, (8, 0)),
        ("a100-80-pcie", 108, 80, 40, (8, 0)),
        ("l40s", 142, 48, 96, (8, 9)),
        ("gh200-96", 132, 96, 60, (9, 0)),
        ("b200", 148, 180, 126, (10, 0)),
        ("rtx-5090", 170, 32, 96, (12, 0)),
        ("mi250x", 110, 64, 8, (9, 0)),
        ("mi300x", 304, 192, 256, (9, 4)),
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
        ("H100", ("h100-sxm", "h100-pcie", "h100-nvl")),
        ("A100", ("a100-40-sxm", "a100-80-sxm", "a100-40-pcie", "a100-80-pcie")),
        ("v100", ("v100-16-sxm", "v100-32-sxm", "v100-16-pcie", "v100-32-pcie")),
        ("Tesla V100", ("Tesla V100-SXM2-16GB", "Tesla V100-PCIE-32GB")),
        ("gh200", ("gh200-96", "gh200-144")),
        ("t4x", ("t4",)),
        ("NVIDIA L40", ("NVIDIA L40S",)),
        ("NVIDIA L4S", ("NVIDIA L40S", "NVIDIA L4")),
        ("NVIDIA A100", ("NVIDIA A100-SXM4-40GB", "NVIDIA A100 80GB PCIe")),
        ("NVIDIA H100 80GB", ("NVIDIA H100 80GB HBM3",)),
    ],
)
def test_a_near_match_is_an_error_that_names_it(name: str, nearest: tuple[str, ...]) -> None:
    """L40 is no L40S and A2 no A10; H100 alone means three chips."""
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
        ("NVIDIA A10", "a10"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("GeForce RTX 2080 Ti", "rtx-2080-ti"),
        ("NVIDIA GeForce RTX 2080 Ti", "rtx-2080-ti"),
        ("NVIDIA A100-PCIE-40GB", "a100-40-pcie"),
        ("NVIDIA A100 80GB PCIe", "a100-80-pcie"),
        ("NVIDIA GH200 480GB", "gh200-96"),
        ("AMD Instinct MI300X", "mi300x"),
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


@EVERY_GPU
def test_every_row_is_complete(gpu: GpuSpec) -> None:
    """A source, a torch name, positive numbers in SI units, and a plausible scale."""
    assert len(gpu.source) > 20
    assert gpu.torch_names
    assert all(gpu.torch_names)
    assert set(gpu.flops_per_s) <= set(DTYPES)
    assert {"fp32", "fp16"} <= set(gpu.flops_per_s)
    assert all(1e12 < peak < 1e16 for peak in gpu.flops_per_s.values())
    assert 1e11 < gpu.bytes_per_s < 1e13
    assert 8e9 <= gpu.memory_bytes < 1e12
    assert 0.9 * gpu.memory_bytes <= gpu.usable_bytes <= gpu.memory_bytes
    assert 2**20 <= gpu.l2_bytes <= 2**28


def test_the_table_has_the_columns_of_a_file_of_ones_own() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)

    assert set(header) == set(COLUMNS)
    assert {len(row) for row in rows} == {len(header)}
    assert len(rows) == len({row[0] for row in rows}) == len(registry())


@EVERY_GPU
def test_the_ratios_between_dtypes(gpu: GpuSpec) -> None:
    """A row that mixed a sparse figure with a dense one would break them: bf16 is
    as fast as fp16, fp8 twice and int8 twice that; GeForce halves what adds up
    in fp32, and CDNA2 multiplies int8 no faster than fp16."""
    peaks = gpu.flops_per_s
    twice = {"mi250x": 1} | dict.fromkeys(GEFORCE, 4)

    assert peaks.get("bf16", peaks["fp16"]) == peaks["fp16"]
    # The L40S's printed fp16 belongs to a clock 1 % below that of its other peaks.
    assert peaks.get("fp8", 2 * peaks["fp16"]) == pytest.approx(2 * peaks["fp16"], rel=0.015)
    if "int8" in peaks:
        assert peaks["int8"] == pytest.approx(twice.get(gpu.key, 2) * peaks["fp16"], rel=0.015)


@EVERY_GPU
def test_units_come_with_their_generation(gpu: GpuSpec) -> None:
    """bf16 from Ampere on, int8 from Turing on, fp8 from Ada on and on CDNA3."""
    nvidia = not gpu.arch.startswith("CDNA")

    if nvidia:
        assert gpu.supports("int8") == (gpu.compute_capability >= (7, 5))
        assert gpu.supports("bf16") == (gpu.compute_capability >= (8, 0))
        assert gpu.supports("fp8") == (gpu.compute_capability >= (8, 9))
    else:
        assert gpu.supports("fp8") == (gpu.key == "mi300x")


def test_two_figures_are_told_in_a_note() -> None:
    assert "7700 (HGX) against 8000 (DGX)" in find_gpu("b200").note
    assert find_gpu("a30").note == ""


def test_what_a_t4_may_hold_is_known_and_else_it_is_a_share() -> None:
    """14992 MiB are free on a T4; elsewhere the nominal size less 5 %."""
    assert find_gpu("t4").usable_bytes == pytest.approx(14992 * 2**20, rel=1e-3)
    assert find_gpu("h100-sxm").usable_bytes == pytest.approx(0.95 * 80e9)


# What torch, deviceQuery or nvidia-smi report of whole cards.
@pytest.mark.parametrize(
    ("key", "sms", "memory_bytes"),
    [
        ("t4", 40, 15_110 * 2**20),
        ("t4", 40, 15_000_000_000),
        ("a10g", 80, 22_587 * 2**20),
        ("h100-sxm", 132, 85_017_493_504),
        ("h200", 132, 150_100_000_000),
        ("mi300x", 304, 192 * 2**30),
        ("b200", 148, 192_000_000_000),
    ],
)
def test_a_whole_card_is_what_it_is_called(key: str, sms: int, memory_bytes: int) -> None:
    check_device(find_gpu(key), sm_count=sms, memory_bytes=memory_bytes)


@EVERY_GPU
def test_half_a_card_is_refused_and_gib_for_gb_is_not(gpu: GpuSpec) -> None:
    """Torch's bytes are at most the sold GB taken as GiB; three quarters are no card."""
    gib = int(gpu.memory_bytes / 1e9 * 2**30)
    check_device(gpu, sm_count=gpu.sm_count, memory_bytes=gib)

    for part in (gib // 2, gib * 3 // 4, 2 * gib):
        with pytest.raises(SpecError, match="GB of memory where"):
            check_device(gpu, sm_count=gpu.sm_count, memory_bytes=part)


@pytest.mark.parametrize(
    ("sms", "memory_bytes", "words"),
    [
        (16, 85_017_493_504, ("16 SMs where 132 are right",)),
        (132, 10 * 10**9, ("10.0 GB of memory where 72.0 to 86.4 GB are right (sold as 80 GB)",)),
        (16, 10 * 10**9, ("16 SMs where 132", " and 10.0 GB of memory where 72.0")),
        (0, 0, ("0 SMs", "0.0 GB")),
    ],
)
def test_a_part_of_a_card_is_told_with_both_numbers(
    sms: int, memory_bytes: int, words: tuple[str, ...]
) -> None:
    with pytest.raises(SpecError, match="a MIG slice, a vGPU or a namesake") as error:
        check_device(find_gpu("h100-sxm"), sm_count=sms, memory_bytes=memory_bytes)

    assert all(word in str(error.value) for word in words)
    assert "a whole h100-sxm is needed" in str(error.value)


@pytest.mark.parametrize("name", ["NVIDIA H100 80GB HBM3 MIG 1g.10gb", "nvidia a100-sxm4-40gb mig 3g.20gb"])
def test_a_mig_slice_is_called_one(name: str) -> None:
    with pytest.raises(SpecError, match=r"is a MIG slice: it has a part .*; a whole card is needed"):
        find_gpu(name)


def test_bf16_on_a_t4_is_refused_with_the_reason() -> None:
    gpu = find_gpu("t4")

    assert not gpu.supports("bf16")
    with pytest.raises(SpecError, match=r"t4 \(Turing TU104\) has no bf16 units; it has: fp16.*emulated"):
        gpu.require("bf16")


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_what_the_t4_has_is_not_refused(dtype: str) -> None:
    find_gpu("t4").require(dtype)
