"""Compulsory bytes of a pass, and the bytes that weights and a case occupy."""

from dataclasses import replace

import pytest

from analytic import (
    Case,
    Cost,
    ModelSpec,
    Operator,
    Phase,
    find_gpu,
    find_precision,
    footprint,
    load_model,
    pass_bound,
    pass_cost,
)
from analytic.footprint import resident_weight_bytes

pytestmark = pytest.mark.analytic

MISTRAL = load_model("mistral-7b-v0.1")
NO_WINDOW = load_model("mistral-7b-v0.2")
KV_BYTES_PER_TOKEN = 131_072  # 2 (K, V) x 32 layers x 8 heads x 128 x 2 bytes


def cost_of(
    new: int, cached: int, *, batch: int = 1, precision: str = "fp16", model: ModelSpec = MISTRAL
) -> Cost:
    return pass_cost(
        model, batch=batch, new_tokens=new, context_len=cached, precision=find_precision(precision)
    )


def operator(cost: Cost, name: str) -> Operator:
    return next(op for op in cost.operators if op.name == name)


@pytest.mark.parametrize(
    ("new", "cached", "gigabytes"),
    [
        (128, 0, 14.24),
        (512, 0, 14.29),
        (2048, 0, 14.51),
        (1, 128, 14.24),
        (1, 512, 14.29),
        (1, 2048, 14.49),
    ],
)
def test_bytes_of_a_pass_in_fp16(new: int, cached: int, gigabytes: float) -> None:
    """Weights and KV of Mistral-7B, published to two digits of GB."""
    assert round(cost_of(new, cached).bytes / 1e9, 2) == gigabytes


def test_decode_reads_the_cache_and_writes_one_token() -> None:
    assert cost_of(1, 512).kv_bytes == (512 + 1) * KV_BYTES_PER_TOKEN


def test_prefill_writes_every_token_and_reads_none() -> None:
    assert cost_of(512, 0).kv_bytes == 512 * KV_BYTES_PER_TOKEN


def test_chunked_prefill_reads_the_cache_and_writes_the_chunk() -> None:
    assert cost_of(128, 512).kv_bytes == (512 + 128) * KV_BYTES_PER_TOKEN


def test_each_sequence_has_its_own_cache() -> None:
    assert cost_of(1, 512, batch=8).kv_bytes == 8 * (512 + 1) * KV_BYTES_PER_TOKEN


def test_kv_counts_key_value_heads_not_query_heads() -> None:
    """With 32 query heads for 8 key/value heads, a wrong choice is 4 x too much."""
    assert operator(cost_of(1, 0), "attention").kv_bytes == 2 * 32 * 8 * 128 * 2


@pytest.mark.parametrize(("context_len", "tokens"), [(4094, 4095), (4095, 4096), (4096, 4096), (8192, 4096)])
def test_sliding_window_caps_the_kv_of_decode(context_len: int, tokens: int) -> None:
    """A window of 4096 holds 4095 past tokens beside the new one."""
    assert cost_of(1, context_len).kv_bytes == tokens * KV_BYTES_PER_TOKEN


def test_sliding_window_caps_the_kv_of_prefill() -> None:
    """Of 8192 new tokens only the 4095 that stay cached must be written."""
    assert cost_of(8192, 0).kv_bytes == 4095 * KV_BYTES_PER_TOKEN


def test_without_a_window_nothing_is_capped() -> None:
    assert cost_of(1, 8192, model=NO_WINDOW).kv_bytes == 8193 * KV_BYTES_PER_TOKEN


@pytest.mark.parametrize(("batch", "new", "cached"), [(1, 1, 512), (1, 512, 0), (16, 1, 512), (8, 2048, 0)])
def test_linears_are_read_once_whatever_the_batch(batch: int, new: int, cached: int) -> None:
    cost = cost_of(new, cached, batch=batch)
    linears = sum(operator(cost, linear.name).weight_bytes for _, linear in MISTRAL.linears)

    assert linears == 2 * 6_979_321_856


@pytest.mark.parametrize(("batch", "new", "cached"), [(1, 1, 512), (8, 512, 0)])
def test_lm_head_is_read_once(batch: int, new: int, cached: int) -> None:
    lm_head = operator(cost_of(new, cached, batch=batch), "lm_head")

    assert (lm_head.count, lm_head.weight_bytes) == (1, 2 * 32_000 * 4096)


@pytest.mark.parametrize(("batch", "new", "rows"), [(1, 1, 1), (1, 512, 512), (8, 1, 8), (4, 128, 512)])
def test_embedding_is_read_row_by_row(batch: int, new: int, rows: int) -> None:
    assert operator(cost_of(new, 0, batch=batch), "embed_tokens").weight_bytes == rows * 4096 * 2


def test_embedding_rows_cannot_exceed_the_table() -> None:
    """65536 look-ups into 32000 rows read each row at most once."""
    assert operator(cost_of(8192, 0, batch=8), "embed_tokens").weight_bytes == 32_000 * 4096 * 2


def test_norms_are_two_a_layer_and_one() -> None:
    assert operator(cost_of(1, 0), "norms").weight_bytes == 65 * 4096 * 2


@pytest.mark.parametrize("precision", ["int8", "nf4", "nf4-dq"])
def test_quantised_models_keep_lm_head_and_embedding_in_fp16(precision: str) -> None:
    cost = cost_of(1, 512, precision=precision)

    assert operator(cost, "lm_head").weight_bytes == 262_144_000
    assert operator(cost, "embed_tokens").weight_bytes == 8192
    assert operator(cost, "norms").weight_bytes == 532_480


