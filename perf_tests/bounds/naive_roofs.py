"""Naive errors about roofs: units, peaks, launches, caches."""

from dataclasses import replace

from analytic import find_gpu, find_precision, least_s, load_model, pass_bound
from analytic.estimate import estimate
from analytic.passes import Pass
from perf_tests.bounds.naive_record import MISTRAL, NaiveError, Size, bound, decode, prefill

T4, H100 = find_gpu("t4"), find_gpu("h100-sxm")
FP16 = find_precision("fp16")
GIB_PER_GB = 2**30 / 1e9


def errors() -> tuple[NaiveError, ...]:
    return (_units(), _peaks(), _launches(), _l2(), _above_the_roof())


def _units() -> NaiveError:
    step = decode(MISTRAL, 128)
    return NaiveError(
        number=9,
        error="A datasheet's GB/s is taken for GiB/s, or its GB for GiB.",
        seen_in="GenZ (bandwidth times 2^30); llm-analysis (memory times 1024^3)",
        correct="1e9 for bandwidth and sizes; GiB is another unit and called so",
        sizes=(
            Size(
                of="Mistral-7B, decode at 128 on a T4, bound",
                unit="s",
                right=bound(step, T4).lower_s,
                naive=step.bytes / (T4.bytes_per_s * GIB_PER_GB),
                too="low",
            ),
            Size(
                of="a T4's bandwidth",
                unit="B/s",
                right=T4.bytes_per_s,
                naive=T4.bytes_per_s * GIB_PER_GB,
                too="high",
            ),
        ),
        guards=(
            "bounds/test_gpus.py::test_dense_peaks_and_bandwidth",
            "bounds/test_traffic.py::test_decode_floor_at_512",
        ),
    )


def _peaks() -> NaiveError:
    prompt = prefill(MISTRAL, 2048)
    sparse = replace(H100.roofs, flops_per_s={k: 2 * v for k, v in H100.flops_per_s.items()})
    a10g = find_gpu("a10g")
    another = replace(a10g.roofs, flops_per_s=find_gpu("a10").flops_per_s)
    return NaiveError(
        number=10,
        error="A peak is the one with sparsity, or that of a namesake.",
        seen_in="H100 PCIe 1513 for 756, GenZ's GH200 1979, L4 242 for 121 TFLOP/s; A10G 125 for 70 "
        "(torch-performance-test-data#126: 69.5 measured); LLM-Viewer's H100 3072 GB/s",
        correct="Dense, by dtype, with its source; none where a chip has no units (a T4 has none for bf16); "
        "exact names only",
        sizes=(
            Size(
                of="Mistral-7B, prefill of 2048 on an H100, bound with sparsity",
                unit="s",
                right=bound(prompt, H100).lower_s,
                naive=pass_bound(prompt, sparse).lower_s,
                too="low",
            ),
            Size(
                of="on an A10G, bound at an A10's peak",
                unit="s",
                right=bound(prompt, a10g).lower_s,
                naive=pass_bound(prompt, another).lower_s,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_gpus.py::test_dense_peaks_and_bandwidth",
            "bounds/test_gpus.py::test_peak_is_units_times_clock",
            "bounds/test_gpus.py::test_bf16_on_a_t4_is_refused_with_the_reason",
        ),
    )


def _launches() -> NaiveError:
    shape = Pass(batch=1, new_tokens=1, context_len=512)
    guess = estimate(MISTRAL, shape, FP16, H100)
    return NaiveError(
        number=26,
        error="Launching kernels costs nothing.",
        seen_in="all",
        correct="A third roof, launches times the host's time for one, and a regime of that name",
        sizes=(
            Size(
                of=f"Mistral-7B, decode at 512 on an H100, {guess.launches:,} launches (estimated wall)",
                unit="s",
                right=guess.wall.typical_s,
                naive=bound(decode(MISTRAL, 512), H100).lower_s,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_naive_errors.py::test_eager_decode_on_a_fast_gpu_waits_for_its_launches",
            "bounds/test_notebook_errors.py::test_a_step_that_waits_for_the_host_is_not_memory_bound",
        ),
    )


def _l2() -> NaiveError:
    step = decode(load_model("gpt2"), 512, precision="int8")
    return NaiveError(
        number=27,
        error="No pass is faster than its bytes through the memory bus, even where a cache holds them.",
        seen_in="most",
        correct="A measurement is impossible only below least_s, which takes the L2's size off the bytes",
        sizes=(
            Size(
                of="GPT-2 in int8, decode at 512 on an H100 (50 MiB of L2)",
                unit="s",
                right=least_s([step], H100.roofs, cache_bytes=H100.l2_bytes),
                naive=bound(step, H100).lower_s,
                too="high",
            ),
        ),
        guards=(
            "bounds/test_bound.py::test_least_time_subtracts_the_cache",
            "selftests/test_verdict_rules.py::TestImpossible::test_less_what_the_l2_can_hold",
        ),
    )


def _above_the_roof() -> NaiveError:
    nf4, fp16 = decode(MISTRAL, 512, precision="nf4"), decode(MISTRAL, 512)
    floor_s = bound(nf4, T4).lower_s
    return NaiveError(
        number=31,
        error="A point above its roof is accepted, and what moves no bytes has an intensity.",
        seen_in="LLM-Viewer (division by zero bytes)",
        correct="Above the roof a unit or a peak is wrong: the verdict is impossible",
        sizes=(
            Size(
                of="an NF4 step at its own floor on a T4, held against fp16 bytes",
                unit="B/s",
                right=nf4.bytes / floor_s,
                naive=fp16.bytes / floor_s,
                too="high",
            ),
        ),
        guards=(
            "bounds/test_notebook_errors.py::test_nothing_measured_faster_than_the_weights_can_be_read",
            "bounds/test_bound.py::test_limiter_flips_at_the_ridge_point",
            "selftests/test_verdict_rules.py::TestImpossible::test_a_measured_record_at_0_3_of_its_time",
        ),
    )
