"""Naive errors about quantised models: what is stored, read and multiplied."""

from dataclasses import replace

from analytic import ModelSpec, find_gpu, find_precision, load_model, pass_bound, pass_cost
from analytic.bitsandbytes import linear_path
from analytic.footprint import resident_weight_bytes
from analytic.quantised_linear import Step, steps
from perf_tests.bounds.naive_record import MISTRAL, NaiveError, Size, bound, decode, prefill

NF4, NF4_DQ = find_precision("nf4"), find_precision("nf4-dq")
T4 = find_gpu("t4")
# What NF4 stores a weight: half a byte, and 4 bytes of absmax for 64.
NF4_BYTES = 0.5 + 4 / 64


def errors() -> tuple[NaiveError, ...]:
    return (_peak(), _half_a_byte(), _absmax(), _head(), _dequantised(), _experts())


def _peak() -> NaiveError:
    prompt = prefill(MISTRAL, 2048, precision="nf4")
    roofs = replace(T4.roofs, flops_per_s={**T4.flops_per_s, "fp16": T4.flops_per_s["int8"]})
    default = pass_cost(
        MISTRAL,
        batch=1,
        new_tokens=2048,
        context_len=0,
        precision=find_precision("nf4", compute="fp32"),
    )
    right = bound(prompt, T4).lower_s
    return NaiveError(
        number=11,
        error="The peak is that of the dtype in which weights are stored.",
        seen_in="models of W4A16 at the int4 peak",
        correct="The dtype that multiplies: NF4 has the peak of its compute dtype, which transformers "
        "leaves at float32 unless told",
        sizes=(
            Size(
                of="Mistral-7B in NF4, prefill of 2048 on a T4, bound at the int8 peak",
                unit="s",
                right=right,
                naive=pass_bound(prompt, roofs).lower_s,
                too="low",
            ),
            Size(
                of="the same computed in float32, bound at the fp16 peak",
                unit="s",
                right=bound(default, T4).lower_s,
                naive=right,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_bound.py::test_nf4_is_computed_in_the_compute_dtype",
            "bounds/test_bound.py::test_nf4_computed_in_fp32_has_the_fp32_roof",
        ),
    )


def _half_a_byte() -> NaiveError:
    sizes = [
        Size(
            of=f"{name} in NF4, resident",
            unit="B",
            right=resident_weight_bytes(model, NF4),
            naive=model.param_count / 2,
            too="low",
        )
        for model, name in (
            (MISTRAL, "Mistral-7B"),
            (load_model("llama-3-8b"), "Llama-3-8B"),
            (load_model("qwen2.5-0.5b"), "Qwen2.5-0.5B"),
        )
    ]
    step = Size(
        of="Mistral-7B in NF4, decode at 512, fp16 bytes",
        unit="B",
        right=decode(MISTRAL, 512, precision="nf4").bytes,
        naive=decode(MISTRAL, 512).bytes,
        too="high",
    )
    return NaiveError(
        number=12,
        error="A 4-bit model moves fp16 bytes, or half a byte for every parameter.",
        seen_in="common, the notebook that this project replaces included (fp16)",
        correct="Module by module: what is quantised, its scales, and the rest in 16 bit",
        sizes=(step, *sizes),
        guards=(
            "bounds/test_notebook_errors.py::test_a_4_bit_model_does_not_move_fp16_bytes",
            "bounds/test_notebook_errors.py::test_a_4_bit_model_is_not_half_a_byte_times_all_parameters",
            "bounds/test_traffic.py::test_resident_weight_bytes",
        ),
    )


def _absmax() -> NaiveError:
    weights = sum(count * linear.weights for count, linear in MISTRAL.linears)
    return NaiveError(
        number=13,
        error="A 4-bit weight takes 4 bit: the scales are forgotten.",
        seen_in="most",
        correct="4.5 bit in NF4 (a float32 absmax for 64 weights), 4.127 with double quantisation",
        sizes=tuple(
            Size(
                of=f"Mistral-7B's linears in {name}",
                unit="B",
                right=sum(count * precision.stored_bytes(linear) for count, linear in MISTRAL.linears),
                naive=weights / 2,
                too="low",
            )
            for precision, name in ((NF4, "NF4"), (NF4_DQ, "NF4 with double quantisation"))
        ),
        guards=("bounds/test_traffic.py::test_stored_bits_per_quantised_parameter",),
    )


def _head() -> NaiveError:
    llama = load_model("llama-3-8b")
    right = resident_weight_bytes(llama, NF4)
    kept = llama.embedding_params + llama.head_params
    return NaiveError(
        number=14,
        error="lm_head and embedding are quantised with the rest.",
        seen_in="LLM-Viewer; aiconfigurator#1396",
        correct="bitsandbytes leaves the output embedding, what is tied to it and the embedding in 16 bit",
        sizes=(
            Size(
                of="Llama-3-8B in NF4, resident",
                unit="B",
                right=right,
                naive=right - kept * (2 - NF4_BYTES),
                too="low",
            ),
        ),
        guards=("bounds/test_traffic.py::test_quantised_models_keep_lm_head_and_embedding_in_fp16",),
    )


def launched(model: ModelSpec, tokens: int) -> list[tuple[int, Step]]:
    """(how many, which) of all that NF4 linears launch on a T4 with so many tokens."""
    found = []
    for count, linear in model.linears:
        shape = {"rows": linear.rows, "cols": linear.cols, "tokens": tokens}
        path = linear_path(
            compute_capability=T4.compute_capability, sm_count=T4.sm_count, dtype="fp16", **shape
        )
        found += [(count, step) for step in steps(NF4, path, **shape)]
    return found


def _dequantised() -> NaiveError:
    tokens = 512
    done = launched(MISTRAL, tokens)
    own = ("weight", "absmax", "unpacked")
    moved = sum(
        count * size for count, step in done for name, size in (*step.reads, *step.writes) if name in own
    )
    unpacking = sum(count * step.bytes for count, step in done if step.kind == "dequantise")
    stored = sum(count * NF4.stored_bytes(linear) for count, linear in MISTRAL.linears)
    prompt = prefill(MISTRAL, tokens)
    return NaiveError(
        number=15,
        error="Many tokens multiply packed 4-bit weights, as one token does.",
        seen_in="all",
        correct="By bitsandbytes' version, GPU and shape: beyond a limit weights are written out in fp16 "
        "first and read again, one kernel after the other",
        sizes=(
            Size(
                of="Mistral-7B in NF4, prefill of 512 on a T4, weights",
                unit="B",
                right=moved,
                naive=stored,
                too="low",
            ),
            Size(
                of="its bound, unpacking before multiplying",
                unit="s",
                right=bound(prompt, T4).lower_s + unpacking / T4.bytes_per_s,
                naive=bound(prefill(MISTRAL, tokens, precision="nf4"), T4).lower_s,
                too="low",
            ),
        ),
        guards=(
            "bounds/test_bitsandbytes.py::test_four_bit_bytes_per_weight",
            "bounds/test_bitsandbytes.py::test_mistral_is_fused_up_to_a_limit",
            "bounds/test_naive_errors.py::test_a_t4_unpacks_every_matrix_of_a_long_prefill",
        ),
    )


def _experts() -> NaiveError:
    mixtral = load_model("mixtral-8x7b-v0.1")
    right = resident_weight_bytes(mixtral, NF4)
    return NaiveError(
        number=16,
        error="bitsandbytes quantises the experts of a mixture.",
        seen_in="most",
        correct="Not with transformers 5, which keeps them as 3-D parameters: attention alone is 4 bit",
        sizes=(
            Size(
                of="Mixtral-8x7B in NF4, resident",
                unit="B",
                right=right,
                naive=right - mixtral.expert_params * (2 - NF4_BYTES),
                too="low",
            ),
        ),
        guards=("bounds/test_naive_errors.py::test_experts_stay_in_16_bit",),
    )
