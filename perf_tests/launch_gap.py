"""The gap between launches: host seconds per kernel launch of eager transformers code.

Measured on small modules of transformers' own kind, an RMSNorm after another on
a tiny tensor, so that the device waits for the host and never the reverse.
"""

import time
from statistics import median
from typing import Any

from perf_tests.device import Device

NORMS = 100
# To fp32, pow, mean, add, rsqrt, mul, to half, mul: as MistralRMSNorm writes it.
LAUNCHES_PER_NORM = 8
# With the one that warms up 6400 launches: under 0.3 s at 40 µs each.
REPEATS = 7
WIDTH = 64
EPSILON = 1e-6


def norm_stack(torch_device: str, *, norms: int = NORMS) -> Any:
    """`norms` RMSNorms in a row in fp16, each a module that launches
    LAUNCHES_PER_NORM kernels."""
    import torch

    class RmsNorm(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(WIDTH, dtype=torch.float16, device=torch_device))

        def forward(self, hidden: Any) -> Any:
            dtype = hidden.dtype
            hidden = hidden.to(torch.float32)
            variance = hidden.pow(2).mean(-1, keepdim=True)
            hidden = hidden * torch.rsqrt(variance + EPSILON)
            return self.weight * hidden.to(dtype)

    return torch.nn.Sequential(*(RmsNorm() for _ in range(norms)))


def launch_gap_s(device: Device) -> float:
    """Host seconds per launch: the median of a few passes through the stack, each
    up to the end of its last kernel."""
    import torch

    with torch.inference_mode():
        stack = norm_stack(device.torch_device)
        hidden = torch.ones((1, 1, WIDTH), dtype=torch.float16, device=device.torch_device)

        def pass_s() -> float:
            start = time.perf_counter()
            stack(hidden)
            device.synchronise()
            return time.perf_counter() - start

        pass_s()
        return median(pass_s() for _ in range(REPEATS)) / (NORMS * LAUNCHES_PER_NORM)
