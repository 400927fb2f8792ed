"""NVML, read only: clocks, temperature, power, event reasons, identity.

Nothing here, or anywhere in the harness, changes a clock, a limit or a mode.
"""

import warnings
from collections.abc import Callable
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
        except (self._nvml.NVMLError, AttributeError):
            return None

    def driver(self) -> str | None:
        return self._read(lambda n, _: str(n.nvmlSystemGetDriverVersion()))

    def power_limit_w(self) -> float | None:
        return self._read(lambda n, h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1e3)

    def ecc(self) -> bool | None:
        return self._read(lambda n, h: bool(n.nvmlDeviceGetEccMode(h)[0]))

    def mig(self) -> bool | None:
        return self._read(lambda n, h: bool(n.nvmlDeviceGetMigMode(h)[0]))

    def state(self) -> GpuState | None:
        if self._nvml is None:
            return None
        return GpuState(
            sm_clock_mhz=self._read(lambda n, h: int(n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM))),
            memory_clock_mhz=self._read(lambda n, h: int(n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM))),
            temperature_c=self._read(_temperature),
            power_w=self._read(lambda n, h: n.nvmlDeviceGetPowerUsage(h) / 1e3),
            memory_used_bytes=self._read(lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).used)),
            event_reasons=self._read(_event_reasons),
        )


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
