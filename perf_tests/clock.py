"""The clock that pytest-benchmark reads: synchronised with the device."""

import sys
import time


def synchronised() -> float:
    """time.perf_counter, in seconds, after the GPU (if any is in use) has finished."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
