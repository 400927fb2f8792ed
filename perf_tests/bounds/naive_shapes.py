"""Naive errors in what a model consists of."""

from analytic import load_model
from perf_tests.bounds.naive_record import MISTRAL, NaiveError, Size, decode, misread, operator

COUNTED = "bounds/test_flops.py::test_equals_flop_counter_mode"


def errors() -> tuple[NaiveError, ...]:
    return (*_shapes(), *_experts())


def _shapes() -> tuple[NaiveError, ...]:
    gpt2 = load_model("gpt2")
    sizes = []
    for preset, name in (("qwen3-0.6b", "Qwen3-0.6B"), ("gemma-2-9b", "Gemma-2-9B")):
        model = load_model(preset)
        naive = misread(preset, head_dim=model.d_model // model.attention.n_heads)
        sizes.append(
            Size(
                of=f"{name}, q_proj of a decode step",
                unit="FLOP",
                right=operator(decode(model, 512), "q_proj").flops,
                naive=operator(decode(naive, 512), "q_proj").flops,
                too="low",
            )
        )
    mlps = [model.stacks[0].layer.mlp for model in (gpt2, MISTRAL)]
    (two, three) = [2 * sum(linear.weights for linear in mlp.linears) for mlp in mlps if mlp]
    return (
        NaiveError(
            number=7,
            error="A head is as wide as the model's width by the number of heads.",
            seen_in="LLM-Viewer, llm-analysis; open-instruct#1096",
            correct="The config's head_dim; the quotient only where a family defines it so",
            sizes=tuple(sizes),
            guards=(
                "bounds/test_families.py::test_qwen3_norms_every_head_and_has_a_head_dim_of_its_own",
                "bounds/test_models.py::test_a_head_dim_of_its_own_is_kept",
            ),
        ),
        NaiveError(
            number=8,
            error="Every MLP has three matrices (or two, though it is gated).",
            seen_in="vLLM's perf.py (three); inference-sim (two)",
            correct="By architecture: gated ones have three, GPT-2, OPT, GPT-NeoX and Falcon two",
            sizes=(
                Size(
                    of="GPT-2, MLP of a layer and token, three",
                    unit="FLOP",
                    right=two,
                    naive=two * 3 / 2,
                    too="high",
                ),
                Size(
                    of="Mistral-7B, the same, two", unit="FLOP", right=three, naive=three * 2 / 3, too="low"
                ),
            ),
            guards=(COUNTED, "bounds/test_families.py::test_gpt2_is_fused_and_four_times_as_wide_inside"),
        ),
        NaiveError(
            number=30,
            error="lm_head always shares the embedding's weights, or never does.",
            seen_in="llm-analysis (always)",
            correct="The config's tie_word_embeddings, with the family's own default",
            sizes=(
                Size(
                    of="Mistral-7B, shared though it is not",
                    unit="parameters",
                    right=MISTRAL.param_count,
                    naive=MISTRAL.param_count - MISTRAL.head_params,
                    too="low",
                ),
                Size(
                    of="GPT-2, counted twice",
                    unit="parameters",
                    right=gpt2.param_count,
                    naive=gpt2.param_count + gpt2.head.weights,
                    too="high",
                ),
            ),
            guards=(
                "bounds/test_flops.py::test_parameter_count_is_transformers",
                "bounds/test_families.py::test_tied_embeddings_are_a_flag_with_the_familys_default",
            ),
        ),
    )


def _experts() -> tuple[NaiveError, ...]:
    right, naive = load_model("deepseek-v2-lite"), misread("deepseek-v2-lite", first_k_dense_replace=0)
    return (
        NaiveError(
            number=29,
            error="The fields of a mixture of experts are guessed: one name for their number, experts in "
            "every layer.",
            seen_in="trl#7069 (an AttributeError on two of three families; decoder_sparse_step off by one)",
            correct="num_experts, num_local_experts or n_routed_experts by family; (i + 1) % step, "
            "first_k_dense_replace and mlp_only_layers",
            sizes=(
                Size(
                    of="DeepSeek-V2-Lite with experts in its first layer, too",
                    unit="parameters",
                    right=right.param_count,
                    naive=naive.param_count,
                    too="high",
                ),
            ),
            guards=(
                "bounds/test_families.py::test_experts_have_two_names_that_may_not_contradict",
                "bounds/test_families.py::test_qwen3_moe_has_plain_layers_where_told",
                "bounds/test_families.py::test_deepseeks_first_layers_are_plain",
            ),
        ),
    )
