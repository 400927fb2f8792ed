"""The roofline bound: which roof limits, by how much, and how it scales."""

import pytest

from analytic import (
    PRECISIONS,
    Bound,
    Case,
    Ceilings,
    Cost,
    Operator,
    Phase,
    Roofs,
    SpecError,
    case_costs,
    find_gpu,
    find_precision,
    least_s,
    load_model,
    mbu,
    merged,
    mfu,
    pass_bound,
    pass_cost,
    registry,
    sequence_bound,
)

pytestmark = pytest.mark.analytic

MISTRAL = load_model("mistral-7b-v0.1")
T4, H100 = find_gpu("t4"), find_gpu("h100-sxm")
PREFILL_512, DECODE_512 = (512, 0), (1, 512)

# Of a Mistral-7B prefill of 512 tokens, counted by hand.
LINEAR_FLOPS = 7_146_825_580_544  # 2 x 512 x 6,979,321,856
ATTENTION_FLOPS = 137_438_953_472  # 4 x 4096 x 512 x 512 x 32
LM_HEAD_FLOPS = 262_144_000  # 2 x 4096 x 32000, one row


def cost_of(pass_: tuple[int, int], precision: str = "fp16", *, batch: int = 1) -> Cost:
    new, cached = pass_
    return pass_cost(
        MISTRAL, batch=batch, new_tokens=new, context_len=cached, precision=find_precision(precision)
    )


def cost_by_hand(*operators: tuple[int, int]) -> Cost:
    """A pass of operators of these FLOPs and bytes, all of them weights."""
    ops = tuple(
        Operator(
            name=f"op{number}",
            count=1,
            math="fp16",
            flops=flops,
            weight_bytes=moved,
            kv_bytes=0,
            kv_written_bytes=0,
            fused_bytes=moved,
        )
        for number, (flops, moved) in enumerate(operators)
    )
    return Cost(batch=1, new_tokens=1, context_len=0, math="fp16", operators=ops)


def single(*, flops: int, moved: int) -> Cost:
    """A pass of one operator."""
    return cost_by_hand((flops, moved))


def roofs(*, flops_per_s: float = 1000.0, bytes_per_s: float = 10.0) -> Roofs:
    return Roofs(label="test", bytes_per_s=bytes_per_s, flops_per_s={"fp16": flops_per_s})


def test_h100_prefill_is_compute_bound() -> None:
    bound = pass_bound(cost_of(PREFILL_512), H100.roofs)

    assert bound.limiter == "compute"
    assert bound.lower_s == pytest.approx(7.363e-3, rel=1e-4)


def able(*precisions: str) -> list[tuple[str, str]]:
    """Every GPU of the registry with each of the precisions that it has units for."""
    return [
        (gpu.key, name)
        for gpu in registry()
        for name in precisions
        if all(map(gpu.supports, find_precision(name).dtypes))
    ]


@pytest.mark.parametrize(("gpu", "precision"), able("fp16", "int8", "nf4", "nf4-dq"))
def test_decode_at_batch_1_is_memory_bound(gpu: str, precision: str) -> None:
    bound = pass_bound(cost_of(DECODE_512, precision), find_gpu(gpu).roofs)

    assert bound.limiter == "memory"
    assert bound.lower_s == bound.memory_s


@pytest.mark.parametrize(("gpu", "precision"), able(*PRECISIONS))
@pytest.mark.parametrize("pass_", [PREFILL_512, DECODE_512, (128, 0), (16, 64)])
@pytest.mark.parametrize("batch", [1, 16])
def test_overlap_is_never_slower_than_none(
    gpu: str, precision: str, pass_: tuple[int, int], batch: int
) -> None:
    """max(compute, memory) = lower_s <= serial_s <= compute_s + memory_s."""
    bound = pass_bound(cost_of(pass_, precision, batch=batch), find_gpu(gpu).roofs)

    assert bound.lower_s == max(bound.compute_s, bound.memory_s)
    assert bound.lower_s <= bound.serial_s
    assert bound.serial_s <= (bound.compute_s + bound.memory_s) * (1 + 1e-12)


