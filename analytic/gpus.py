"""The registry of GPUs: datasheet roofs, dense, per dtype, with their source."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analytic.errors import SpecError, unknown
from analytic.roofs import Roofs

# From this compute capability on, SDPA has flash attention; below it, grouped
# queries without a mask leave only the math path (transformers#48633).
FLASH_CAPABILITY = (8, 0)

TABLE = Path(__file__).parent / "gpus.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One row of the registry. Peaks are dense; a dtype without hardware is absent.

    `torch_names` are the names that torch.cuda.get_device_name reports;
    `memory_bytes` is the nominal size, in decimal GB as it is sold.
    """

    key: str
    torch_names: tuple[str, ...]
    arch: str
    compute_capability: tuple[int, int]
    sm_count: int
    memory_bytes: float
    bytes_per_s: float
    l2_bytes: int
    flops_per_s: Mapping[str, float]
    source: str

    def supports(self, dtype: str) -> bool:
        return dtype in self.flops_per_s

    @property
    def has_flash_attention(self) -> bool:
        """Where not, attention builds the score matrix in memory."""
        return self.compute_capability >= FLASH_CAPABILITY

    @property
    def roofs(self) -> Roofs:
        return Roofs(
            label=f"{self.key} datasheet",
            bytes_per_s=self.bytes_per_s,
            flops_per_s=self.flops_per_s,
        )

    def require(self, dtype: str) -> None:
        """Raises SpecError where the chip has no units for `dtype`."""
        if not self.supports(dtype):
            raise SpecError(
                f"{self.key} ({self.arch}) has no {dtype} units: {self.source}. "
                f"It has: {', '.join(sorted(self.flops_per_s))}."
            )


@cache
def registry() -> tuple[GpuSpec, ...]:
    """Every row of gpus.csv, in its order."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_read(row) for row in csv.DictReader(file))


def _read(row: Mapping[str, str]) -> GpuSpec:
    peaks = {
        dtype: float(row[column]) * 1e12
        for dtype, column in (
            ("fp32", "fp32_tflops"),
            ("fp16", "fp16_tflops"),
            ("bf16", "bf16_tflops"),
            ("int8", "int8_tops"),
        )
        if row[column]
    }
    major, minor = row["compute_capability"].split(".")
    return GpuSpec(
        key=row["key"],
        torch_names=tuple(row["torch_names"].split("|")),
        arch=row["arch"],
        compute_capability=(int(major), int(minor)),
        sm_count=int(row["sm_count"]),
        memory_bytes=float(row["memory_gb"]) * 1e9,
        bytes_per_s=float(row["bandwidth_gb_per_s"]) * 1e9,
        l2_bytes=int(row["l2_mib"]) * 2**20,
        flops_per_s=peaks,
        source=row["source"],
    )


def find_gpu(name: str) -> GpuSpec:
    """The GPU of that key, or that torch reports by that name; exact, any case.

    Raises SpecError with the nearest names: a near match is never taken, since
    'H100' alone means three different chips.
    """
    wanted = name.strip().casefold()
    for gpu in registry():
        if wanted in (gpu.key, *(n.casefold() for n in gpu.torch_names)):
            return gpu
    names = [n for gpu in registry() for n in (gpu.key, *gpu.torch_names)]
    raise unknown("GPU", name, names)
