"""Grids of bounds: equal to pass_cost and pass_bound point by point, and much faster."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from analytic import (
    PRECISIONS,
    ModelSpec,
    Phase,
    Precision,
    SpecError,
    find_gpu,
    find_precision,
    load_model,
    pass_bound,
    pass_cost,
    preset_names,
    read_config,
)
from analytic.footprint import cache_bytes, resident_weight_bytes
from analytic.sweep import COLUMNS, LARGEST, sweep

pytestmark = pytest.mark.analytic

# Small shapes with a window of 8, few positions and a small vocabulary, no two widths equal.
ODD = json.loads((Path(__file__).parent / "odd_configs.json").read_text(encoding="utf-8"))
H100, T4, V100 = (find_gpu(name) for name in ("h100-sxm", "t4", "v100-16-sxm"))
MISTRAL, GPT2 = load_model("mistral-7b-v0.1"), load_model("gpt2")
FP16 = find_precision("fp16")
PHASES = (Phase.PREFILL, Phase.DECODE)


def model_of(name: str) -> ModelSpec:
    return read_config(ODD[name], name=name, source="odd_configs.json") if name in ODD else load_model(name)


def around(*edges: int | None) -> set[int]:
    return {size for edge in edges if edge for size in (edge - 2, edge - 1, edge, edge + 1) if size >= 1}


def grids_of(model: ModelSpec, seed: str) -> list[tuple[list[int], list[int]]]:
    """Batches x lengths at random, and on both sides of where a closed form bends:
    at a window, the last learned position and the last row of the embedding."""
    chance = random.Random(seed)  # noqa: S311 - test points, no secrets
    windows = [stack.layer.attention.window for stack in model.stacks]
    lengths = around(*windows, model.position_rows) | {1, chance.randint(2, 40), chance.randint(41, 40_000)}
    few = chance.randint(2, 64)
    return [
        ([1, few], sorted(lengths)),
        ([model.vocab_size - 1, model.vocab_size + 1], [1, 3]),
        ([few], sorted({model.vocab_size // few, model.vocab_size // few + 1})),
    ]


def assert_equal(model: ModelSpec, phase: Phase, precision: Precision, logits: str) -> None:
    """Every point against pass_cost, pass_bound and the footprint's counts."""
    for batches, lengths in grids_of(model, f"{model.name} {phase} {precision.name}"):
        assert_grid_equal(model, phase, precision, logits, batches=batches, lengths=lengths)


def assert_grid_equal(
    model: ModelSpec,
    phase: Phase,
    precision: Precision,
    logits: str,
    *,
    batches: list[int],
    lengths: list[int],
) -> None:
    gpus = [gpu for gpu in (H100, T4) if all(map(gpu.supports, precision.dtypes))]
    found = sweep(
        model, phase=phase, batches=batches, lengths=lengths, gpus=gpus, precision=precision, logits=logits
    )
    assert found.lower_s.shape == (len(gpus), len(batches), len(lengths))
    weights = resident_weight_bytes(model, precision)
    pairs = [(b, n) for b in range(len(batches)) for n in range(len(lengths))]
    for b, n in pairs:
        batch = batches[b]
        new, cached = (lengths[n], 0) if phase is Phase.PREFILL else (1, lengths[n])
        cost = pass_cost(
            model, batch=batch, new_tokens=new, context_len=cached, precision=precision, logits=logits
        )
        held = weights + cache_bytes(model, precision, batch=batch, tokens=new + cached)
        assert (int(found.flops[b, n]), int(found.bytes[b, n])) == (cost.flops, cost.bytes)
        assert int(found.resident_bytes[b, n]) == held
        for g, gpu in enumerate(gpus):
            bound, point = pass_bound(cost, gpu.roofs), (g, b, n)
            times = (found.compute_s[point], found.memory_s[point], found.lower_s[point])
            assert times == pytest.approx((bound.compute_s, bound.memory_s, bound.lower_s), rel=1e-12, abs=0)
            rate = batch * new / bound.lower_s
            assert found.tokens_per_s[point] == pytest.approx(rate, rel=1e-12, abs=0)
            assert bool(found.compute_bound[point]) == (bound.limiter == "compute")
            assert bool(found.fits[point]) == (held <= gpu.usable_bytes)


@pytest.mark.parametrize("name", [*preset_names(), *ODD])
def test_a_grid_equals_its_points(name: str) -> None:
    model = model_of(name)
    for i, precision in enumerate(PRECISIONS):
        for phase in PHASES:
            # Half of the precisions with the one, half with the other; both in both phases.
            assert_equal(model, phase, find_precision(precision), ("last", "all")[i % 2])


@pytest.mark.parametrize("compute", ["fp32", "bf16"])
@pytest.mark.parametrize("precision", ["int8", "nf4"])
@pytest.mark.parametrize("name", ["opt-350m", "deepseek-v2-lite", "mixtral-8x7b-v0.1"])
def test_other_dtypes_reach_the_grid(name: str, precision: str, compute: str) -> None:
    """Products of two dtypes, each with its roof, and a cache in a third."""
    assert_equal(
        load_model(name), Phase.PREFILL, find_precision(precision, compute=compute, kv="fp32"), "last"
    )


def grid(**changes: Any) -> Any:
    sizes = {"batches": [1, 8], "lengths": [128, 512]}
    return sweep(
        **{"model": MISTRAL, "phase": Phase.DECODE, "gpus": [H100], "precision": FP16, **sizes, **changes}
    )