def test_serial_sums_the_maxima_of_the_operators() -> None:
    """One operator of 3 s compute and 1 s memory, one of 1 s and 2 s: 5 s, not 4."""
    bound = pass_bound(cost_by_hand((3000, 10), (1000, 20)), roofs())

    assert (bound.compute_s, bound.memory_s) == (4.0, 3.0)
    assert (bound.lower_s, bound.serial_s) == (4.0, 5.0)


@pytest.mark.parametrize(("flops", "limiter"), [(99_999, "memory"), (100_001, "compute")])
def test_limiter_flips_at_the_ridge_point(flops: int, limiter: str) -> None:
    """Roofs that meet at 100 FLOP/byte, a pass of 1000 bytes just beside it."""
    bound = pass_bound(single(flops=flops, moved=1000), roofs())

    assert bound.ridge_point == 100.0
    assert bound.limiter == limiter


def test_intensity_and_attainable_rate() -> None:
    """Below the ridge point the memory roof sets the rate: intensity x bandwidth."""
    bound = pass_bound(single(flops=5000, moved=1000), roofs())

    assert bound.intensity == 5.0
    assert bound.attainable_flops_per_s == 50.0
    assert bound.attainable_flops_per_s == roofs().attainable(5.0, "fp16")


def test_attainable_is_flat_past_the_ridge_point() -> None:
    assert roofs().attainable(101.0, "fp16") == 1000.0
    assert pass_bound(single(flops=101_000, moved=1000), roofs()).attainable_flops_per_s == 1000.0


@pytest.mark.parametrize(("gpu", "ridge"), [(T4, 203.44), (H100, 295.34)])
def test_ridge_point_in_fp16(gpu: object, ridge: float) -> None:
    assert gpu.roofs.ridge_point("fp16") == pytest.approx(ridge, abs=5e-3)


def test_bound_carries_the_totals_of_its_cost() -> None:
    bound = pass_bound(cost_of(PREFILL_512), H100.roofs)

    assert bound.flops == 7_284_526_678_016
    assert bound.bytes == 14_292_623_360
    assert bound.intensity == pytest.approx(509.67, abs=5e-3)


def test_mfu_is_flops_over_time_and_peak() -> None:
    assert mfu(flops=300, time_s=2.0, peak_flops_per_s=1000.0) == 0.15


def test_mbu_is_bytes_over_time_and_peak() -> None:
    assert mbu(moved_bytes=300, time_s=2.0, peak_bytes_per_s=1000.0) == 0.15


@pytest.mark.parametrize("precision", ["nf4", "nf4-dq"])
def test_nf4_is_computed_in_the_compute_dtype(precision: str) -> None:
    """4-bit weights are dequantised, then multiplied on the fp16 units: no int4 peak."""
    bound = pass_bound(cost_of(PREFILL_512, precision), T4.roofs)

    assert bound.compute_s == pytest.approx(7_284_526_678_016 / 65.1e12, rel=1e-12)
    assert bound.ridge_point == pytest.approx(203.44, abs=5e-3)


def test_nf4_computed_in_fp32_has_the_fp32_roof() -> None:
    """The default of bitsandbytes: no tensor cores, an eighth of the rate on a T4.
    Attention and lm_head are no part of it: their modules stay in fp16."""
    cost = pass_cost(
        MISTRAL,
        batch=1,
        new_tokens=512,
        context_len=0,
        precision=find_precision("nf4", compute="fp32"),
    )

    expected = LINEAR_FLOPS / 8.1e12 + (ATTENTION_FLOPS + LM_HEAD_FLOPS) / 65.1e12

    assert pass_bound(cost, T4.roofs).compute_s == pytest.approx(expected, rel=1e-12)


def test_int8_linears_use_the_int8_peak_and_the_rest_fp16() -> None:
    bound = pass_bound(cost_of(PREFILL_512, "int8"), H100.roofs)
    expected = LINEAR_FLOPS / 1979e12 + (ATTENTION_FLOPS + LM_HEAD_FLOPS) / 989.4e12

    assert bound.compute_s == pytest.approx(expected, rel=1e-12)
    assert bound.ridge_point == pytest.approx(1979e12 / 3350e9)


def test_a_dtype_without_a_roof_is_refused() -> None:
    """No silent fallback to another dtype's peak."""
    with pytest.raises(SpecError, match="t4 datasheet has no bf16 compute roof; it has: fp16, fp32, int8"):
        pass_bound(cost_of(DECODE_512, "bf16"), T4.roofs)


