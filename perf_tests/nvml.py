"""NVML, read only: clocks, power, slowdown counters, processes, memory, identity.

Nothing here, or anywhere in the harness, changes a clock, a limit or a mode.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from baselines.record import GpuState

T = TypeVar("T")

# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h).
EVENT_REASONS = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake",
    0x100: "display_clock",
}

# Fields of nvmlDeviceGetFieldValues: nanoseconds, since the driver was loaded, in
# which the clock was held down (NVML_FI_DEV_CLOCKS_EVENT_REASON_* in nvml.h).
SLOWDOWN_FIELDS = {
    74: "sw_power_cap",
    269: "sw_thermal_slowdown",
    270: "hw_thermal_slowdown",
    271: "hw_power_brake",
}

# A display server that shows nothing holds a few MiB of a GPU and runs nothing on
# it; many cloud images start one. More than this, or CUDA, is another program.
IDLE_DISPLAY_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Who is on a GPU, by process id and bytes held, and how much of its memory is
    in use; None where NVML does not say."""

    processes: Mapping[int, int | None] | None
    memory_used_bytes: int | None


class Nvml:
    """One GPU's readings; every one is None where NVML does not give it."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._nvml = library
        self._handle = handle

    @classmethod
    def of(cls, uuid: str) -> "Nvml":
        """The card of that UUID: NVML's index is not CUDA's.

        Where NVML cannot be used that is said once, and every reading is None.
        """
        try:
            import pynvml

            pynvml.nvmlInit()
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
        except Exception as error:  # noqa: BLE001 - no package, no driver, no right: all the same here
            warnings.warn(
                f"NVML cannot be used, so clocks, power and driver are not recorded: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return cls(None, None)

    def _read(self, reading: Callable[[Any, Any], T]) -> T | None:
        if self._nvml is None:
            return None
        try:
            return reading(self._nvml, self._handle)
        # What a binding lacks is an AttributeError, a parameter that it lacks a TypeError.
        except (self._nvml.NVMLError, AttributeError, TypeError):
            return None

    @property
    def available(self) -> bool:
        return self._nvml is not None

    def driver(self) -> str | None:
        return self._read(lambda n, _: str(n.nvmlSystemGetDriverVersion()))

    def power_limit_w(self) -> float | None:
        return self._read(lambda n, h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1e3)

    def ecc(self) -> bool | None:
        return self._read(lambda n, h: bool(n.nvmlDeviceGetEccMode(h)[0]))

    def mig(self) -> bool | None:
        return self._read(lambda n, h: bool(n.nvmlDeviceGetMigMode(h)[0]))

    def persistence(self) -> bool | None:
        """Whether the driver stays loaded between processes."""
        return self._read(lambda n, h: bool(n.nvmlDeviceGetPersistenceMode(h)))

    def pcie(self) -> str | None:
        """The link now and at its best, such as "gen 5 x16 of gen 5 x16"."""
        return self._read(_pcie)

    def sm_clock_mhz(self) -> int | None:
        return self._read(lambda n, h: int(n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM)))

    def sm_clock_max_mhz(self) -> int | None:
        return self._read(lambda n, h: int(n.nvmlDeviceGetMaxClockInfo(h, n.NVML_CLOCK_SM)))

    def memory_clock_max_mhz(self) -> int | None:
        return self._read(lambda n, h: int(n.nvmlDeviceGetMaxClockInfo(h, n.NVML_CLOCK_MEM)))

    def memory_used_bytes(self) -> int | None:
        """What programs use; of an older driver with the driver's own reserve."""
        used = self._read(_memory_used_v2)
        return self._read(lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).used)) if used is None else used

    def energy_j(self) -> float | None:
        """Energy since the driver was loaded."""
        return self._read(lambda n, h: n.nvmlDeviceGetTotalEnergyConsumption(h) / 1e3)

    def counters(self) -> dict[str, float] | None:
        """Seconds since the driver was loaded in which the clock was held down, by
        reason; a reason that is not counted is left out, None where none is."""
        return self._read(_counters) or None

    def processes(self) -> dict[int, int | None] | None:
        """Bytes held by each process on the GPU, None where they are not told; an
        idle display server is left out. In a container the ids may be the host's,
        and other containers' processes may be hidden."""
        return self._read(_processes)

    def occupancy(self) -> Occupancy:
        return Occupancy(processes=self.processes(), memory_used_bytes=self.memory_used_bytes())

    def state(self) -> GpuState | None:
        if self._nvml is None:
            return None
        return GpuState(
            sm_clock_mhz=self.sm_clock_mhz(),
            memory_clock_mhz=self._read(lambda n, h: int(n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM))),
            temperature_c=self._read(_temperature),
            power_w=self._read(lambda n, h: n.nvmlDeviceGetPowerUsage(h) / 1e3),
            memory_used_bytes=self.memory_used_bytes(),
            event_reasons=self._read(_event_reasons),
        )


def occupancies() -> dict[str, Occupancy]:
    """Every GPU of the machine by UUID, none where NVML cannot be used.

    For the moment before this process has a context of its own: which of them it
    will use is not known until it has one.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return {str(pynvml.nvmlDeviceGetUUID(h)): Nvml(pynvml, h).occupancy() for h in handles}
    except Exception:  # noqa: BLE001 - Nvml.of says why, and once is enough
        return {}


def _pcie(nvml: Any, handle: Any) -> str:
    now = (nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle), nvml.nvmlDeviceGetCurrPcieLinkWidth(handle))
    best = (nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle), nvml.nvmlDeviceGetMaxPcieLinkWidth(handle))
    return f"gen {now[0]} x{now[1]} of gen {best[0]} x{best[1]}"


def _memory_used_v2(nvml: Any, handle: Any) -> int:
    return int(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).used)


def _counters(nvml: Any, handle: Any) -> dict[str, float]:
    values = nvml.nvmlDeviceGetFieldValues(handle, list(SLOWDOWN_FIELDS))
    return {
        SLOWDOWN_FIELDS[value.fieldId]: value.value.ullVal / 1e9
        for value in values
        if value.nvmlReturn == nvml.NVML_SUCCESS
    }


def _processes(nvml: Any, handle: Any) -> dict[int, int | None]:
    found = {p.pid: p.usedGpuMemory for p in nvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    try:
        drawing = nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    except nvml.NVMLError:  # a GPU without graphics may refuse to list them
        drawing = []
    for process in drawing:
        held = process.usedGpuMemory
        if held is None or held > IDLE_DISPLAY_BYTES:
            found.setdefault(process.pid, held)
    return found


def _temperature(nvml: Any, handle: Any) -> int:
    # The versioned call replaces the older one, which CUDA 14 removes.
    if hasattr(nvml, "nvmlDeviceGetTemperatureV"):
        return int(nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU))
    return int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))


def _event_reasons(nvml: Any, handle: Any) -> tuple[str, ...]:
    # Named ThrottleReasons before driver R535.
    read = getattr(
        nvml,
        "nvmlDeviceGetCurrentClocksEventReasons",
        getattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None),
    )
    if read is None:
        raise AttributeError("no call for event reasons")
    bits = int(read(handle))
    return tuple(name for bit, name in EVENT_REASONS.items() if bits & bit)
