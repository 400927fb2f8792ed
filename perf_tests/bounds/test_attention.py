"""Which attention runs: what transformers and torch choose on a GPU, and what they refuse."""

from dataclasses import replace
from typing import Any

import pytest

from analytic import SpecError, load_model
from analytic.attention import BACKENDS, CHOICES, Resolution, resolve
from analytic.layers import Attention
from analytic.passes import Pass

pytestmark = pytest.mark.analytic

GQA = load_model("mistral-7b-v0.2").attention
MHA = load_model("llama-2-7b").attention
MLA = load_model("deepseek-v2-lite").attention
WINDOWED = load_model("mistral-7b-v0.1").attention  # 4096 tokens
CAPPED, FULL_CAPPED = (stack.layer.attention for stack in load_model("gemma-2-2b").stacks)
BROADCAST = load_model("falcon-7b").attention
ALIBI = load_model("falcon-rw-1b").attention

PREFILL = Pass(batch=1, new_tokens=512, context_len=0)
DECODE = Pass(batch=1, new_tokens=1, context_len=512)
CHUNK = Pass(batch=1, new_tokens=128, context_len=512)

TURING, AMPERE, ADA, HOPPER = (7, 5), (8, 0), (8, 9), (9, 0)


def resolved(
    attention: Attention,
    shape: Pass = PREFILL,
    *,
    sm: tuple[int, int] = HOPPER,
    dtype: str = "fp16",
    requested: str = "auto",
) -> Resolution:
    return resolve(requested, attention, shape, compute_capability=sm, dtype=dtype)


@pytest.mark.parametrize("shape", [PREFILL, DECODE], ids=["prefill", "decode"])
def test_grouped_queries_without_a_mask_leave_turing_only_the_math_kernel(shape: Pass) -> None:
    found = resolved(GQA, shape, sm=TURING)

    assert found.backend == "math"
    assert found.reason == "sm75 + GQA + no mask → math"
    assert found.repeats  # as _scaled_dot_product_attention_math does for enable_gqa


@pytest.mark.parametrize("shape", [PREFILL, DECODE], ids=["prefill", "decode"])
def test_equal_heads_take_the_memory_efficient_kernel_on_turing(shape: Pass) -> None:
    found = resolved(MHA, shape, sm=TURING)

    assert (found.backend, found.masked, found.repeats) == ("efficient", False, False)
    assert found.reason == "sm75 + MHA + no mask → efficient"


@pytest.mark.parametrize("sm", [AMPERE, ADA, HOPPER, (12, 0)])
@pytest.mark.parametrize("attention", [GQA, MHA], ids=["GQA", "MHA"])
@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_from_sm80_on_flash_attention_takes_grouped_queries_as_they_are(
    sm: tuple[int, int], attention: Attention, dtype: str
) -> None:
    found = resolved(attention, sm=sm, dtype=dtype)

    assert (found.backend, found.masked, found.repeats) == ("flash", False, False)
    assert found.reason.endswith(f"{dtype} heads of 128 → flash")
    assert f"sm{sm[0]}{sm[1]}" in found.reason


@pytest.mark.parametrize(("attention", "backend"), [(GQA, "math"), (MHA, "efficient")], ids=["GQA", "MHA"])
def test_flash_attention_is_not_for_fp32(attention: Attention, backend: str) -> None:
    assert resolved(attention, dtype="fp32").backend == backend


def test_the_reason_names_fp32_where_it_decides() -> None:
    assert resolved(GQA, dtype="fp32").reason == "sm90 + GQA + no mask + fp32 → math"


@pytest.mark.parametrize(("tokens", "backend"), [(4095, "flash"), (4096, "efficient")])
def test_a_window_that_bites_brings_a_mask(tokens: int, backend: str) -> None:
    """No mask comes along while fewer keys than the window are there."""
    found = resolved(WINDOWED, Pass(batch=1, new_tokens=tokens, context_len=0))

    assert found.backend == backend
    assert found.masked == found.repeats == (backend == "efficient")


@pytest.mark.parametrize(("cached", "backend"), [(4094, "flash"), (4095, "efficient"), (20_000, "efficient")])
def test_a_window_bites_in_decode_from_its_last_free_place(cached: int, backend: str) -> None:
    assert resolved(WINDOWED, Pass(batch=1, new_tokens=1, context_len=cached)).backend == backend


@pytest.mark.parametrize("sm", [TURING, HOPPER], ids=["sm75", "sm90"])
def test_a_chunk_on_a_cache_is_masked_and_copies_keys_and_values_to_all_heads(sm: tuple[int, int]) -> None:
    found = resolved(GQA, CHUNK, sm=sm)

    assert (found.backend, found.masked, found.repeats) == ("efficient", True, True)
    assert found.reason == f"sm{sm[0]}{sm[1]} + GQA + mask → efficient"