def test_least_time_subtracts_the_cache() -> None:
    """1000 bytes at 10 B/s, 400 of them possibly still in the L2: 60 s."""
    assert least_s([single(flops=0, moved=1000)], roofs(), cache_bytes=400) == 60.0


def test_least_time_never_goes_below_compute() -> None:
    """A cache that holds everything leaves the arithmetic: 5 s."""
    assert least_s([single(flops=5000, moved=1000)], roofs(), cache_bytes=10**9) == 5.0


def test_least_time_is_never_negative() -> None:
    assert least_s([single(flops=0, moved=1000)], roofs(), cache_bytes=2000) == 0.0


def test_least_time_without_a_cache_is_the_lower_bound() -> None:
    cost = cost_of(DECODE_512)

    assert least_s([cost], H100.roofs, cache_bytes=0) == pass_bound(cost, H100.roofs).lower_s


def test_least_time_subtracts_the_cache_from_every_pass() -> None:
    assert least_s([single(flops=0, moved=1000)] * 3, roofs(), cache_bytes=400) == 180.0


def generate(*, prompt: int, output: int) -> tuple[Cost, ...]:
    case = Case(
        model=MISTRAL.name,
        phase=Phase.GENERATE,
        batch=1,
        length=prompt,
        output_len=output,
        precision="fp16",
    )
    return case_costs(MISTRAL, case, find_precision("fp16"))


def test_generate_is_a_prefill_and_decode_steps_on_a_growing_cache() -> None:
    """32 tokens from a prompt of 128: the prefill yields the first, 31 steps the rest."""
    costs = generate(prompt=128, output=32)

    assert [(c.new_tokens, c.context_len) for c in costs] == [(128, 0), *((1, n) for n in range(128, 159))]


def test_generate_flops_in_closed_form() -> None:
    """The keys attended to sum to an arithmetic series: 129 + ... + 159 = 4464."""
    prefill, step_without_attention = 1_795_558_473_728, 14_220_787_712
    series = 31 * (129 + 159) // 2
    expected = prefill + 31 * step_without_attention + 4 * 32 * 128 * 32 * series

    assert sequence_bound(generate(prompt=128, output=32), H100.roofs).flops == expected


def test_sequence_bound_is_the_sum_of_its_passes() -> None:
    """A compute-bound prefill does not hide under memory-bound decode steps."""
    costs = generate(prompt=512, output=3)
    passes = [pass_bound(cost, H100.roofs) for cost in costs]
    bound = sequence_bound(costs, H100.roofs)

    for field in ("compute_s", "memory_s", "lower_s", "serial_s", "flops", "bytes"):
        total = sum(getattr(one, field) for one in passes)
        assert getattr(bound, field) == pytest.approx(total, rel=1e-12)
    assert bound.lower_s > max(bound.compute_s, bound.memory_s)


def test_merged_passes_keep_every_flop_and_byte() -> None:
    """Operator by operator, so that the sum can be shown as one table."""
    costs = generate(prompt=512, output=3)
    whole = merged(costs)

    assert (whole.flops, whole.bytes) == (sum(c.flops for c in costs), sum(c.bytes for c in costs))
    assert (whole.batch, whole.new_tokens, whole.context_len) == (1, 514, 0)
    assert [(op.name, op.count) for op in whole.operators] == [
        (op.name, 3 * op.count) for op in costs[0].operators
    ]
    for index, op in enumerate(whole.operators):
        same = [cost.operators[index] for cost in costs]
        assert op.flops == sum(o.flops for o in same)
        assert op.weight_bytes == sum(o.weight_bytes for o in same)
        assert op.kv_bytes == sum(o.kv_bytes for o in same)


def test_prefill_and_decode_cases_are_one_pass() -> None:
    precision = find_precision("fp16")
    passes = [
        case_costs(
            MISTRAL,
            Case(model=MISTRAL.name, phase=phase, batch=2, length=512, precision="fp16"),
            precision,
        )
        for phase in (Phase.PREFILL, Phase.DECODE)
    ]

    assert passes == [(cost_of(PREFILL_512, batch=2),), (cost_of(DECODE_512, batch=2),)]


