"""Ideal, fused and eager traffic: hand numbers of what each adds."""

import pytest

from analytic import GpuSpec, SpecError, find_gpu, find_precision, load_model, pass_cost, preset_names
from analytic.passes import Pass
from analytic.traffic import OperatorTraffic, Traffic, traffic

pytestmark = pytest.mark.analytic

H100, T4 = find_gpu("h100-sxm"), find_gpu("t4")
MISTRAL = load_model("mistral-7b-v0.2")
PREFILL = Pass(batch=1, new_tokens=512, context_len=0)
DECODE = Pass(batch=1, new_tokens=1, context_len=512)

LINEAR_PARAMS = 6_979_321_856
KV_BYTES_PER_TOKEN = 131_072


def moved(
    which: str,
    shape: Pass,
    precision: str = "fp16",
    *,
    gpu: GpuSpec = H100,
    l2: float | None = None,
    **options: str,
) -> Traffic:
    return traffic(which, MISTRAL, shape, find_precision(precision), gpu, l2_bytes=l2, **options)


def operator(found: Traffic, name: str) -> OperatorTraffic:
    return next(op for op in found.operators if op.name == name)


@pytest.mark.parametrize("precision", ["fp16", "int8", "nf4", "nf4-dq"])
@pytest.mark.parametrize("name", preset_names())
def test_three_traffics_of_every_preset_are_ordered(name: str, precision: str) -> None:
    """With an L2 that keeps nothing, so that eager's reuse hides nothing."""
    model, stored = load_model(name), find_precision(precision)
    for shape in (PREFILL, DECODE, Pass(batch=8, new_tokens=1, context_len=3000)):
        ideal, fused, eager = (
            traffic(which, model, shape, stored, H100, l2_bytes=0).bytes
            for which in ("ideal", "fused", "eager")
        )
        assert ideal <= fused <= eager


@pytest.mark.parametrize("shape", [PREFILL, DECODE, Pass(batch=4, new_tokens=64, context_len=700)])
@pytest.mark.parametrize("name", ["mistral-7b-v0.1", "gemma-2-2b", "deepseek-v2-lite", "falcon-7b"])
def test_ideal_is_the_compulsory_traffic_read_and_written(name: str, shape: Pass) -> None:
    model, precision = load_model(name), find_precision("nf4")
    found = traffic("ideal", model, shape, precision, H100)
    cost = pass_cost(
        model,
        batch=shape.batch,
        new_tokens=shape.new_tokens,
        context_len=shape.context_len,
        precision=precision,
    )

    assert found.bytes == cost.bytes
    assert found.read_bytes + found.written_bytes == cost.bytes
    assert found.written_bytes == sum(op.kv_written_bytes for op in cost.operators)


def test_ideal_writes_new_keys_and_values_alone() -> None:
    assert moved("ideal", PREFILL).written_bytes == 512 * KV_BYTES_PER_TOKEN
    assert moved("ideal", DECODE).written_bytes == KV_BYTES_PER_TOKEN


def test_fused_tells_neither_reads_from_writes_nor_launches() -> None:
    found = moved("fused", PREFILL)

    assert (found.read_bytes, found.written_bytes, found.launches) == (None, None, None)
    assert found.bytes == sum(op.bytes for op in found.operators)


def test_fused_adds_what_an_operator_reads_and_writes() -> None:
    """gate_proj: 512 tokens of 4096 in, 14336 out, in 32 layers, beside its weights."""
    weights, activations = 2 * 14_336 * 4096, 2 * 512 * (4096 + 14_336)

    assert operator(moved("fused", PREFILL), "gate_proj").bytes == 32 * (weights + activations)


def test_fused_never_writes_the_scores() -> None:
    """Attention of 8192 tokens: q, k, v and the output of 32 + 2 x 8 + 32 heads, and
    the cache, which is written."""
    long = Pass(batch=1, new_tokens=8192, context_len=0)
    tensors = 2 * 8192 * 128 * (32 + 2 * 8 + 32)

    assert operator(moved("fused", long), "attention").bytes == 32 * tensors + 8192 * KV_BYTES_PER_TOKEN


def test_eager_sums_reads_and_writes_of_every_launch() -> None:
    found = moved("eager", DECODE)

    assert found.bytes == pytest.approx(found.read_bytes + found.written_bytes)
    assert found.launches == sum(op.launches for op in found.operators) == 1301


