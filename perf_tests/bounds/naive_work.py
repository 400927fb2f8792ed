"""Naive errors in the FLOPs of a pass."""

from analytic import load_model
from perf_tests.bounds.naive_record import (
    MISTRAL,
    NaiveError,
    Size,
    decode,
    operator,
    prefill,
)

COUNTED = "bounds/test_flops.py::test_equals_flop_counter_mode"


def errors() -> tuple[NaiveError, ...]:
    return (*_output(), *_attention())


def _output() -> tuple[NaiveError, ...]:
    qwen = load_model("qwen2.5-0.5b")
    step = decode(MISTRAL, 512)
    head = operator(step, "lm_head").flops
    rows = []
    for model, name in ((MISTRAL, "Mistral-7B"), (qwen, "Qwen2.5-0.5B")):
        last, every = prefill(model, 512), prefill(model, 512, logits="all")
        rows.append(
            Size(
                of=f"{name}, prefill of 512",
                unit="FLOP",
                right=last.flops,
                naive=every.flops,
                too="high",
            )
        )
    of = "Mistral-7B, decode at 512"
    return (
        NaiveError(
            number=2,
            error="Logits are counted for every token of the prompt.",
            seen_in="GenZ, llm-analysis; vLLM's model until #33045",
            correct="The last position of each sequence, as generate() computes; all only with `--logits all`",
            sizes=tuple(rows),
            guards=("bounds/test_notebook_errors.py::test_lm_head_runs_on_the_last_position_of_a_prefill",),
        ),
        NaiveError(
            number=3,
            error="lm_head counts 1 FLOP for a multiply-add, or is left out.",
            seen_in="LLM-Viewer (1 FLOP); transformer-roofline-analyzer (none)",
            correct="2 D V for every row of logits",
            sizes=(
                Size(
                    of=f"{of}, 1 FLOP", unit="FLOP", right=step.flops, naive=step.flops - head / 2, too="low"
                ),
                Size(of=f"{of}, none", unit="FLOP", right=step.flops, naive=step.flops - head, too="low"),
            ),
            guards=(
                COUNTED,
                "bounds/test_notebook_errors.py::test_lm_head_runs_on_the_last_position_of_a_prefill",
            ),
        ),
        NaiveError(
            number=4,
            error="Multiply-adds and FLOPs go by one name.",
            seen_in='GenZ (a column "MACs" holds FLOPs); fvcore and thop (MACs read as FLOPs)',
            correct="A multiply-add is 2 FLOPs everywhere, and the unit is in the field's name",
            sizes=(
                Size(
                    of=f"{of}, MACs read as FLOPs",
                    unit="FLOP",
                    right=step.flops,
                    naive=step.flops / 2,
                    too="low",
                ),
                Size(
                    of=f"{of}, FLOPs doubled as if MACs",
                    unit="FLOP",
                    right=step.flops,
                    naive=step.flops * 2,
                    too="high",
                ),
            ),
            guards=(COUNTED,),
        ),
    )


def _attention() -> tuple[NaiveError, ...]:
    step = decode(MISTRAL, 2048)
    deepseek = load_model("deepseek-v2-lite")
    half, full = prefill(MISTRAL, 2048, causal=True), prefill(MISTRAL, 2048)
    return (
        NaiveError(
            number=5,
            error="Attention of a decode step ignores the context.",
            seen_in="llm-analysis",
            correct="4 H d_head (L + 1) a layer: the new token attends to all that is cached and to itself",
            sizes=(
                Size(
                    of="Mistral-7B, decode at 2048",
                    unit="FLOP",
                    right=step.flops,
                    naive=decode(MISTRAL, 0).flops,
                    too="low",
                ),
            ),
            guards=(COUNTED, "bounds/test_naive_errors.py::test_a_step_attends_to_its_whole_context"),
        ),
        NaiveError(
            number=19,
            error="The half of the scores that the causal mask discards counts as work of flash attention.",
            seen_in="all but AIConfigurator and flash-attention's own convention",
            correct="`--causal` counts what the mask leaves; the default is full, which eager and math "
            "attention execute and FlopCounterMode counts",
            sizes=(
                Size(
                    of="Mistral-7B, prefill of 2048",
                    unit="FLOP",
                    right=half.flops,
                    naive=full.flops,
                    too="high",
                ),
                Size(
                    of="its attention",
                    unit="FLOP",
                    right=operator(half, "attention").flops,
                    naive=operator(full, "attention").flops,
                    too="high",
                ),
            ),
            guards=("bounds/test_naive_errors.py::test_a_causal_count_is_the_pairs_that_the_mask_leaves",),
        ),
        NaiveError(
            number=28,
            error="A token of a model with latent attention (MLA) costs 2 FLOPs for every active parameter.",
            seen_in="the rule of thumb 2 N, everywhere",
            correct="transformers expands every cached token again at every step; `--absorbed` for "
            "engines that multiply the expansion into queries and outputs",
            sizes=tuple(
                Size(
                    of=f"DeepSeek-V2-Lite, decode at {cached}",
                    unit="FLOP",
                    right=decode(deepseek, cached).flops,
                    naive=2 * (deepseek.active_param_count - deepseek.embedding_params),
                    too="low",
                )
                for cached in (512, 2048)
            ),
            guards=(
                COUNTED,
                "bounds/test_naive_errors.py::test_mla_expands_every_cached_token_at_every_step",
            ),
        ),
    )