def test_one_point_by_hand() -> None:
    """GPT-2 on one token: an embedding row, a position, the weights, 12 layers' KV."""
    found = grid(model=GPT2, batches=[1], lengths=[1], phase=Phase.PREFILL)

    layers = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    norms_and_biases = 12 * (2 * 2 * 768 + (3 + 1 + 4 + 1) * 768) + 2 * 768
    assert found.flops.tolist() == [[2 * layers + 2 * 50257 * 768 + 12 * 4 * 768]]
    # The new token's keys and values are written; nothing is cached.
    assert found.bytes.tolist() == [[2 * (layers + norms_and_biases + 50257 * 768 + 2 * 768 + 12 * 2 * 768)]]


def test_a_gpu_without_a_dtype_has_a_note_and_no_numbers() -> None:
    found = grid(gpus=[H100, T4], precision=find_precision("bf16"))

    assert found.notes == ("", "t4 has no bf16 units")
    assert np.isfinite(found.lower_s[0]).all()
    for values in (found.compute_s, found.memory_s, found.lower_s, found.tokens_per_s):
        assert np.isnan(values[1]).all()
    rows = list(found.rows())
    assert {(row["gpu"], row["limiter"], row["lower_s"] is None) for row in rows} == {
        ("h100-sxm", "memory", False),
        ("t4", None, True),
    }


def test_no_gpu_with_the_dtype_is_an_error() -> None:
    with pytest.raises(SpecError, match=r"t4 .* has no bf16 units"):
        grid(gpus=[T4], precision=find_precision("bf16"))
    with pytest.raises(SpecError, match=r"t4 .* has no bf16 units"):
        grid(gpus=[T4, V100], precision=find_precision("bf16"))


def test_rows_are_the_arrays_in_order() -> None:
    found = grid(gpus=[H100, T4])
    rows = list(found.rows())

    assert len(rows) == found.points == 8
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [row["lower_s"] for row in rows] == found.lower_s.flatten().tolist()
    assert [(row["gpu"], row["batch"], row["context_len"]) for row in rows[:5]] == [
        ("h100-sxm", 1, 128),
        ("h100-sxm", 1, 512),
        ("h100-sxm", 8, 128),
        ("h100-sxm", 8, 512),
        ("t4", 1, 128),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": []}, "at least one batch"),
        ({"lengths": []}, "at least one batch, one length"),
        ({"gpus": []}, "one GPU"),
        ({"batches": [0, 1]}, "batch is 0"),
        ({"lengths": [-5]}, "length is -5"),
        ({"lengths": [1.5]}, r"length is 1\.5"),
        ({"batches": [True]}, "batch is True"),
        ({"batches": ["4"]}, "batch is '4'"),
        ({"batches": [2, 1]}, "batch 1 comes after 2"),
        ({"lengths": [3, 3]}, "length 3 comes after 3"),
        ({"batches": range(1, 7073), "lengths": range(1, 7073)}, "50,013,184 points are too many"),
        ({"phase": Phase.GENERATE}, "unknown phase of a sweep 'generate'"),
        ({"phase": "sideways"}, "unknown phase of a sweep 'sideways'"),
        ({"logits": "none"}, "logits is 'none'"),
        ({"batches": [2**62]}, "are more than a sweep counts"),
        ({"batches": [2**30]}, "FLOPs are more than a sweep counts"),
        ({"batches": [2**63]}, "a batch is larger than a sweep counts"),
        ({"lengths": [10**5000]}, "a length is larger than a sweep counts"),
        # Past a window the cost no longer grows, but the length itself must be held too.
        ({"batches": [1], "lengths": [LARGEST]}, "tokens are more than a sweep counts"),
    ],
)
def test_bad_input_is_a_spec_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        grid(**changes)


def test_counts_are_exact_up_to_the_last_that_int64_holds() -> None:
    """The largest batch at which nothing overflows, found by pass_cost in Python's own integers."""

    def cost(batch: int) -> Any:
        return pass_cost(MISTRAL, batch=batch, new_tokens=4096, context_len=0, precision=FP16)

    most = LARGEST // cost(1).flops
    assert cost(most).flops <= LARGEST < cost(most + 1).flops
    found = grid(phase=Phase.PREFILL, batches=[1, most], lengths=[4096])
    assert [[cost(1).flops], [cost(most).flops]] == found.flops.tolist()
    assert (found.bytes > 0).all()
    with pytest.raises(SpecError, match="FLOPs are more"):
        grid(phase=Phase.PREFILL, batches=[1, most + 1], lengths=[4096])


def test_numpy_sizes_are_sizes() -> None:
    assert grid(batches=np.array([1, 8])).flops.tolist() == grid().flops.tolist()


def _best_s(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        begun = perf_counter()
        run()
        times.append(perf_counter() - begun)
    return min(times)


def test_a_grid_is_fifty_times_faster_per_point_than_a_loop() -> None:
    """Both in one run on one machine: a ratio, no absolute time."""
    batches, lengths = range(1, 257), range(16, 4097, 16)

    def loop() -> None:
        for length in lengths[:40]:
            pass_bound(
                pass_cost(MISTRAL, batch=8, new_tokens=1, context_len=length, precision=FP16), H100.roofs
            )

    each_s = _best_s(loop) / 40
    swept_s = _best_s(lambda: grid(batches=batches, lengths=lengths)) / (len(batches) * len(lengths))
    assert each_s / swept_s > 50
