"""Ceilings: what this machine reaches today in copying, streaming, multiplying, launching and timing."""

import math
import time
from collections.abc import Callable
from typing import Any

from analytic import Ceilings
from perf_tests.device import CudaDevice, Device
from perf_tests.event_resolution import event_resolution_s
from perf_tests.launch_gap import launch_gap_s
from perf_tests.quantisation import torch_dtype

# Buffers far larger than any cache, square products that fill the chip.
GPU_COPY_BYTES = 2**30
GPU_GEMM_SIDE = {"fp16": 8192, "bf16": 8192, "fp32": 4096}
GPU_INT8_SIDE = 8192
CPU_COPY_BYTES = 2**27
# No fp16: no CPU here multiplies it in hardware, and 1024 a side takes seconds.
CPU_GEMM_SIDE = {"fp32": 1024, "bf16": 512}
CPU_INT8_SIDE = 512

# The best of as many timings as this time holds, within these: an H100 takes the
# most, a T4 the least, and neither more than 3 s for all lines. A CPU is measured
# again before every case.
GPU_LINE_BUDGET_S = 0.2
CPU_LINE_BUDGET_S = 0.05
MOST_TIMINGS = 10
LEAST_TIMINGS = 3


class CeilingMeter:
    """Measures ceilings on one device, again and again, in the same sizes.

    Made while the device's memory is free. On a GPU it is used once, before the
    first model is loaded; on a CPU between the cases, whose noise it shares.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        if isinstance(device, CudaDevice):
            self._bytes = min(GPU_COPY_BYTES, device.capacity_bytes() // 8)
            self._sides = {d: n for d, n in GPU_GEMM_SIDE.items() if device.spec.supports(d)}
            self._int8_side = GPU_INT8_SIDE if device.spec.supports("int8") else None
            self._budget_s, self._launches = GPU_LINE_BUDGET_S, True
        else:
            self._bytes, self._sides, self._int8_side = CPU_COPY_BYTES, CPU_GEMM_SIDE, CPU_INT8_SIDE
            self._budget_s, self._launches = CPU_LINE_BUDGET_S, False
        # The dtype of the streamed matrix: what the lane's models are stored in.
        self._stream_dtype = "fp16" if "fp16" in self._sides else "fp32"

    def measure(self) -> Ceilings:
        """The best of a few timings each: a ceiling is what can be reached. A CPU
        launches nothing, so it has no launch gap."""
        import torch

        with torch.inference_mode():
            products = {d: self._gemm(d, side) for d, side in self._sides.items()}
            if self._int8_side and (rate := self._int8_gemm(self._int8_side)):
                products["int8"] = rate
            return Ceilings(
                device=self.device.identity().name,
                copy_bytes_per_s=self._copy(),
                read_bytes_per_s=self._read(),
                gemm_flops_per_s=products,
                launch_gap_s=launch_gap_s(self.device) if self._launches else None,
                event_resolution_s=event_resolution_s(self.device),
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

    def _int8_gemm(self, side: int) -> float | None:
        """None where this device or torch has no such product."""
        import torch

        left, right = (
            torch.randint(-127, 128, (side, side), dtype=torch.int8, device=self.device.torch_device)
            for _ in range(2)
        )
        try:
            # cuBLAS wants the second operand stored by columns.
            return 2 * side**3 / self._best_s(lambda: torch._int_mm(left, right.t()))
        except (RuntimeError, AttributeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            return None

    def _best_s(self, work: Callable[[], Any]) -> float:
        work()
        self.device.synchronise()
        until = time.perf_counter() + self._budget_s
        best, timings = math.inf, 0
        while timings < LEAST_TIMINGS or (timings < MOST_TIMINGS and time.perf_counter() < until):
            best = min(best, self.device.time_s(work))
            timings += 1
        return best
