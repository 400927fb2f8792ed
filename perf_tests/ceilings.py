"""Ceilings: what this machine reaches today in copying, streaming, multiplying and launching."""

import time
from collections.abc import Callable
from typing import Any

from analytic import Ceilings
from perf_tests.device import CudaDevice, Device
from perf_tests.launch_gap import launch_gap_s
from perf_tests.quantisation import torch_dtype

# Buffers far larger than any cache, square products that fill the chip.
GPU_COPY_BYTES = 2**30
GPU_GEMM_SIDE = {"fp16": 8192, "bf16": 8192, "fp32": 4096}
CPU_COPY_BYTES = 2**27
CPU_GEMM_SIDE = {"fp32": 1024}
GPU_REPEATS = 5
CPU_REPEATS = 3


class CeilingMeter:
    """Measures ceilings on one device, again and again, in the same buffers.

    Made while the device's memory is free. On a GPU it is used once, before the
    first model is loaded; on a CPU between the cases, whose noise it shares.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        if isinstance(device, CudaDevice):
            free = device.capacity_bytes()
            self._bytes = min(GPU_COPY_BYTES, free // 8)
            self._sides = {d: n for d, n in GPU_GEMM_SIDE.items() if device.spec.supports(d)}
            self._repeats = GPU_REPEATS
            self._launches = True
        else:
            self._bytes, self._sides, self._repeats = CPU_COPY_BYTES, CPU_GEMM_SIDE, CPU_REPEATS
            self._launches = False
        # The dtype of the streamed matrix: what the lane's models are stored in.
        self._stream_dtype = "fp16" if "fp16" in self._sides else "fp32"

    def measure(self) -> Ceilings:
        """The best of a few repeats each: a ceiling is what can be reached."""
        import torch

        with torch.inference_mode():
            return Ceilings(
                device=self.device.identity().name,
                copy_bytes_per_s=self._copy(),
                read_bytes_per_s=self._read(),
                gemm_flops_per_s={d: self._gemm(d, side) for d, side in self._sides.items()},
                launch_gap_s=launch_gap_s(self.device) if self._launches else None,
            )

    def _random(self, *shape: int, dtype: str) -> Any:
        import torch

        return torch.randn(shape, dtype=torch_dtype(dtype), device=self.device.torch_device)

    def _copy(self) -> float:
        """Bytes read plus bytes written, per second."""
        source = self._random(self._bytes // 4, dtype="fp32")
        target = source.clone()
        return 2 * source.nbytes / self._best_s(lambda: target.copy_(source))

    def _read(self) -> float:
        """A matrix streamed once through a matrix-vector product: bytes per second."""
        cols = 8192
        width = 2 if self._stream_dtype == "fp16" else 4
        matrix = self._random(self._bytes // (cols * width), cols, dtype=self._stream_dtype)
        vector = self._random(cols, dtype=self._stream_dtype)
        return matrix.nbytes / self._best_s(lambda: matrix @ vector)

    def _gemm(self, dtype: str, side: int) -> float:
        left, right = (self._random(side, side, dtype=dtype) for _ in range(2))
        return 2 * side**3 / self._best_s(lambda: left @ right)

    def _best_s(self, work: Callable[[], Any]) -> float:
        work()
        self.device.synchronise()
        best = float("inf")
        for _ in range(self._repeats):
            start = time.perf_counter()
            work()
            self.device.synchronise()
            best = min(best, time.perf_counter() - start)
        return best
