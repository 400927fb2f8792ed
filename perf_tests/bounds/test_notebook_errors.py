"""The errors of the notebook that this project replaces: one test each, so that
none comes back."""

import pytest

from analytic import (
    Case,
    Cost,
    Operator,
    Phase,
    case_costs,
    find_gpu,
    find_precision,
    least_s,
    load_model,
    pass_bound,
    pass_cost,
    sequence_bound,
)
from analytic.footprint import resident_weight_bytes
from perf_tests.selftests import records

pytestmark = pytest.mark.analytic

MISTRAL = load_model("mistral-7b-v0.1")
FP16 = find_precision("fp16")


def decode_512(precision: str) -> Cost:
    return pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=find_precision(precision))


def lm_head(cost: Cost) -> Operator:
    return next(op for op in cost.operators if op.name == "lm_head")


def generate() -> tuple[Cost, ...]:
    case = Case(
        model=MISTRAL.name,
        phase=Phase.GENERATE,
        batch=1,
        length=512,
        output_len=32,
        precision="fp16",
    )
    return case_costs(MISTRAL, case, FP16)


def test_a_4_bit_model_does_not_move_fp16_bytes() -> None:
    """The error: a model loaded in NF4 was held against the bytes of fp16, 3.4 x
    too many, so that its decode looked faster than the memory bus allows."""
    assert decode_512("fp16").bytes == 14_288_568_320
    assert decode_512("nf4").bytes == 4_255_793_152


def test_a_4_bit_model_is_not_half_a_byte_times_all_parameters() -> None:
    """The error's twin: absmax, lm_head, embedding and norms are not 4 bit."""
    assert MISTRAL.param_count // 2 == 3_620_866_048
    assert resident_weight_bytes(MISTRAL, find_precision("nf4")) == 4_450_689_024


def test_generate_divides_by_the_bytes_of_all_its_passes() -> None:
    """The error: FLOPs of prompt and decode were divided by the bytes of the
    prefill alone, as if one reading of the weights served all 32 tokens."""
    costs = generate()
    bound = sequence_bound(costs, find_gpu("t4").roofs)

    assert bound.intensity == sum(c.flops for c in costs) / sum(c.bytes for c in costs)
    assert bound.bytes > 32 * 14.2e9
    assert costs[-1].intensity < bound.intensity < costs[0].intensity


def test_generate_is_bounded_phase_by_phase() -> None:
    """The same error in time: one roofline point for both phases hides the
    compute-bound prefill under the memory-bound decode."""
    costs = generate()
    bound = sequence_bound(costs, find_gpu("t4").roofs)

    assert pass_bound(costs[0], find_gpu("t4").roofs).limiter == "compute"
    assert pass_bound(costs[1], find_gpu("t4").roofs).limiter == "memory"
    assert bound.lower_s > max(bound.compute_s, bound.memory_s) * 1.02


def test_the_embedding_table_is_not_traffic() -> None:
    """The error: all parameters times their size as the bytes of a step, though
    a step looks up one row of the embedding's 32000."""
    table, row = 32_000 * 4096 * 2, 4096 * 2

    assert decode_512("fp16").weight_bytes == resident_weight_bytes(MISTRAL, FP16) - table + row


def test_tokens_per_s_of_generate_leaves_the_prefill_out() -> None:
    """The error: new tokens over the whole call, so that a longer prompt made
    decoding look slower. 127 tokens in the 2.54 s after the first: 50 a second."""
    record = records.record("generate-b1-p512-n128-fp16-eager", wall_s=4.0, first_token_s=1.46)
    (derived,) = records.derived([record])

    assert derived.tokens_per_s == pytest.approx(50.0)
    assert derived.tokens_per_s != pytest.approx(128 / 4.0)


def test_lm_head_runs_on_the_last_position_of_a_prefill() -> None:
    """The error: logits counted for every prompt token; generate() keeps the last."""
    one = pass_cost(MISTRAL, batch=1, new_tokens=512, context_len=0, precision=FP16)
    every = pass_cost(MISTRAL, batch=1, new_tokens=512, context_len=0, precision=FP16, logits="all")

    assert lm_head(one).flops == 2 * 4096 * 32_000
    assert lm_head(every).flops == 512 * 2 * 4096 * 32_000
    assert lm_head(case_costs(MISTRAL, Case.parse("prefill-b1-p512-fp16-eager", model="m"), FP16)[0]) == (
        lm_head(one)
    )


def test_a_step_that_waits_for_the_host_is_not_memory_bound() -> None:
    """The error: "decode is memory-bound" read off the roofline, while the GPU
    idled between launches for four fifths of the step."""
    record = records.record("decode-b1-c512-fp16-eager", wall_s=0.040, device_s=0.008)
    (derived,) = records.derived([record])

    assert derived.bound.limiter == "memory"
    assert derived.regime == "launch"


def test_a_step_without_launch_gaps_is_memory_bound() -> None:
    """The other side of that error: a launch verdict needs its gaps."""
    record = records.record("decode-b1-c512-fp16-eager", gpu="t4", wall_s=0.0540, device_s=0.0535)
    (derived,) = records.derived([record])

    assert derived.regime == "memory"


def test_nothing_measured_faster_than_the_weights_can_be_read() -> None:
    """The error: a rate above the bus was printed as a success. An NF4 step of
    10 ms on a T4 is impossible even with the whole L2 warm."""
    t4 = find_gpu("t4")

    assert least_s([decode_512("nf4")], t4.roofs, cache_bytes=t4.l2_bytes) > 13.2e-3
