"""What is known of one GPU: its datasheet roofs, and what tells it from a part of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from analytic.errors import SpecError
from analytic.roofs import Roofs

# From this compute capability on, SDPA has flash attention; below it, grouped
# queries without a mask leave only the math path (transformers#48633).
FLASH_CAPABILITY = (8, 0)

# The share of the nominal size that is offered where no source says more. With
# ECC on, cards on GDDR6 report 0.987 of it (A10G, 22587 MiB of 24 GB; T4, 15110
# MiB of 16 GB: 0.990), others more; CUDA's context takes up to 0.5 GB, which is
# 0.03 of 16 GB.
USABLE_SHARE = 0.95

# A size that torch may report, over the nominal one in decimal GB. "GB" on a
# datasheet is often GiB: H100 "80 GB" reports 85.02e9 bytes (1.063), H200 "141
# GB" about 150e9 (1.07), and no card more than 2**30 / 1e9 = 1.0737. ECC on GDDR6
# takes a sixteenth of the GiB and the driver some hundreds of MB: T4 and A10G
# report 0.94 to 0.99. The largest MIG slice that is smaller, or vGPU, has half.
LEAST_REPORTED, MOST_REPORTED = 0.90, 1.08


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One GPU. Peaks are dense; a dtype without hardware is absent.

    `torch_names` are the names that torch.cuda.get_device_name reports;
    `memory_bytes` is the nominal size, in decimal GB as it is sold, and
    `usable_bytes` what a model may occupy of it. `sm_count` is torch's
    multi_processor_count (on AMD the compute units). `note` says where sources
    disagree and which value was taken; empty where they do not.
    """

    key: str
    torch_names: tuple[str, ...]
    arch: str
    compute_capability: tuple[int, int]
    sm_count: int
    memory_bytes: float
    usable_bytes: float
    bytes_per_s: float
    l2_bytes: int
    flops_per_s: Mapping[str, float]
    source: str
    note: str = ""

    def __hash__(self) -> int:
        return hash(self.key)  # a mapping has none

    def supports(self, dtype: str) -> bool:
        return dtype in self.flops_per_s

    @property
    def eager_modelled(self) -> bool:
        """Whether eager execution is modelled on it: NVIDIA's, and a CPU's memory."""
        return not self.arch.startswith("CDNA")

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
                f"{self.key} ({self.arch}) has no {dtype} units; it has: "
                f"{', '.join(sorted(self.flops_per_s))} (source: {self.source})"
            )


def check_device(gpu: GpuSpec, *, sm_count: int, memory_bytes: int) -> None:
    """Raises SpecError where a device of `gpu`'s name is not the whole of it.

    `sm_count` and `memory_bytes` are torch's multi_processor_count and
    total_memory. A part of a card has a part of its roofs, and which part no
    datasheet says.
    """
    wrong = []
    if sm_count != gpu.sm_count:
        wrong.append(f"{sm_count} SMs where {gpu.sm_count} are right")
    least, most = LEAST_REPORTED * gpu.memory_bytes, MOST_REPORTED * gpu.memory_bytes
    if not least <= memory_bytes <= most:
        wrong.append(
            f"{memory_bytes / 1e9:.1f} GB of memory where {least / 1e9:.1f} to {most / 1e9:.1f} GB are right "
            f"(sold as {gpu.memory_bytes / 1e9:g} GB)"
        )
    if wrong:
        raise SpecError(
            f"this device is called {gpu.key} but has {' and '.join(wrong)}: a MIG slice, a vGPU or a "
            f"namesake, to which the datasheet's roofs do not apply; a whole {gpu.key} is needed"
        )


#: A CPU as eager execution sees it: SDPA has a fused kernel there, and every dtype
#: runs. It has no datasheet, so its roofs are what was measured, never these.
HOST = GpuSpec(
    key="cpu",
    torch_names=(),
    arch="CPU",
    compute_capability=FLASH_CAPABILITY,
    sm_count=1,
    memory_bytes=0.0,
    usable_bytes=0.0,
    bytes_per_s=0.0,
    l2_bytes=0,
    flops_per_s=dict.fromkeys(("fp32", "fp16", "bf16", "int8"), 0.0),
    source="a stand-in",
)
