"""The device that a lane measures: a CUDA GPU or the CPU, behind one interface."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from analytic import GpuSpec, find_gpu
from analytic.gpus import check_device
from baselines.derived import CPU
from perf_tests.gpu_lock import GpuLock
from perf_tests.nvml import Nvml, occupancies
from perf_tests.watch import Neighbours, Watch

# Cycles that are timed to learn the rate of a spinning kernel: some milliseconds.
SPIN_CYCLES = 10_000_000
# The end of a hold, by which the SM clock is told: the clock may change within a hold.
# Events resolve it to some 0.01 %.
CLOCKED_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Spin:
    """A kernel that spins for so many cycles of the SM clock, between two events."""

    cycles: int
    start: Any
    end: Any

    def clock_mhz(self) -> float:
        """The clock's mean while it spun; once the device is done with it."""
        return self.cycles / self.start.elapsed_time(self.end) / 1e3


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

    def time_s(self, work: Callable[[], Any]) -> float:
        """Seconds of one run of `work` on the device's own clock, its launch hidden
        behind another run of it."""

    def capacity_bytes(self) -> int:
        """Memory that a model may occupy, with this process's own given back."""

    def resident_bytes(self) -> int | None: ...

    def start_peak(self) -> None: ...

    def peak_bytes(self) -> int | None: ...

    def watch(self) -> Watch | None:
        """Begins to watch the conditions of a measurement; None where nobody tells them."""

    def energy_j(self) -> float | None:
        """Energy since some moment; None where it is not counted."""

    def sm_clock_mhz(self) -> int | None:
        """The clock at this moment, as it is set; cheap."""

    def hold(self, seconds: float) -> Spin | None:
        """Keeps the device busy for about so long with nothing, without waiting for
        it; None where it is not held."""

    def release(self) -> None:
        """Gives memory back that nothing holds."""


class CudaDevice:
    """The first visible GPU, held for this run until the process ends.

    Raises SpecError where the registry does not know it, or where it is not the
    whole card of its name: without a datasheet there is no bound to hold it
    against; GpuBusyError where another run measures on it.
    """

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda
        # With a context here already its own memory and others' cannot be told apart.
        before = {} if torch.cuda.is_initialized() else occupancies()
        self.torch_device = "cuda:0"
        self.properties: Any = torch.cuda.get_device_properties(0)
        self.spec: GpuSpec = find_gpu(self.properties.name)
        check_device(
            self.spec,
            sm_count=self.properties.multi_processor_count,
            memory_bytes=self.properties.total_memory,
        )
        self.key = self.spec.key
        self.uuid = f"GPU-{self.properties.uuid}"
        self.lock = GpuLock(self.uuid, self.properties.name)
        self.nvml = Nvml.of(self.uuid)
        at_start = before.get(self.uuid)
        known = (at_start.processes if at_start else None) or {}
        # What the run that started this one still holds is no stranger's.
        self._at_start = None if self.lock.inherited else at_start
        self._neighbours = Neighbours(own=(os.getpid(), self.lock.run_pid), before=known)
        self._spin_hz: float | None = None

    def identity(self) -> Identity:
        return Identity(
            name=self.properties.name,
            memory_bytes=self.properties.total_memory,
            power_limit_w=self.nvml.power_limit_w(),
            ecc=self.nvml.ecc(),
            mig=self.nvml.mig(),
            uuid=self.uuid,
            driver=self.nvml.driver(),
        )

    def synchronise(self) -> None:
        self._cuda.synchronize()

    def time_s(self, work: Callable[[], Any]) -> float:
        start, end = (self._cuda.Event(enable_timing=True) for _ in range(2))
        work()
        start.record()
        work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def capacity_bytes(self) -> int:
        free, _ = self._cuda.mem_get_info(0)
        return free + self._cuda.memory_reserved(0)

    def resident_bytes(self) -> int:
        return self._cuda.memory_allocated(0)

    def start_peak(self) -> None:
        self._cuda.reset_peak_memory_stats(0)

    def peak_bytes(self) -> int:
        return self._cuda.max_memory_allocated(0)

    def watch(self) -> Watch | None:
        if not self.nvml.available:
            return None
        return Watch(self.nvml, self._neighbours, at_start=self._at_start)

    def energy_j(self) -> float | None:
        return self.nvml.energy_j()

    def sm_clock_mhz(self) -> int | None:
        return self.nvml.sm_clock_mhz()

    def hold(self, seconds: float) -> Spin | None:
        if seconds <= 0:
            return None
        cycles_per_s = self._cycles_per_s()
        clocked = int(min(seconds, CLOCKED_S) * cycles_per_s)
        start, end = (self._cuda.Event(enable_timing=True) for _ in range(2))
        # Torch's own kernel that spins for a number of clock cycles.
        self._cuda._sleep(int(seconds * cycles_per_s) - clocked)
        start.record()
        self._cuda._sleep(clocked)
        end.record()
        return Spin(cycles=clocked, start=start, end=end)

    def _cycles_per_s(self) -> float:
        """The rate at which that kernel counts, measured once."""
        if self._spin_hz is None:
            self._spin_hz = SPIN_CYCLES / self.time_s(lambda: self._cuda._sleep(SPIN_CYCLES))
        return self._spin_hz

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

    def time_s(self, work: Callable[[], Any]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    def capacity_bytes(self) -> int:
        return _memory_line("MemAvailable") or 2**40

    def resident_bytes(self) -> None:
        return None

    def start_peak(self) -> None:
        """Peak memory is not told per case on a CPU."""

    def peak_bytes(self) -> None:
        return None

    def watch(self) -> None:
        return None

    def energy_j(self) -> None:
        return None

    def sm_clock_mhz(self) -> None:
        return None

    def hold(self, seconds: float) -> None:
        """A CPU's host is the device: there is nobody to get ahead."""

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
