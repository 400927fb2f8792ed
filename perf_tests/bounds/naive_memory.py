"""Naive errors in the bytes that a pass moves and a model occupies, 16 bit."""

from analytic import find_gpu, find_precision, load_model
from analytic.eager import eager_tape
from analytic.passes import Pass
from analytic.traffic import traffic
from perf_tests.bounds.naive_record import (
    MISTRAL,
    NaiveError,
    Size,
    decode,
    misread,
    operator,
    prefill,
)

FP16 = find_precision("fp16")
H100 = find_gpu("h100-sxm")
LONG = Pass(batch=1, new_tokens=2048, context_len=0)


def errors() -> tuple[NaiveError, ...]:
    return (_embedding(), _heads(), _cache(), _window(), _scores(), _activation(), _experts())


def _embedding() -> NaiveError:
    qwen = load_model("qwen2.5-0.5b")
    step, tied = decode(MISTRAL, 512).bytes, decode(qwen, 512).bytes
    row = MISTRAL.d_embed * 2
    return NaiveError(
        number=1,
        error="The whole embedding table is read in every pass, or multiplied as a matrix.",
        seen_in="GenZ, llm-analysis; tt-metal#50114",
        correct="The rows that are looked up; a tied table once, as lm_head",
        sizes=(
            Size(
                of="Mistral-7B, decode at 512",
                unit="B",
                right=step,
                naive=step + MISTRAL.embedding_params * 2 - row,
                too="high",
            ),
            Size(
                of="Qwen2.5-0.5B (tied), the same",
                unit="B",
                right=tied,
                naive=tied + qwen.embedding_params * 2 - qwen.d_embed * 2,
                too="high",
            ),
        ),
        guards=(
            "bounds/test_notebook_errors.py::test_the_embedding_table_is_not_traffic",
            "bounds/test_traffic.py::test_embedding_is_read_row_by_row",
            "bounds/test_traffic.py::test_tied_embeddings_are_resident_once_and_read_once",
        ),
    )


