"""The L2 cache: what is found there, what is written over in it, what goes to DRAM."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from analytic import find_gpu, find_precision, load_model
from analytic.eager import eager_tape
from analytic.l2 import FAR, NEAR, TILE, Cache, Moved
from analytic.passes import Pass
from analytic.tape import Gemm, Kernel, Tape, Tensor, Touch

pytestmark = pytest.mark.analytic

H100 = find_gpu("h100-sxm")
PASSES = {
    "prefill": Pass(batch=1, new_tokens=512, context_len=0),
    "decode": Pass(batch=1, new_tokens=1, context_len=512),
    "chunk": Pass(batch=4, new_tokens=64, context_len=300),
}
NAMES = ("mistral-7b-v0.2", "qwen2.5-0.5b", "gemma-2-2b", "mixtral-8x7b-v0.1", "gpt2")
# A cache whose chances are easy to say: none is missed nearer than 200, all from 900 on.
SMALL = 1000


def kernels(name: str, shape: Pass, precision: str = "fp16") -> Sequence[Kernel]:
    return eager_tape(load_model(name), shape, find_precision(precision), H100).kernels


def played(tape: Tape | Sequence[Kernel], size: float, *, sm_count: int = 132) -> tuple[Moved, ...]:
    given = tape.kernels if isinstance(tape, Tape) else tape
    return Cache(bytes=size, sm_count=sm_count).play(given)


def stream(tape: Tape, size: int) -> None:
    """A kernel that brings `size` bytes into the cache and leaves nothing else."""
    tape.run("other", "elementwise", [Tensor("weights", size, kept=True)])


def chance(distance: float) -> float:
    near, far = NEAR * SMALL, FAR * SMALL
    return min(1.0, max(0.0, (distance - near) / (far - near)))


def read_everything(moved: Sequence[Moved]) -> float:
    return sum(m.read_bytes * m.kernel.times for m in moved)


@pytest.mark.parametrize("shape", PASSES.values(), ids=PASSES)
@pytest.mark.parametrize("name", NAMES)
def test_without_a_cache_every_touch_goes_to_dram(name: str, shape: Pass) -> None:
    """A matrix product in several waves may read an operand more than once."""
    for moved in played(kernels(name, shape), 0):
        assert moved.read_bytes >= moved.kernel.read_bytes
        assert moved.kernel.kind == "gemm" or moved.read_bytes == moved.kernel.read_bytes
        assert moved.written_bytes == moved.kernel.written_bytes
        assert moved.resident == ()


@pytest.mark.parametrize("shape", PASSES.values(), ids=PASSES)
@pytest.mark.parametrize("name", NAMES)
def test_an_endless_cache_reads_only_what_it_has_never_seen(name: str, shape: Pass) -> None:
    tape = kernels(name, shape)
    seen: set[Tensor] = set()
    for moved in played(tape, 1e18):
        touched = moved.kernel.reads
        assert moved.read_bytes == sum(t.bytes for t in touched if t.tensor not in seen)
        seen |= {t.tensor for t in (*touched, *moved.kernel.writes)}


@pytest.mark.parametrize("shape", PASSES.values(), ids=PASSES)
@pytest.mark.parametrize("name", NAMES)
def test_a_larger_cache_never_reads_more(name: str, shape: Pass) -> None:
    tape = kernels(name, shape)
    sizes = [10.0**exponent for exponent in range(12)]
    reads = [read_everything(played(tape, size)) for size in sizes]

    # But for rounding, which differs between versions of Python.
    assert all(more >= fewer * (1 - 1e-9) for more, fewer in pairwise(reads))


@pytest.mark.parametrize("shape", PASSES.values(), ids=PASSES)
def test_no_cache_at_all_reads_no_less_than_a_tiny_one(shape: Pass) -> None:
    """What a matrix product reads again in its waves is there to be read without a cache too."""
    tape = kernels("mistral-7b-v0.2", shape)

    assert read_everything(played(tape, 0)) >= read_everything(played(tape, 1))


def test_what_was_just_written_is_found_and_named() -> None:
    tape = Tape()
    made = tape.elementwise("op", [], "made", 100)
    tape.elementwise("op", [made], "next", 50)
    moved = played(tape, SMALL)

    assert moved[1].read_bytes == 0
    assert moved[1].resident == (("made", 100.0),)


@pytest.mark.parametrize(("between", "share"), [(0, 0.0), (100, 0.0), (450, 0.5), (800, 1.0), (10**6, 1.0)])
def test_what_lies_between_decides(between: int, share: float) -> None:
    """A tensor of 100 bytes read by a kernel that fills 100 as well: every byte was
    touched 100 + between ago, and 550 is half way from 200 to 900."""
    tape = Tape()
    made = tape.elementwise("op", [], "made", 100)
    stream(tape, between)
    tape.elementwise("op", [made], "next", 100)

    assert played(tape, SMALL)[-1].read_bytes == pytest.approx(share * 100)


@pytest.mark.parametrize(
    ("last", "between", "this"),
    [
        (100, 150, 250),
        (100, 0, 300),
        (400, 400, 600),
        (10, 900, 10),
        (700, 0, 1300),
        (1, 0, 5000),
        (5000, 0, 1),
    ],
)
def test_reuse_distance_runs_from_the_last_kernels_fill_to_this_ones(
    last: int, between: int, this: int
) -> None:
    """(1 - u) last + between + u this, summed here byte by byte."""
    tape = Tape()
    made = tape.elementwise("op", [], "made", last)
    if between:
        stream(tape, between)
    tape.elementwise("op", [made], "next", this)
    steps = 10_000
    places = ((i + 0.5) / steps for i in range(steps))
    expected = sum(chance((1 - u) * last + between + u * this) for u in places) / steps

    moved = played(tape, SMALL)[-1]
    assert moved.read_bytes == pytest.approx(expected * last, rel=1e-4, abs=1e-6)
    assert sum(size for _, size in moved.resident) == pytest.approx((1 - expected) * last, rel=1e-3, abs=1e-6)


def test_a_miss_brings_a_tensor_back() -> None:
    """Read again after it was evicted, it is near the third time."""
    tape, weight = Tape(), Tensor("weight", 100, kept=True)
    for read in (weight, Tensor("large", 5000, kept=True), weight, weight):
        tape.run("op", "elementwise", [read])

    assert [moved.read_bytes for moved in played(tape, SMALL)] == [100, 5000, 100, 0]


def reused(*, between: int = 0, size: int = 100) -> float:
    """DRAM bytes written by a tensor of 100 that is freed and a second of `size`."""
    tape = Tape()
    made = tape.elementwise("op", [], "made", 100)
    tape.run("op", "elementwise", [made], freed=[made])
    stream(tape, between)
    tape.elementwise("op", [], "next", size)
    return written(played(tape, SMALL))


def written(moved: Sequence[Moved]) -> float:
    """Over the pass: which kernel evicts what is another question."""
    return sum(m.written_bytes for m in moved)


def test_a_freed_block_written_again_before_its_eviction_goes_to_dram_once() -> None:
    assert reused() == 100


def test_a_freed_block_that_was_evicted_goes_to_dram_twice() -> None:
    assert reused(between=5000) == 200


def test_a_block_of_another_size_is_another_block() -> None:
    assert reused(size=101) == 201


def test_a_freed_block_is_handed_out_once() -> None:
    tape = Tape()
    made = tape.elementwise("op", [], "made", 100)
    tape.run("op", "elementwise", [made], freed=[made])
    for name in ("one", "two"):
        tape.elementwise("op", [], name, 100)

    assert written(played(tape, SMALL)) == 200


def test_a_block_in_use_is_not_written_over() -> None:
    tape = Tape()
    for name in ("one", "two"):
        tape.elementwise("op", [], name, 100)

    assert written(played(tape, SMALL)) == 200


def test_what_was_written_goes_to_dram_with_the_kernel_that_fills_the_cache_over() -> None:
    tape = Tape()
    tape.elementwise("op", [], "made", 100)
    for size in (SMALL // 2, SMALL, 10):
        stream(tape, size)

    assert [moved.written_bytes for moved in played(tape, SMALL)] == [0, 0, 100, 0]


def test_what_the_last_kernels_leave_is_charged_to_the_first() -> None:
    """As in a step that follows its like: the cache never begins empty."""
    tape = Tape()
    for size in (SMALL // 2, SMALL):
        stream(tape, size)
    tape.elementwise("op", [], "made", 100)

    assert [moved.written_bytes for moved in played(tape, SMALL)] == [0, 100, 0]


def test_what_is_written_in_layers_that_are_not_written_out_counts_in_all_of_them() -> None:
    tape = Tape()
    tape.times = 7
    tape.elementwise("op", [], "made", 100)
    tape.times = 1
    stream(tape, 2 * SMALL)

    assert sum(m.written_bytes * m.kernel.times for m in played(tape, SMALL)) == pytest.approx(700)


def test_a_product_in_many_waves_reads_the_cheaper_operand_again() -> None:
    """Four waves on one multiprocessor: without room for it, the smaller comes three times more."""
    tape = Tape()
    small, large = Tensor("small", 5000, kept=True), Tensor("large", 20_000, kept=True)
    gemm = Gemm(m=4, n=TILE, k=8, count=1, math="fp16")
    tape.run("op", "gemm", [small, large], Tensor("out", 4 * TILE * 2), gemm=gemm)

    (crowded,), (roomy,), (wide,) = (
        played(tape, SMALL, sm_count=1),
        played(tape, 1e9, sm_count=1),
        played(tape, SMALL, sm_count=4),
    )
    assert crowded.read_bytes == 25_000 + 3 * 5000
    assert roomy.read_bytes == wide.read_bytes == 25_000


def test_a_part_that_is_read_counts_as_that_part() -> None:
    tape, weight = Tape(), Tensor("weight", 1000, kept=True)
    tape.run("op", "elementwise", [Touch(weight, 250)])

    assert played(tape, SMALL)[0].read_bytes == 250
