"""generate() as a prefill and steps on a cache that grows."""

import pytest

from analytic import (
    Case,
    Phase,
    SpecError,
    case_costs,
    find_gpu,
    find_precision,
    load_model,
    pass_bound,
    pass_cost,
)
from analytic.generation import Generation, generation_bound

pytestmark = pytest.mark.analytic

H100 = find_gpu("h100-sxm")
MISTRAL = load_model("mistral-7b-v0.2")
KV_BYTES_PER_TOKEN = 131_072


def generation(prompt: int, output: int, *, batch: int = 1, precision: str = "fp16") -> Generation:
    case = Case(
        model=MISTRAL.name,
        phase=Phase.GENERATE,
        batch=batch,
        length=prompt,
        output_len=output,
        precision=precision,
    )
    return generation_bound(MISTRAL, case, find_precision(precision), H100.roofs)


@pytest.mark.parametrize("precision", ["fp16", "nf4"])
@pytest.mark.parametrize(("prompt", "output"), [(512, 2), (128, 32), (2048, 100)])
def test_the_whole_is_the_sum_of_its_passes(precision: str, prompt: int, output: int) -> None:
    found = generation(prompt, output, precision=precision)
    shapes = [(prompt, 0), *((1, cached) for cached in range(prompt, prompt + output - 1))]
    bounds = [
        pass_bound(
            pass_cost(
                MISTRAL, batch=1, new_tokens=new, context_len=cached, precision=find_precision(precision)
            ),
            H100.roofs,
        )
        for new, cached in shapes
    ]

    assert found.steps == output - 1
    assert found.prefill == bounds[0]
    assert found.decode.lower_s == pytest.approx(sum(bound.lower_s for bound in bounds[1:]))
    assert found.total_s == pytest.approx(sum(bound.lower_s for bound in bounds))


def test_the_first_token_is_the_prefills() -> None:
    """So two tokens take one step."""
    found = generation(512, 2)
    step = pass_bound(
        pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=find_precision("fp16")),
        H100.roofs,
    )

    assert found.tpot_s == found.decode.lower_s == step.lower_s


def test_time_per_token_is_that_of_the_mean_cache() -> None:
    """Memory-bound steps grow by one token's keys and values: an arithmetic series."""
    first, whole = generation(512, 2), generation(512, 1001)
    growth = KV_BYTES_PER_TOKEN / H100.bytes_per_s

    assert whole.tpot_s == pytest.approx(first.tpot_s + growth * 999 / 2)


@pytest.mark.parametrize("precision", ["fp16", "nf4"])
def test_longer_outputs_come_slower(precision: str) -> None:
    """The cache that each step reads grows."""
    rates = [generation(512, output, precision=precision).tokens_per_s for output in (2, 64, 512, 4096)]

    assert rates == sorted(set(rates), reverse=True)


def test_longer_prompts_slow_both_parts() -> None:
    short, long = generation(512, 64), generation(2048, 64)

    assert long.prefill.lower_s > short.prefill.lower_s
    assert long.tpot_s > short.tpot_s


def test_a_batch_shares_the_weights() -> None:
    """Eight sequences yield more than one, and less than eight times as much."""
    one, eight = generation(512, 64), generation(512, 64, batch=8)

    assert eight.tokens_per_s == pytest.approx(8 / eight.tpot_s)
    assert one.tokens_per_s < eight.tokens_per_s < 8 * one.tokens_per_s


def test_a_sliding_window_stops_the_growth() -> None:
    windowed = load_model("mistral-7b-v0.1")
    rates = [
        generation_bound(
            windowed,
            Case(
                model=windowed.name,
                phase=Phase.GENERATE,
                batch=1,
                length=4096,
                output_len=output,
                precision="fp16",
            ),
            find_precision("fp16"),
            H100.roofs,
        ).tokens_per_s
        for output in (2, 200)
    ]

    assert rates[0] == pytest.approx(rates[1])


@pytest.mark.parametrize("phase", [Phase.PREFILL, Phase.DECODE])
def test_single_passes_are_no_generation(phase: Phase) -> None:
    case = Case(model=MISTRAL.name, phase=phase, batch=1, length=512, precision="fp16")

    with pytest.raises(SpecError, match=f"{phase}-b1-.*-fp16-eager is no generate"):
        generation_bound(MISTRAL, case, find_precision("fp16"), H100.roofs)


def test_flops_and_bytes_are_those_of_the_cases_passes() -> None:
    case = Case(model=MISTRAL.name, phase=Phase.GENERATE, batch=2, length=64, output_len=16, precision="nf4")
    precision = find_precision("nf4")
    found = generation_bound(MISTRAL, case, precision, H100.roofs)
    costs = case_costs(MISTRAL, case, precision)

    assert found.prefill.flops + found.decode.flops == sum(cost.flops for cost in costs)
    assert found.prefill.bytes + found.decode.bytes == sum(cost.bytes for cost in costs)
