"""Naive errors about time: phases, steps and operators one after another."""

from analytic import Case, Phase, case_costs, find_gpu, find_precision
from analytic.cost import total_bytes, total_flops
from analytic.generation import generation_bound
from perf_tests.bounds.naive_record import MISTRAL, NaiveError, Size, bound, prefill

T4, H100 = find_gpu("t4"), find_gpu("h100-sxm")
FP16, NF4 = find_precision("fp16"), find_precision("nf4")


def errors() -> tuple[NaiveError, ...]:
    return (*_phases(), _overlap(), _stopwatch())


def generate(prompt: int, tokens: int, precision: str) -> Case:
    return Case(
        model=MISTRAL.name,
        phase=Phase.GENERATE,
        batch=1,
        length=prompt,
        output_len=tokens,
        precision=precision,
    )


def _phases() -> tuple[NaiveError, ...]:
    costs = case_costs(MISTRAL, generate(512, 32, "fp16"), FP16)
    flops, moved = total_flops(costs), total_bytes(costs)
    long = generation_bound(MISTRAL, generate(2048, 2048, "nf4"), NF4, T4.roofs)
    steps = case_costs(MISTRAL, generate(2048, 2048, "nf4"), NF4)[1:]
    first, last = (bound(step, T4).lower_s for step in (steps[0], steps[-1]))
    return (
        NaiveError(
            number=23,
            error="FLOPs of prompt and output are divided by the bytes of the prefill: one point for generate().",
            seen_in="common, the notebook that this project replaces included",
            correct="A point for each phase; totals are sums over the passes, and so are their bounds",
            sizes=(
                Size(
                    of="Mistral-7B, 512 tokens in and 32 out, intensity",
                    unit="FLOP/B",
                    right=flops / moved,
                    naive=flops / costs[0].bytes,
                    too="high",
                ),
            ),
            guards=(
                "bounds/test_notebook_errors.py::test_generate_divides_by_the_bytes_of_all_its_passes",
                "bounds/test_notebook_errors.py::test_generate_is_bounded_phase_by_phase",
            ),
        ),
        NaiveError(
            number=24,
            error="All steps of a generation cost what the first does.",
            seen_in="many",
            correct="Each step has one more cached token; their bounds are summed",
            sizes=(
                Size(
                    of="Mistral-7B in NF4 on a T4, 2048 tokens after 2048, all steps",
                    unit="s",
                    right=long.decode.lower_s,
                    naive=first * long.steps,
                    too="low",
                ),
                Size(of="the last step", unit="s", right=last, naive=first, too="low"),
            ),
            guards=(
                "bounds/test_bound.py::test_generate_is_a_prefill_and_decode_steps_on_a_growing_cache",
                "bounds/test_bound.py::test_generate_flops_in_closed_form",
            ),
        ),
    )


def _overlap() -> NaiveError:
    both = bound(prefill(MISTRAL, 512), H100)
    return NaiveError(
        number=25,
        error="One maximum over the whole pass stands for a sequence of kernels.",
        seen_in="common",
        correct="Both are given: lower_s, which nothing beats, and serial_s, the sum of the operators' maxima",
        sizes=(
            Size(
                of="Mistral-7B, prefill of 512 on an H100",
                unit="s",
                right=both.serial_s,
                naive=both.lower_s,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_bound.py::test_serial_sums_the_maxima_of_the_operators",
            "bounds/test_bound.py::test_overlap_is_never_slower_than_none",
        ),
    )


def _stopwatch() -> NaiveError:
    whole = generation_bound(MISTRAL, generate(2048, 32, "fp16"), FP16, T4.roofs)
    return NaiveError(
        number=32,
        error="One stopwatch around everything: tokenising, the first call's tuning, sampling, the prompt.",
        seen_in="harnesses; the notebook that this project replaces",
        correct="Passes alone, after warm-up; generate() has its time to the first token apart. Computed "
        "here is the prompt's share only: the others depend on the machine",
        sizes=(
            Size(
                of="Mistral-7B on a T4, 2048 tokens in and 32 out, output rate over the whole call (bound)",
                unit="tokens/s",
                right=whole.tokens_per_s,
                naive=(whole.steps + 1) / whole.total_s,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_notebook_errors.py::test_tokens_per_s_of_generate_leaves_the_prefill_out",
            "selftests/test_eager.py::test_the_first_token_is_timed_once_per_call_and_within_it",
        ),
    )