def test_eager_names_what_the_l2_keeps() -> None:
    """33.6 MB of keys (and of values) that torch.cat has just written are read by
    attention from the 50 MiB of an H100, largest first."""
    resident = moved("eager", DECODE).resident
    sizes = [size for _, size in resident]

    assert {"cached keys", "cached values"} <= {name for name, _ in resident}
    assert dict(resident)["cached keys"] == 513 * KV_BYTES_PER_TOKEN / 2
    assert sizes == sorted(sizes, reverse=True)


def test_what_no_l2_holds_is_not_named() -> None:
    assert moved("eager", DECODE, l2=0).resident == ()


def test_a_cache_larger_than_the_l2_is_read_again() -> None:
    """One layer of 131072 tokens is 537 MB; the L2 still holds a tenth of that at most."""
    long = Pass(batch=1, new_tokens=1, context_len=131_072)
    kept = dict(moved("eager", long).resident)

    assert "cached keys" not in kept
    assert operator(moved("eager", long), "attention").bytes >= 0.9 * 131_072 * KV_BYTES_PER_TOKEN


def test_dynamic_cache_reads_and_writes_all_of_it_at_every_step() -> None:
    """torch.cat: 512 tokens and the new one in, 513 out, whatever attention reads then."""
    cache = operator(moved("eager", DECODE, l2=0), "cache")

    assert cache.read_bytes == cache.written_bytes == 513 * KV_BYTES_PER_TOKEN
    assert cache.bytes == 2 * operator(moved("ideal", DECODE), "attention").bytes


def test_nf4_prefill_moves_each_weight_three_times() -> None:
    """Read in 4.5 bit, written in 16, read in 16: 4.5625 bytes, not 2."""
    nf4, fp16 = (moved("eager", PREFILL, precision, l2=0) for precision in ("nf4", "fp16"))

    assert (nf4.bytes - fp16.bytes) / LINEAR_PARAMS == pytest.approx(4.5625 - 2, rel=1e-12)


def test_the_copies_of_nf4_are_on_a_real_card_as_well() -> None:
    """One matrix of 117 MB is more than its 50 MiB L2."""
    nf4, fp16 = (operator(moved("eager", PREFILL, precision), "gate_proj") for precision in ("nf4", "fp16"))

    assert (nf4.bytes - fp16.bytes) / (32 * 14_336 * 4096) == pytest.approx(2.5625, rel=0.1)


def test_nf4_decode_reads_the_packed_weights_once() -> None:
    gate = operator(moved("eager", DECODE, "nf4", l2=0), "gate_proj")

    assert gate.read_bytes == 32 * (14_336 * 4096 * 0.5625 + 4096 * 2)
    assert gate.written_bytes == 32 * 14_336 * 2


def test_int8_writes_its_sums_in_32_bit_and_reads_them_again() -> None:
    """q_proj on 512 tokens: outliers are looked for (2 + 2, 2 + 1, 1), rows quantised
    (2 + 1 and a statistic), multiplied into int32, and these made fp16."""
    tokens, width = 512, 4096
    x = y = tokens * width
    search, quantise = (2 * x + 2 * x) + (2 * x + x) + x, 2 * x + x + 4 * tokens
    product, dequantise = width * width + x + 4 * y, 4 * y + 4 * tokens + 4 * width + 2 * y
    found = operator(moved("eager", PREFILL, "int8", l2=0), "q_proj")

    assert found.bytes == 32 * (search + quantise + product + dequantise)


def test_a_t4_writes_the_scores_of_grouped_queries() -> None:
    """In fp32, of 32 heads: written, masked (read, written), normalised (read, written),
    read by the second product; an H100 writes none of it."""
    long = Pass(batch=1, new_tokens=2048, context_len=0)
    scores = 32 * 32 * 2048 * 2048 * 4
    on_t4, on_h100 = (operator(moved("eager", long, gpu=gpu, l2=0), "attention").bytes for gpu in (T4, H100))

    assert 6 * scores <= on_t4 < 7.5 * scores
    assert on_h100 < 0.1 * scores


def test_a_chosen_attention_is_the_one_that_counts() -> None:
    eager = moved("eager", PREFILL, attention="eager")

    assert [found.backend for found in eager.attention] == ["eager"]
    assert operator(eager, "attention").bytes > operator(moved("eager", PREFILL), "attention").bytes


def test_every_kind_of_layer_says_its_attention() -> None:
    precision = find_precision("fp16")
    windowed = traffic("eager", load_model("gemma-2-2b"), PREFILL, precision, H100).attention

    assert [found.backend for found in windowed] == ["eager", "eager"]


def test_an_unknown_model_of_traffic_lists_the_three() -> None:
    with pytest.raises(SpecError, match=r"unknown traffic model 'eagre'.*Known: eager, fused, ideal"):
        moved("eagre", PREFILL)