@pytest.mark.parametrize("precision", ["int8", "nf4", "nf4-dq"])
def test_quantised_models_keep_their_cache_in_fp16(precision: str) -> None:
    assert cost_of(1, 512, precision=precision).kv_bytes == 513 * KV_BYTES_PER_TOKEN


def test_nf4_computed_in_fp32_still_stores_16_bit() -> None:
    """The dtype of the products is not that of lm_head, embedding and cache."""
    precision = find_precision("nf4", compute="fp32")
    cost = pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=precision)

    assert cost.bytes == cost_of(1, 512, precision="nf4").bytes


def test_kv_dtype_can_be_given() -> None:
    precision = find_precision("fp16", kv="fp32")
    cost = pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=precision)

    assert cost.kv_bytes == 2 * 513 * KV_BYTES_PER_TOKEN


@pytest.mark.parametrize(
    ("precision", "resident"),
    [
        ("fp32", 28_966_928_384),
        ("fp16", 14_483_464_192),
        ("bf16", 14_483_464_192),
        ("int8", 7_509_647_360),
        ("nf4-dq", 4_125_467_520),
        ("nf4", 4_450_689_024),
    ],
)
def test_resident_weight_bytes(precision: str, resident: int) -> None:
    """As summed over the modules that bitsandbytes 0.50.2 makes of Mistral-7B."""
    assert resident_weight_bytes(MISTRAL, find_precision(precision)) == resident


def test_tied_embeddings_are_resident_once_and_read_once() -> None:
    """One tensor serves both ends: lm_head reads it whole, the embedding its rows."""
    tied = replace(MISTRAL, tied_embeddings=True)

    assert resident_weight_bytes(tied, find_precision("fp16")) == 14_483_464_192 - 262_144_000
    assert cost_of(1, 512, model=tied).bytes == cost_of(1, 512).bytes


@pytest.mark.parametrize(
    ("precision", "bits"), [("fp16", 16), ("int8", 8.0063), ("nf4", 4.5), ("nf4-dq", 4.1272)]
)
def test_stored_bits_per_quantised_parameter(precision: str, bits: float) -> None:
    """NF4 is 4.5 bit with its absmax, 4.127 bit with the absmax quantised too."""
    stored = find_precision(precision)
    linears = sum(count * stored.stored_bytes(linear) for count, linear in MISTRAL.linears)

    assert 8 * linears / 6_979_321_856 == pytest.approx(bits, abs=5e-5)


@pytest.mark.parametrize(
    ("precision", "linear_bytes"),
    [
        # 3 x 33 = 99 weights: 50 packed bytes, 2 blocks, 1 nested block
        ("nf4", 50 + 4 * 2),
        ("nf4-dq", 50 + 2 + 4 * 1 + 1028),
        ("int8", 99 + 4 * 3),
        ("fp32", 4 * 99),
    ],
)
def test_partial_blocks_are_stored_whole(precision: str, linear_bytes: int) -> None:
    assert find_precision(precision).linear_bytes(3, 33) == linear_bytes


@pytest.mark.parametrize(
    ("gpu", "precision", "floor_ms"),
    [
        ("t4", "nf4", 13.30),
        ("h100-sxm", "nf4", 1.270),
        ("t4", "nf4-dq", 12.28),
        ("h100-sxm", "nf4-dq", 1.173),
        ("t4", "fp16", 44.65),
        ("h100-sxm", "fp16", 4.265),
    ],
)
def test_decode_floor_at_512(gpu: str, precision: str, floor_ms: float) -> None:
    bound = pass_bound(cost_of(1, 512, precision=precision), find_gpu(gpu).roofs)

    assert bound.lower_s * 1e3 == pytest.approx(floor_ms, rel=5e-4)


@pytest.mark.parametrize(("gpu", "matrices"), [("t4", 2), ("h100-sxm", 0), (None, 0)])
def test_only_a_card_without_flash_attention_needs_room_for_all_scores(
    gpu: str | None, matrices: int
) -> None:
    """8192 x 8192 of 32 heads, in fp32 and more than once."""
    case = Case(model=NO_WINDOW.name, phase=Phase.PREFILL, batch=1, length=8192, precision="fp16")
    need = footprint(NO_WINDOW, case, find_precision("fp16"), find_gpu(gpu) if gpu else None)
    scores = 32 * 8192 * 8192 * 4

    assert matrices * scores <= need.activation_bytes < max(1, 2 * matrices) * scores


@pytest.mark.parametrize("gpu", ["t4", "h100-sxm", None])
def test_footprint_is_the_sum_of_its_parts(gpu: str | None) -> None:
    """A decode holds the weights, the cache and, for a moment, some of one layer."""
    case = Case(model=MISTRAL.name, phase=Phase.DECODE, batch=1, length=512, precision="nf4")
    need = footprint(MISTRAL, case, find_precision("nf4"), find_gpu(gpu) if gpu else None)

    assert need.weight_bytes == 4_450_689_024
    assert need.kv_bytes == 513 * 4096 * 32
    assert 0 < need.activation_bytes < 2**28
    assert need.total_bytes == need.weight_bytes + need.kv_bytes + need.activation_bytes
