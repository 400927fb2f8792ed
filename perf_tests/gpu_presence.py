"""Is there a GPU, and can this Python's torch use it? Two questions, kept apart."""

import importlib.util
from functools import cache
from pathlib import Path

# The kernel driver lists its cards here; a container may show only the node.
DRIVER_CARDS = Path("/proc/driver/nvidia/gpus")
DEVICE_NODE = Path("/dev/nvidia0")


def machine_has_gpu() -> bool:
    """Whether the machine shows an NVIDIA GPU, whatever torch can do with it."""
    if DRIVER_CARDS.is_dir() and any(DRIVER_CARDS.iterdir()):
        return True
    return DEVICE_NODE.exists()


def torch_problem() -> str | None:
    """Why torch cannot be imported here; None if it can."""
    for package in ("torch", "transformers", "accelerate"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed: pip install -e '.[torch]'"
    return None


def gpu_problem() -> str | None:
    """Why no GPU can be measured here; None if one can."""
    if problem := torch_problem():
        return problem
    import torch

    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        why = f"torch {torch.__version__} is built without CUDA"
    else:
        why = f"torch {torch.__version__} (CUDA {torch.version.cuda}) finds no usable GPU"
    return f"{why}; {'the machine has one' if machine_has_gpu() else 'the machine shows none'}"


@cache
def quantiser_problem() -> str | None:
    """Why quantised cases cannot run; None if they can."""
    if importlib.util.find_spec("bitsandbytes") is None:
        return "bitsandbytes is not installed: pip install -e '.[torch]'"
    try:
        import bitsandbytes  # noqa: F401 - it may fail to load its CUDA library
    except Exception as error:  # noqa: BLE001 - whatever stops it, the cases that need it skip
        return f"bitsandbytes cannot be imported: {error}"
    return None
