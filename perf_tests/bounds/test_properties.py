"""What holds for every model and every pass, not only for those with known figures."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytic import (
    PRECISIONS,
    Cost,
    ModelSpec,
    Precision,
    Roofs,
    find_gpu,
    find_precision,
    pass_bound,
    pass_cost,
)
from analytic.eager import eager_tape
from analytic.l2 import Cache
from analytic.passes import Pass
from analytic.traffic import traffic

pytest.importorskip("hypothesis", reason="the property tests need hypothesis, of the dev extra")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from perf_tests.bounds.random_models import configs, deeper, models, passes, spec

pytestmark = pytest.mark.analytic

# Listing tests leaves nothing in the working tree; hypothesis would begin its store.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "roofgate-hypothesis")

H100 = find_gpu("h100-sxm")
FP16 = find_precision("fp16")
PRECISION = st.sampled_from([find_precision(name) for name in PRECISIONS])
# The same examples in every run, and no clock that could fail one.
fixed = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def cost_of(model: ModelSpec, shape: Pass, precision: Precision = FP16, **flags: Any) -> Cost:
    return pass_cost(
        model,
        batch=shape.batch,
        new_tokens=shape.new_tokens,
        context_len=shape.context_len,
        logits=shape.logits,
        precision=precision,
        **flags,
    )


def assert_no_less(more: Cost, less: Cost) -> None:
    assert more.flops >= less.flops
    assert more.bytes >= less.bytes
    assert more.fused_bytes >= less.fused_bytes


@fixed
@given(models(), passes(), PRECISION, st.integers(1, 9))
def test_a_larger_batch_costs_no_less(model: ModelSpec, shape: Pass, precision: Precision, more: int) -> None:
    larger = replace(shape, batch=shape.batch + more)

    assert_no_less(cost_of(model, larger, precision), cost_of(model, shape, precision))


@fixed
@given(models(), passes(), PRECISION, st.integers(1, 300))
def test_a_longer_prompt_costs_no_less(
    model: ModelSpec, shape: Pass, precision: Precision, more: int
) -> None:
    prefill = replace(shape, context_len=0)
    longer = replace(prefill, new_tokens=prefill.new_tokens + more)

    assert_no_less(cost_of(model, longer, precision), cost_of(model, prefill, precision))


@fixed
@given(models(), passes(), PRECISION, st.integers(1, 300))
def test_a_longer_context_costs_no_less(
    model: ModelSpec, shape: Pass, precision: Precision, more: int
) -> None:
    later = replace(shape, context_len=shape.context_len + more)

    assert_no_less(cost_of(model, later, precision), cost_of(model, shape, precision))


@fixed
@given(configs(), passes(), PRECISION)
def test_one_layer_more_costs_more(config: dict[str, Any], shape: Pass, precision: Precision) -> None:
    less, more = (cost_of(spec(c), shape, precision) for c in (config, deeper(config)))

    assert_no_less(more, less)
    assert more.flops > less.flops


@fixed
@given(models(), passes(), st.integers(1, 300))
def test_a_prompt_in_two_chunks_has_the_flops_of_a_whole_one(
    model: ModelSpec, shape: Pass, more: int
) -> None:
    """Counted causally, with all logits, and without expanding cached latents again:
    then each token and each pair is computed once, wherever the prompt is cut."""
    first = replace(shape, context_len=0, logits="all")
    second = replace(first, new_tokens=more, context_len=first.new_tokens)
    whole = replace(first, new_tokens=first.new_tokens + more)
    parts, all_at_once = (
        sum(cost_of(model, one, causal=True, absorbed=True).flops for one in passes_)
        for passes_ in ((first, second), (whole,))
    )

    assert parts == all_at_once


@fixed
@given(models(), passes(), PRECISION)
def test_a_causal_mask_takes_flops_away_and_no_bytes(
    model: ModelSpec, shape: Pass, precision: Precision
) -> None:
    full, causal = (cost_of(model, shape, precision, causal=c) for c in (False, True))

    assert causal.flops <= full.flops
    assert (causal.bytes, causal.fused_bytes) == (full.bytes, full.fused_bytes)
    if shape.new_tokens > 1:
        assert causal.flops < full.flops


@fixed
@given(models(), passes(), PRECISION)
def test_a_gpu_twice_as_fast_needs_half_the_time(model: ModelSpec, shape: Pass, precision: Precision) -> None:
    cost = cost_of(model, shape, precision)
    twice = Roofs(
        label="twice",
        bytes_per_s=2 * H100.bytes_per_s,
        flops_per_s={dtype: 2 * peak for dtype, peak in H100.flops_per_s.items()},
    )
    before, after = pass_bound(cost, H100.roofs), pass_bound(cost, twice)

    assert after.lower_s == before.lower_s / 2
    assert after.serial_s == before.serial_s / 2
    assert after.limiter == before.limiter


@fixed
@given(models(), passes(), PRECISION)
def test_perfect_overlap_is_never_the_slower_bound(
    model: ModelSpec, shape: Pass, precision: Precision
) -> None:
    bound = pass_bound(cost_of(model, shape, precision), H100.roofs)

    assert max(bound.compute_s, bound.memory_s) == bound.lower_s <= bound.serial_s
    assert bound.serial_s <= (bound.compute_s + bound.memory_s) * (1 + 1e-12)


@fixed
@given(models(), passes(), PRECISION)
def test_ideal_is_the_least_and_eager_without_a_cache_the_most(
    model: ModelSpec, shape: Pass, precision: Precision
) -> None:
    """Every engine moves what must be moved; eager modules, what fused ones do and more."""
    ideal, fused, eager = (
        traffic(which, model, shape, precision, H100, l2_bytes=0).bytes
        for which in ("ideal", "fused", "eager")
    )

    assert ideal <= fused
    assert fused <= eager


@fixed
@given(models(), passes(), PRECISION, st.floats(1e3, 1e9), st.floats(1, 100))
def test_a_larger_l2_never_reads_or_writes_more(
    model: ModelSpec, shape: Pass, precision: Precision, size: float, factor: float
) -> None:
    kernels = eager_tape(model, shape, precision, H100).kernels
    small, large = (Cache(bytes=c, sm_count=H100.sm_count).play(kernels) for c in (size, size * factor))

    # Over the whole pass: which kernel evicts what depends on the size.
    for moved in ("read_bytes", "written_bytes"):
        few, many = (sum(getattr(m, moved) * m.kernel.times for m in found) for found in (large, small))
        assert few <= many * (1 + 1e-9)


@fixed
@given(models(), passes(), PRECISION)
def test_the_tape_multiplies_what_the_formulas_count(
    model: ModelSpec, shape: Pass, precision: Precision
) -> None:
    tape = eager_tape(model, shape, precision, H100)
    launched = sum(kernel.gemm.flops * kernel.times for kernel in tape.kernels if kernel.gemm)

    assert launched == cost_of(model, shape, precision).flops