def test_equal_heads_need_no_copies_under_a_mask() -> None:
    found = resolved(MHA, CHUNK)

    assert (found.backend, found.masked, found.repeats) == ("efficient", True, False)


def test_one_query_under_a_mask_is_folded_into_the_heads_and_copies_nothing() -> None:
    found = resolved(WINDOWED, Pass(batch=1, new_tokens=1, context_len=8192))

    assert found.masked
    assert not found.repeats


@pytest.mark.parametrize("attention", [CAPPED, FULL_CAPPED], ids=["windowed", "full"])
@pytest.mark.parametrize("sm", [TURING, HOPPER], ids=["sm75", "sm90"])
def test_capped_scores_run_in_eager_attention(attention: Attention, sm: tuple[int, int]) -> None:
    found = resolved(attention, sm=sm)

    assert (found.backend, found.materialised) == ("eager", True)
    assert "capped scores" in found.reason


def test_heads_of_two_sizes_go_to_the_memory_efficient_kernel() -> None:
    """MLA has queries of 192 and values of 128; flash attention takes one size."""
    found = resolved(MLA)

    assert (found.backend, found.repeats) == ("efficient", False)
    assert "heads of 192 and 128" in found.reason


@pytest.mark.parametrize(("size", "backend"), [(256, "flash"), (264, "efficient")])
def test_flash_attention_takes_heads_up_to_256(size: int, backend: str) -> None:
    assert resolved(replace(MHA, d_qk=size, d_v=size)).backend == backend


@pytest.mark.parametrize("sm", [TURING, HOPPER], ids=["sm75", "sm90"])
def test_falcons_one_head_is_broadcast_by_the_math_kernel(sm: tuple[int, int]) -> None:
    """It hands SDPA fewer key/value heads without saying so."""
    found = resolved(BROADCAST, sm=sm)

    assert found.backend == "math"
    assert "broadcast" in found.reason


def test_falcons_second_generation_repeats_before_it_caches() -> None:
    found = resolved(load_model("falcon-40b").attention)

    assert (found.backend, found.repeats) == ("flash", False)


@pytest.mark.parametrize("shape", [PREFILL, DECODE, CHUNK], ids=["prefill", "decode", "chunk"])
def test_alibi_is_a_mask_in_every_pass(shape: Pass) -> None:
    found = resolved(ALIBI, shape)

    assert (found.backend, found.masked) == ("efficient", True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_eager_and_math_write_the_scores(backend: str) -> None:
    found = resolved(MHA, requested=backend)

    assert found.materialised == (backend in ("eager", "math"))
    assert (found.backend, found.reason) == (backend, "as asked for")


@pytest.mark.parametrize("attention", [GQA, MHA, MLA, CAPPED, BROADCAST, ALIBI])
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_eager_attention_runs_everywhere(attention: Attention, dtype: str) -> None:
    assert resolved(attention, sm=TURING, dtype=dtype, requested="eager").backend == "eager"


@pytest.mark.parametrize("requested", ["eager", "math"])
def test_what_multiplies_by_head_copies_keys_and_values_out(requested: str) -> None:
    assert resolved(GQA, DECODE, requested=requested).repeats
    assert not resolved(MHA, DECODE, requested=requested).repeats


@pytest.mark.parametrize(
    ("attention", "options", "words"),
    [
        (MHA, {"sm": TURING}, "--attention flash: sm75 has no flash attention (sm80 and later)"),
        (MHA, {"dtype": "fp32"}, "flash attention takes fp16 and bf16, not fp32"),
        (CAPPED, {}, "capped scores (softcap) run only in eager attention"),
        (ALIBI, {}, "do not take a bias matrix (alibi)"),
        (MLA, {}, "do not take heads of 192 and 128"),
        # "Flash Attention does not support non-null attn_mask" (torch's sdp_utils).
        (MHA, {"shape": CHUNK}, "mask"),
        (WINDOWED, {"shape": Pass(batch=1, new_tokens=1, context_len=8192)}, "mask"),
    ],
    ids=["sm75", "fp32", "softcap", "alibi", "two sizes", "chunk", "window"],
)
def test_flash_attention_is_refused_where_it_cannot_run(
    attention: Attention, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError) as refused:
        resolved(attention, requested="flash", **options)

    assert str(refused.value).startswith("--attention flash: ")
    assert words in str(refused.value)


@pytest.mark.parametrize("requested", ["math", "efficient"])
def test_no_kernel_of_sdpa_takes_capped_scores(requested: str) -> None:
    with pytest.raises(SpecError, match=f"--attention {requested}: capped scores"):
        resolved(CAPPED, requested=requested)


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(SpecError) as refused:
        resolved(GQA, requested="flsh")

    said = str(refused.value)
    assert "unknown attention 'flsh'. Nearest: flash." in said
    assert all(choice in said for choice in CHOICES)
