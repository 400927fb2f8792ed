"""The tape of an eager pass: its FLOPs, its launches, its memory."""

from dataclasses import replace

import pytest

from analytic import find_gpu, find_precision, load_model, pass_cost, preset_names
from analytic.eager import eager_tape
from analytic.l2 import Cache
from analytic.passes import Pass
from analytic.tape import Gemm, Tape, Tensor, Touch

pytestmark = pytest.mark.analytic

H100, T4 = find_gpu("h100-sxm"), find_gpu("t4")
PASSES = {
    "prefill": Pass(batch=2, new_tokens=96, context_len=0),
    "decode": Pass(batch=3, new_tokens=1, context_len=300),
    "chunk": Pass(batch=1, new_tokens=64, context_len=5000),
}


@pytest.mark.parametrize("shape", PASSES.values(), ids=PASSES)
@pytest.mark.parametrize("name", preset_names())
def test_the_tape_has_the_flops_of_the_formulas(name: str, shape: Pass) -> None:
    """Two roads to the same number: kernel by kernel, and in closed form."""
    model = load_model(name)
    launched, counted = {}, {}
    for key in ("fp16", "nf4", "int8"):
        precision = find_precision(key)
        tape = eager_tape(model, shape, precision, H100)
        launched[key] = sum(kernel.gemm.flops * kernel.times for kernel in tape.kernels if kernel.gemm)
        counted[key] = pass_cost(
            model,
            batch=shape.batch,
            new_tokens=shape.new_tokens,
            context_len=shape.context_len,
            precision=precision,
        ).flops

    assert launched == counted


@pytest.mark.parametrize(
    ("new", "cached", "precision", "launches"),
    [
        (512, 0, "fp16", 1301),
        (1, 512, "fp16", 1301),  # and 192 split-K reductions of cuBLAS, which are not modelled
        (512, 0, "nf4", 1525),  # 224 linears dequantise first
        (1, 512, "nf4", 1301),  # all of them fused
    ],
)
def test_launches_of_mistral_7b_as_seen_on_an_h100(
    new: int, cached: int, precision: str, launches: int
) -> None:
    shape = Pass(batch=1, new_tokens=new, context_len=cached)
    tape = eager_tape(load_model("mistral-7b-v0.2"), shape, find_precision(precision), H100)

    assert tape.launches == launches


@pytest.mark.parametrize("shape", PASSES.values(), ids=PASSES)
@pytest.mark.parametrize(
    "name",
    ["mistral-7b-v0.1", "gemma-2-2b", "qwen2.5-0.5b", "deepseek-v2-lite", "pythia-2.8b", "falcon-7b", "gpt2"],
)
def test_layers_beyond_the_third_are_like_the_third(name: str, shape: Pass) -> None:
    """So three layers of each kind are enough to write out."""
    model, precision = load_model(name), find_precision("fp16")
    short, whole = (eager_tape(model, shape, precision, H100, **depth) for depth in ({}, {"depth": 1000}))
    traffics = [
        sum(
            (moved.read_bytes + moved.written_bytes) * moved.kernel.times
            for moved in Cache(bytes=H100.l2_bytes, sm_count=H100.sm_count).play(tape.kernels)
        )
        for tape in (short, whole)
    ]

    assert short.launches == whole.launches
    assert {kernel.times for kernel in whole.kernels} == {1}
    assert traffics[0] == pytest.approx(traffics[1], rel=2e-3)
    assert short.peak_bytes() == whole.peak_bytes()


def test_a_card_without_grouped_products_loops_over_the_experts() -> None:
    """Of Mixtral's eight each gathers its tokens, has two products, gates, and adds its
    part; together they need the first four once. In 32 layers."""
    model, shape = load_model("mixtral-8x7b-v0.1"), Pass(batch=1, new_tokens=512, context_len=0)
    grouped, looped = (
        sum(
            k.times
            for k in eager_tape(model, shape, find_precision("fp16"), gpu).kernels
            if k.operator == "experts"
        )
        for gpu in (H100, T4)
    )

    assert looped - grouped == 32 * (8 * 5 - 4)


