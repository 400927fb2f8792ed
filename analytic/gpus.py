"""The registry of GPUs: datasheet roofs, dense, per dtype, with their source."""

from difflib import get_close_matches
from functools import cache
from pathlib import Path

from analytic.errors import SpecError
from analytic.gpu_file import load_gpu, read_table
from analytic.gpu_spec import HOST, GpuSpec, check_device

__all__ = ["HOST", "GpuSpec", "check_device", "find_gpu", "load_gpu", "registry"]

TABLE = Path(__file__).parent / "gpus.csv"


@cache
def registry() -> tuple[GpuSpec, ...]:
    """Every row of gpus.csv, in its order."""
    return read_table(TABLE)


def find_gpu(name: str) -> GpuSpec:
    """The GPU of that key, or that torch reports by that name; exact, any case.
    A name that ends in .toml is a file that describes one.

    Raises SpecError with the nearest names: a near match is never taken, since
    'H100' alone means several chips.
    """
    wanted = name.strip().casefold()
    if wanted.endswith(".toml"):
        return _own(name.strip())
    for gpu in registry():
        if wanted in (gpu.key, *(n.casefold() for n in gpu.torch_names)):
            return gpu
    raise _unknown(name, wanted)


def _own(path: str) -> GpuSpec:
    gpu = load_gpu(path)
    if gpu.key in {row.key for row in registry()}:
        raise SpecError(f"{path}: key is {gpu.key!r}, which is a GPU of the registry; choose another")
    return gpu


def _unknown(name: str, wanted: str) -> SpecError:
    if "mig" in wanted.split():
        return SpecError(
            f"{name!r} is a MIG slice: it has a part of a card's SMs and memory, and no datasheet gives its "
            "roofs; a whole card is needed"
        )
    names = {n.casefold(): n for gpu in registry() for n in (gpu.key, *gpu.torch_names)}
    # A family's name stands for all of it, which similarity would not list.
    near = [n for n in names if wanted and n.startswith(wanted)] or get_close_matches(
        wanted, names, n=3, cutoff=0.4
    )
    hint = f" Nearest: {', '.join(names[n] for n in near)}." if near else ""
    known = ", ".join(sorted(gpu.key for gpu in registry()))
    return SpecError(f"unknown GPU {name!r}.{hint} Known: {known}; or a file of your own, NAME.toml.")
