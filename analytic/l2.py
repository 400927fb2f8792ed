"""What of a tape's traffic reaches DRAM: the L2 cache, tensor by tensor.

A kernel streams through its tensors from their first byte to their last. Byte
u of a tensor (0 to 1) was last touched when the kernel before had streamed as
far, so between the two touches lie

    reuse distance(u) = (1 - u) last kernel's fill + fills between + u this kernel's fill

bytes that were brought into the cache. A least-recently-used cache of C bytes
holds what is nearer than C. The caches of real GPUs are hashed, split in
partitions and not quite LRU: the chance of a miss rises linearly from none at
`NEAR` C to certainty at `FAR` C. Written data goes to DRAM when it is evicted,
by a later kernel, unless its block is freed and written again before that.

A matrix product too large for one wave of thread blocks reads one operand again
in every wave, and finds it in the cache or not by the same rule.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from analytic.tape import Gemm, Kernel, Tensor

# Calibrated on an H100 (50 MiB) with Nsight Compute's DRAM counters: 24 cases of
# Mistral-7B and Qwen2.5-1.5B, each cut to four layers. How far it is off on other
# models and lengths: python -m perf_tests.dram_counters compare.
NEAR = 0.2
FAR = 0.9

# Output elements of one thread block's tile in cuBLAS' large fp16 kernels (128 x 256
# on sm90), one block per multiprocessor.
TILE = 128 * 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """DRAM bytes of one kernel. `resident` are (tensor, bytes) that were read from
    the cache instead."""

    kernel: Kernel
    read_bytes: float
    written_bytes: float
    resident: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unwritten:
    """Bytes that DRAM does not know yet, and the stream position of their last touch."""

    position: float
    bytes: float


@dataclass(slots=True)
class _Block:
    """A block of memory: when it was last touched, and whether DRAM knows what it holds."""

    bytes: int
    end: float  # stream position at which the last kernel that touched it ended
    fill: float  # what that kernel filled
    dirty: float = 0.0  # bytes written and not yet in DRAM


@dataclass(slots=True)
class Cache:
    """An L2 of `bytes` (0: every touch goes to DRAM) on a chip of `sm_count`
    multiprocessors (for the waves of matrix products)."""

    bytes: float
    sm_count: int
    _position: float = 0.0
    _unwritten: deque[_Unwritten] = field(default_factory=deque)
    _blocks: dict[Tensor, _Block] = field(default_factory=dict)
    _free: dict[int, list[_Block]] = field(default_factory=dict)

    def play(self, kernels: Sequence[Kernel]) -> tuple[Moved, ...]:
        """The DRAM traffic of each kernel, in order. What the last ones leave unwritten
        is charged to the first, as if the same pass had gone before."""
        found, ends = [], []
        for kernel in kernels:
            found.append(self._run(kernel))
            ends.append(self._position)
        for left in self._unwritten:
            when = left.position + self.bytes - self._position
            first = min(bisect_left(ends, when), len(found) - 1)
            moved = found[first]
            written = moved.written_bytes + left.bytes / moved.kernel.times
            found[first] = replace(moved, written_bytes=written)
        self._unwritten.clear()
        return tuple(found)

    def _run(self, kernel: Kernel) -> Moved:
        new = sum(t.bytes for t in kernel.reads if t.tensor not in self._blocks)
        upper = float(new + kernel.written_bytes)
        missed, resident = 0.0, []
        for touch in kernel.reads:
            share = self._miss_share(touch.tensor, upper)
            missed += share * touch.bytes
            if share < 1:
                resident.append((touch.tensor.name, (1 - share) * touch.bytes))
        if kernel.gemm and kernel.kind == "gemm":
            missed += self._again(kernel, kernel.gemm)
        kept = self._write(kernel, missed)
        fill = missed + kernel.written_bytes
        self._position += fill
        if kept > 0:
            # Over all layers that a kernel stands for, what is left is written once.
            left = _Unwritten(position=self._position, bytes=kept * kernel.times)
            self._unwritten.append(left)
        written = self._evicted() / kernel.times
        for touch in (*kernel.reads, *kernel.writes):
            self._touch(touch.tensor, fill)
        for tensor in kernel.freed:
            block = self._blocks.pop(tensor, None)
            if block:
                self._free.setdefault(block.bytes, []).append(block)
        return Moved(kernel=kernel, read_bytes=missed, written_bytes=written, resident=tuple(resident))

    def _miss_share(self, tensor: Tensor, fill: float) -> float:
        """The share of a tensor that is no longer in the cache when a kernel reads it."""
        block = self._blocks.get(tensor)
        if block is None or self.bytes <= 0:
            return 1.0
        between = self._position - block.end
        return self._mean_miss(between + block.fill, between + fill)

    def _mean_miss(self, first: float, last: float) -> float:
        """The mean chance of a miss over reuse distances from `first` to `last`."""
        near, far = NEAR * self.bytes, FAR * self.bytes
        if far <= 0:
            return 1.0
        low, high = sorted((first, last))
        if high - low < 1:
            return min(1.0, max(0.0, (low - near) / (far - near)))

        def area(x: float) -> float:  # the integral of the chance from 0 to x
            inside = min(max(x - near, 0.0), far - near)
            return inside * inside / (2 * (far - near)) + max(0.0, x - far)

        return (area(high) - area(low)) / (high - low)

    def _again(self, kernel: Kernel, gemm: Gemm) -> float:
        """Bytes read once more because a product runs in several waves: the operand
        that is cheaper to repeat is."""
        waves = gemm.m * gemm.n / (TILE * self.sm_count)
        if waves <= 1 or len(kernel.reads) < 2:
            return 0.0
        sizes = [touch.bytes for touch in kernel.reads[:2]]
        return min(
            (waves - 1) * again * self._mean_miss(*[again + (other + kernel.written_bytes) / waves] * 2)
            for again, other in (sizes, sizes[::-1])
        )

    def _write(self, kernel: Kernel, missed: float) -> float:
        """Bytes that a kernel leaves to be written to DRAM. Each block's data goes there
        once, but for what is written over before it is evicted."""
        saved = 0.0
        for touch in kernel.writes:
            if touch.tensor in self._blocks:
                continue
            block = self._reused(touch.tensor)
            if block is not None and self.bytes > 0:
                distance = self._position - block.end
                chance = self._mean_miss(distance + block.fill, distance + missed + kernel.written_bytes)
                saved += block.dirty * (1 - chance)
            self._blocks[touch.tensor] = _Block(
                bytes=touch.tensor.bytes, end=self._position, fill=0.0, dirty=float(touch.bytes)
            )
        return max(0.0, kernel.written_bytes - saved)

    def _evicted(self) -> float:
        """Bytes that the cache's size of others has been filled in since they were left."""
        found = 0.0
        while self._unwritten and self._unwritten[0].position + self.bytes <= self._position:
            found += self._unwritten.popleft().bytes
        return found

    def _reused(self, tensor: Tensor) -> _Block | None:
        """The freed block that the caching allocator hands out again: of the same size."""
        blocks = self._free.get(tensor.bytes)
        return blocks.pop() if blocks else None

    def _touch(self, tensor: Tensor, fill: float) -> None:
        block = self._blocks.get(tensor)
        if block is None:
            self._blocks[tensor] = _Block(bytes=tensor.bytes, end=self._position, fill=fill)
            return
        block.end, block.fill = self._position, fill