def test_a_product_is_two_flops_for_each_multiply_add() -> None:
    assert Gemm(m=3, n=5, k=7, count=2, math="fp16").flops == 2 * 3 * 5 * 7 * 2


def test_a_gpu_of_the_same_key_that_differs_has_its_own_tape() -> None:
    """Tapes are kept, and a spec may come from a file that was changed."""
    model, shape, fp16 = load_model("mistral-7b-v0.2"), PASSES["prefill"], find_precision("fp16")
    old = replace(H100, compute_capability=(7, 5))

    assert eager_tape(model, shape, fp16, old).launches > eager_tape(model, shape, fp16, H100).launches
    assert eager_tape(model, shape, fp16, replace(H100)) is eager_tape(model, shape, fp16, H100)


def test_a_kernel_counts_the_bytes_it_touches() -> None:
    tape, whole, out = Tape(), Tensor("whole", 100), Tensor("out", 30)
    tape.run("op", "elementwise", [whole, Touch(whole, 25)], out)
    (kernel,) = tape.kernels

    assert (kernel.read_bytes, kernel.written_bytes) == (125, 30)


def test_launches_count_the_layers_that_are_not_written_out() -> None:
    tape = Tape()
    for times in (1, 1, 30):
        tape.times = times
        tape.elementwise("op", [], "x", 8)

    assert tape.recording().launches == 32


def test_the_peak_holds_what_a_kernel_reads_beside_what_it_writes() -> None:
    tape = Tape()
    first = tape.elementwise("op", [], "first", 1024)
    second = tape.elementwise("op", [first], "second", 2048, freed=[first])
    tape.elementwise("op", [second], "third", 512, freed=[second])

    assert tape.recording().peak_bytes() == 1024 + 2048


def test_blocks_are_rounded_up_to_512_bytes() -> None:
    tape = Tape()
    tape.elementwise("op", [], "tiny", 1)
    tape.elementwise("op", [], "a byte too much", 513)

    assert tape.recording().peak_bytes() == 512 + 1024


def test_weights_are_no_part_of_the_peak() -> None:
    tape, weight = Tape(), Tensor("weight", 10**9, kept=True)
    tape.elementwise("op", [weight], "out", 512)

    assert tape.recording().peak_bytes() == 512


def test_what_something_outside_holds_is_not_freed() -> None:
    tape, held = Tape(), Tensor("held", 4096)
    tape.hold(held)
    tape.run("op", "gather", [], held)
    last = tape.elementwise("op", [held], "a", 512, freed=[held])
    tape.elementwise("op", [last], "b", 1024, freed=[last])

    assert tape.recording().peak_bytes() == 4096 + 512 + 1024


def test_freed_late_is_freed_after_the_last_kernel() -> None:
    tape = Tape()
    first = tape.elementwise("op", [], "first", 1024)
    tape.elementwise("op", [first], "second", 512)
    tape.free(first)
    tape.elementwise("op", [], "third", 1024)

    assert tape.kernels[1].freed == (first,)
    assert tape.recording().peak_bytes() == 1024 + 512


def test_a_cache_that_grows_counts_its_old_copy_only() -> None:
    """torch.cat makes a new one beside the old; the new one stays, and is counted
    as cache, not as activations."""
    tape = Tape()
    old, new = Tensor("before", 8192, cache=True), Tensor("after", 8704, cache=True)
    key = tape.elementwise("op", [], "key", 512)
    tape.run("cache", "copy", [old, key], new, freed=[old, key])
    tape.elementwise("op", [new], "out", 1024)

    assert tape.recording().peak_bytes() == 8192 + 512


def test_caches_of_two_layers_grow_one_after_the_other() -> None:
    """So their old copies are never needed beside both new ones."""
    tape = Tape()
    for _ in range(2):
        key = tape.elementwise("op", [], "key", 512)
        old, new = Tensor("before", 8192, cache=True), Tensor("after", 8704, cache=True)
        tape.run("cache", "copy", [old, key], new, freed=[old, key])

    assert tape.recording().peak_bytes() == 8192 + 512