def _heads() -> NaiveError:
    step = decode(MISTRAL, 2048)
    attention = MISTRAL.attention
    ratio = attention.n_heads // attention.n_kv_heads
    flops = operator(step, "attention").flops
    return NaiveError(
        number=6,
        error="Cached keys and values are counted with the query heads, or attention's FLOPs with theirs.",
        seen_in="LLM-Viewer (bytes, in its flash path); transformer-roofline-analyzer (FLOPs)",
        correct="FLOPs by query heads, bytes by key/value heads",
        sizes=(
            Size(
                of="Mistral-7B, KV of decode at 2048",
                unit="B",
                right=step.kv_bytes,
                naive=step.kv_bytes * ratio,
                too="high",
            ),
            Size(
                of="its attention, values by key/value heads",
                unit="FLOP",
                right=flops,
                naive=flops * (1 + 1 / ratio) / 2,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_traffic.py::test_kv_counts_key_value_heads_not_query_heads",
            "bounds/test_flops.py::test_equals_flop_counter_mode",
        ),
    )


def _cache() -> NaiveError:
    prompt, step = prefill(MISTRAL, 2048), decode(MISTRAL, 2048)
    written = sum(op.kv_written_bytes for op in prompt.operators)
    tape = eager_tape(MISTRAL, Pass(batch=1, new_tokens=1, context_len=2048), FP16, H100)
    moved = sum(
        kernel.times * sum(t.bytes for t in (*kernel.reads, *kernel.writes) if t.tensor.cache)
        for kernel in tape.kernels
    )
    return NaiveError(
        number=18,
        error="Writing the KV cache costs nothing, or every step must write it anew.",
        seen_in="most (nothing); llm-analysis (twice the whole cache in the bound)",
        correct="The bound: what is cached read once, what is new written once. Eager: DynamicCache "
        "concatenates, reads and writes the whole cache and attention reads it again",
        sizes=(
            Size(
                of="Mistral-7B, prefill of 2048, no writing",
                unit="B",
                right=prompt.bytes,
                naive=prompt.bytes - written,
                too="low",
            ),
            Size(
                of="KV in the bound of decode at 2048, cache twice",
                unit="B",
                right=step.kv_bytes,
                naive=2 * step.kv_bytes,
                too="high",
            ),
            Size(
                of="the same under eager execution, once",
                unit="B",
                right=moved,
                naive=step.kv_bytes,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_traffic.py::test_prefill_writes_every_token_and_reads_none",
            "bounds/test_traffic.py::test_decode_reads_the_cache_and_writes_one_token",
            "bounds/test_naive_errors.py::test_eager_steps_move_the_cache_three_times",
        ),
    )


def _window() -> NaiveError:
    gemma, naive = load_model("gemma-2-9b"), misread("gemma-2-9b", sliding_window=2**20)
    return NaiveError(
        number=20,
        error="A sliding window is ignored, or one kind of layer stands for all.",
        seen_in="LLM-Viewer, GenZ, llm-analysis",
        correct="Layer by layer: a cache keeps w - 1 past tokens; eager prefill still multiplies all pairs",
        sizes=(
            Size(
                of="Gemma-2-9B (21 of 42 layers), KV of decode at 8192",
                unit="B",
                right=decode(gemma, 8192).kv_bytes,
                naive=decode(naive, 8192).kv_bytes,
                too="high",
            ),
        ),
        guards=(
            "bounds/test_families.py::test_gemma2_alternates_windows_first_layer_first",
            "bounds/test_traffic.py::test_sliding_window_caps_the_kv_of_decode",
            "bounds/test_naive_errors.py::test_a_window_caps_only_the_layers_that_have_it",
        ),
    )


def _scores() -> NaiveError:
    eager, flash = (
        traffic("eager", MISTRAL, LONG, FP16, H100, attention=name, l2_bytes=0) for name in ("eager", "flash")
    )
    attention = next(op.bytes for op in flash.operators if op.name == "attention")
    matrix = 2 * MISTRAL.n_layers * MISTRAL.attention.n_heads * LONG.new_tokens**2
    return NaiveError(
        number=21,
        error="The score matrix never reaches memory, or it does even in flash attention.",
        seen_in="most (never); LLM-Viewer (adds it to flash)",
        correct="The attention implementation is an input, by default the one that torch dispatches to on "
        "that GPU; eager and math write the scores several times, flash never",
        sizes=(
            Size(
                of="Mistral-7B, prefill of 2048 in eager attention, without scores (no L2)",
                unit="B",
                right=eager.bytes,
                naive=flash.bytes,
                too="low",
            ),
            Size(
                of="flash attention alone, scores written once",
                unit="B",
                right=attention,
                naive=attention + matrix,
                too="high",
            ),
        ),
        guards=("bounds/test_naive_errors.py::test_eager_attention_writes_its_scores_and_flash_does_not",),
    )


def _activation() -> NaiveError:
    right = operator(prefill(MISTRAL, 512), "act_fn").fused_bytes
    mlp = MISTRAL.stacks[0].layer.dense
    d_ff = mlp.d_ff if mlp else 0
    return NaiveError(
        number=22,
        error="The activation function of the MLP is as wide as the model.",
        seen_in="LLM-Viewer",
        correct="As wide as the MLP: 3 d_ff elements a token where it is gated, in the fused traffic; "
        "eager norms go through fp32",
        sizes=(
            Size(
                of="Mistral-7B, act_fn in prefill of 512",
                unit="B",
                right=right,
                naive=right * MISTRAL.d_model / d_ff,
                too="low",
            ),
        ),
        guards=("bounds/test_naive_errors.py::test_the_activation_is_as_wide_as_the_mlp",),
    )


def _experts() -> NaiveError:
    qwen, mixtral = load_model("qwen3-30b-a3b"), load_model("mixtral-8x7b-v0.1")
    moe = next(stack.layer.moe for stack in qwen.stacks if stack.layer.moe)
    step = operator(decode(mixtral, 512), "experts").weight_bytes
    few = next(stack.layer.moe for stack in mixtral.stacks if stack.layer.moe)
    return NaiveError(
        number=17,
        error="Every expert is read in every pass, or as many as tokens choose, each anew.",
        seen_in="llm-analysis (all); GenZ and vLLM's model (min(k T, E))",
        correct="Bound: the k experts of one token. Fused: the distinct ones expected, E (1 - (1 - k/E)^T). "
        "Eager: by transformers' implementation",
        sizes=(
            Size(
                of="Qwen3-30B-A3B, decode of 16 sequences, a layer, min(k T, E)",
                unit="experts",
                right=moe.distinct(16),
                naive=min(16 * moe.top_k, moe.n_experts),
                too="high",
            ),
            Size(
                of="Mixtral-8x7B, experts of decode at batch 1, all",
                unit="B",
                right=step,
                naive=step * few.n_experts / few.top_k,
                too="high",
            ),
        ),
        guards=("bounds/test_naive_errors.py::test_experts_are_read_once_and_no_more_than_are_used",),
    )