def scaled_bounds(*, compute: float = 1.0, bandwidth: float = 1.0) -> tuple[Bound, Bound]:
    """The bound of an H100 prefill, and of one on an H100 so much faster."""
    faster = Roofs(
        label="faster",
        bytes_per_s=H100.bytes_per_s * bandwidth,
        flops_per_s={dtype: peak * compute for dtype, peak in H100.flops_per_s.items()},
    )
    cost = cost_of(PREFILL_512)
    return pass_bound(cost, H100.roofs), pass_bound(cost, faster)


def test_doubling_the_bandwidth_halves_memory_time_alone() -> None:
    before, after = scaled_bounds(bandwidth=2.0)

    assert after.memory_s == before.memory_s / 2
    assert after.compute_s == before.compute_s
    assert after.ridge_point == before.ridge_point / 2


def test_doubling_the_peak_halves_compute_time_alone() -> None:
    before, after = scaled_bounds(compute=2.0)

    assert after.compute_s == before.compute_s / 2
    assert after.memory_s == before.memory_s


def test_doubling_the_batch_doubles_flops_and_kv_but_no_weights() -> None:
    one, two = cost_of(DECODE_512), cost_of(DECODE_512, batch=2)
    row = 4096 * 2  # one more row of the embedding

    assert two.flops == 2 * one.flops
    assert two.kv_bytes == 2 * one.kv_bytes
    assert two.weight_bytes == one.weight_bytes + row


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"batch": 0}, "batch is 0; an integer of at least 1"),
        ({"new_tokens": 0}, "new_tokens is 0; an integer of at least 1"),
        ({"context_len": -1}, "context_len is -1; an integer of at least 0"),
        ({"logits": "first"}, "logits is 'first'; 'last' or 'all'"),
    ],
)
def test_sizes_that_make_no_pass(sizes: dict[str, object], message: str) -> None:
    valid: dict[str, object] = {"batch": 1, "new_tokens": 1, "context_len": 0, "logits": "last"}

    with pytest.raises(SpecError, match=message):
        pass_cost(MISTRAL, precision=find_precision("fp16"), **(valid | sizes))


def test_ceilings_are_roofs_by_the_faster_of_copy_and_read() -> None:
    ceilings = Ceilings(
        device="x", copy_bytes_per_s=2.0, read_bytes_per_s=3.0, gemm_flops_per_s={"fp16": 5.0}
    )

    assert ceilings.roofs.bytes_per_s == 3.0
    assert ceilings.roofs.peak("fp16") == 5.0


def test_ceilings_are_raised_line_by_line() -> None:
    first = Ceilings(
        device="x", copy_bytes_per_s=2.0, read_bytes_per_s=3.0, gemm_flops_per_s={"fp16": 5.0, "fp32": 1.0}
    )
    second = Ceilings(
        device="x", copy_bytes_per_s=4.0, read_bytes_per_s=1.0, gemm_flops_per_s={"fp16": 4.0, "int8": 9.0}
    )

    assert first.raised(second) == Ceilings(
        device="x",
        copy_bytes_per_s=4.0,
        read_bytes_per_s=3.0,
        gemm_flops_per_s={"fp16": 5.0, "fp32": 1.0, "int8": 9.0},
    )


def with_gap(launch_gap_s: float | None) -> Ceilings:
    return Ceilings(
        device="x",
        copy_bytes_per_s=1.0,
        read_bytes_per_s=1.0,
        gemm_flops_per_s={},
        launch_gap_s=launch_gap_s,
    )


@pytest.mark.parametrize(
    ("gaps", "best"),
    [((6e-6, 5e-6), 5e-6), ((5e-6, 6e-6), 5e-6), ((None, 6e-6), 6e-6), ((6e-6, None), 6e-6)],
)
def test_the_shorter_launch_gap_is_the_ceiling(gaps: tuple[float | None, ...], best: float) -> None:
    first, second = map(with_gap, gaps)

    assert first.raised(second).launch_gap_s == best


def test_launch_gaps_that_nobody_measured_stay_unknown() -> None:
    assert with_gap(None).raised(with_gap(None)).launch_gap_s is None


@pytest.mark.parametrize("gap", [0.0, -1e-6, float("nan"), float("inf")])
def test_a_launch_gap_is_a_positive_time(gap: float) -> None:
    with pytest.raises(SpecError, match=f"launch gap of x is {gap} s; a positive time is needed"):
        with_gap(gap)
