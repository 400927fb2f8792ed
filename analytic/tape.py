"""A pass as the kernels that eager execution launches, each with what it touches.

The tape is written once, symbolically; from it follow DRAM traffic (l2.py), the
peak of memory (footprint.py), launches and device time (estimate.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

# The caching allocator's unit (c10/cuda/CUDACachingAllocator, kMinBlockSize).
BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A block of memory, told apart by identity. `kept` ones (weights) are there
    before the pass and after it; the others come with their first write and go
    when they are freed. `cache` marks keys and values."""

    name: str
    bytes: int
    kept: bool = False
    cache: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """`bytes` of a tensor, read or written by one kernel."""

    tensor: Tensor
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """The sizes of a matrix product, `m` x `k` times `k` x `n`, `count` of them, in
    the dtype `math`."""

    m: int
    n: int
    k: int
    count: int
    math: str

    @property
    def flops(self) -> int:
        return 2 * self.m * self.n * self.k * self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One launch. `kind` says how it runs: gemm, gemm_4bit, attention, dequantise,
    elementwise, reduce, gather, stream (a contiguous copy), copy (a strided one) or
    tiny. `times` launches like it follow in layers that are not written out;
    `freed` die with it."""

    operator: str
    kind: str
    times: int
    reads: tuple[Touch, ...]
    writes: tuple[Touch, ...]
    gemm: Gemm | None
    freed: tuple[Tensor, ...]

    @property
    def read_bytes(self) -> int:
        return sum(touch.bytes for touch in self.reads)

    @property
    def written_bytes(self) -> int:
        return sum(touch.bytes for touch in self.writes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A whole pass: its kernels, in order."""

    kernels: tuple[Kernel, ...]

    @property
    def launches(self) -> int:
        """Kernels of the whole pass."""
        return sum(kernel.times for kernel in self.kernels)

    def peak_bytes(self) -> int:
        """The most memory, beyond weights, that is held at once, less the cache that
        stays: activations, and a cache's old copy while torch.cat makes the new one."""
        live = {t.tensor: _blocks(t.tensor.bytes) for k in self.kernels for t in k.reads if t.tensor.cache}
        for kernel in self.kernels:  # what is written here was not there before
            for touch in kernel.writes:
                live.pop(touch.tensor, None)
        stays = sum(_blocks(t.tensor.bytes) for k in self.kernels for t in k.writes if t.tensor.cache)
        held = sum(live.values())
        peak = held
        for kernel in self.kernels:
            for touch in kernel.writes:
                if not touch.tensor.kept and touch.tensor not in live:
                    live[touch.tensor] = _blocks(touch.tensor.bytes)
                    held += live[touch.tensor]
            peak = max(peak, held)
            held -= sum(live.pop(tensor, 0) for tensor in kernel.freed)
        return peak - stays


class Tape:
    """Collects kernels. A tensor lives until it is freed, as Python's last reference
    to it would be."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        #: How many layers the kernels that are written next stand for.
        self.times = 1
        self._held: set[Tensor] = set()

    def hold(self, tensor: Tensor) -> None:
        """Something outside keeps `tensor` to the end, whoever frees it."""
        self._held.add(tensor)

    def run(
        self,
        operator: str,
        kind: str,
        reads: Iterable[Tensor | Touch],
        *written: Tensor | Touch,
        gemm: Gemm | None = None,
        freed: Sequence[Tensor] = (),
    ) -> None:
        self.kernels.append(
            Kernel(
                operator=operator,
                kind=kind,
                times=self.times,
                reads=tuple(map(_touch, reads)),
                writes=tuple(map(_touch, written)),
                gemm=gemm,
                freed=self._dead(freed),
            )
        )

    def elementwise(
        self,
        operator: str,
        reads: Iterable[Tensor | Touch],
        name: str,
        size: int,
        freed: Sequence[Tensor] = (),
    ) -> Tensor:
        """A kernel that writes one new tensor of `size` bytes, which is returned."""
        result = Tensor(name, size)
        self.run(operator, "elementwise", reads, result, freed=freed)
        return result

    def copied(self, operator: str, reads: Iterable[Tensor | Touch], name: str, size: int) -> Tensor:
        """A copy (torch.cat, gather, repeat) into one new tensor, which is returned."""
        result = Tensor(name, size)
        self.run(operator, "copy", reads, result)
        return result

    def free(self, *tensors: Tensor) -> None:
        """The last kernel's end is also that of `tensors`."""
        last = self.kernels[-1]
        self.kernels[-1] = replace(last, freed=(*last.freed, *self._dead(tensors)))

    def recording(self) -> Recording:
        """What is on the tape, which can no longer be written."""
        return Recording(kernels=tuple(self.kernels))

    def _dead(self, tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
        return tuple(t for t in tensors if not t.kept and t not in self._held)


def _blocks(size: int) -> int:
    """As torch's caching allocator rounds a request up: to 512 bytes."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _touch(item: Tensor | Touch) -> Touch:
    return item if isinstance(item, Touch) else Touch(item, item.bytes)
