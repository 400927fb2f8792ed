"""The device that a lane measures: a CUDA GPU or the CPU, behind one interface."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from analytic import GpuSpec, find_gpu
from analytic.gpus import check_device
from baselines.derived import CPU
from baselines.record import GpuState
from perf_tests.nvml import Nvml


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The parts of a fingerprint that belong to the device."""

    name: str
    memory_bytes: int | None
    power_limit_w: float | None = None
    ecc: bool | None = None
    mig: bool | None = None
    uuid: str | None = None
    driver: str | None = None


class Device(Protocol):
    """What measuring needs of a device. `key` names it in ids and folders."""

    key: str
    torch_device: str

    def identity(self) -> Identity: ...

    def synchronise(self) -> None:
        """Waits until everything launched so far has finished."""

    def capacity_bytes(self) -> int:
        """Memory that a model may occupy, with this process's own given back."""

    def resident_bytes(self) -> int | None: ...

    def start_peak(self) -> None: ...

    def peak_bytes(self) -> int | None: ...

    def state(self) -> GpuState | None: ...

    def release(self) -> None:
        """Gives memory back that nothing holds."""


class CudaDevice:
    """The first visible GPU.

    Raises SpecError where the registry does not know it, or where it is not the
    whole card of its name: without a datasheet there is no bound to hold it against.
    """

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda
        self.torch_device = "cuda:0"
        self.properties: Any = torch.cuda.get_device_properties(0)
        self.spec: GpuSpec = find_gpu(self.properties.name)
        check_device(
            self.spec,
            sm_count=self.properties.multi_processor_count,
            memory_bytes=self.properties.total_memory,
        )
        self.key = self.spec.key
        self.nvml = Nvml.of(f"GPU-{self.properties.uuid}")

    def identity(self) -> Identity:
        return Identity(
            name=self.properties.name,
            memory_bytes=self.properties.total_memory,
            power_limit_w=self.nvml.power_limit_w(),
            ecc=self.nvml.ecc(),
            mig=self.nvml.mig(),
            uuid=f"GPU-{self.properties.uuid}",
            driver=self.nvml.driver(),
        )

    def synchronise(self) -> None:
        self._cuda.synchronize()

    def capacity_bytes(self) -> int:
        free, _ = self._cuda.mem_get_info(0)
        return free + self._cuda.memory_reserved(0)

    def resident_bytes(self) -> int:
        return self._cuda.memory_allocated(0)

    def start_peak(self) -> None:
        self._cuda.reset_peak_memory_stats(0)

    def peak_bytes(self) -> int:
        return self._cuda.max_memory_allocated(0)

    def state(self) -> GpuState | None:
        return self.nvml.state()

    def release(self) -> None:
        self._cuda.empty_cache()


class CpuDevice:
    """The CPU of this machine. It has no datasheet, no device clock and no NVML."""

    key = CPU
    torch_device = "cpu"

    def identity(self) -> Identity:
        name = f"{cpu_model()} × {os.cpu_count()}"
        return Identity(name=name, memory_bytes=_memory_line("MemTotal"))

    def synchronise(self) -> None:
        """Nothing to wait for: the CPU's operators return when they are done."""

    def capacity_bytes(self) -> int:
        return _memory_line("MemAvailable") or 2**40

    def resident_bytes(self) -> None:
        return None

    def start_peak(self) -> None:
        """Peak memory is not told per case on a CPU."""

    def peak_bytes(self) -> None:
        return None

    def state(self) -> None:
        return None

    def release(self) -> None:
        """Freed memory goes back by itself."""


def open_device(lane: str) -> Device:
    return CpuDevice() if lane == "cpu" else CudaDevice()


def cpu_model() -> str:
    """The CPU's name as the kernel prints it, or the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _memory_line(name: str) -> int | None:
    """A line of /proc/meminfo in bytes; None where there is none."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
