"""What is read of NVML, by which calls, and what a GPU, a driver or a container does not tell."""

import sys
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from perf_tests.nvml import EVENT_REASONS, IDLE_DISPLAY_BYTES, SLOWDOWN_FIELDS, Nvml, Occupancy, occupancies

MIB, GIB = 2**20, 2**30

NVML_READINGS = (
    *("driver", "power_limit_w", "ecc", "mig", "persistence", "pcie", "sm_clock_mhz"),
    *(
        "memory_clock_max_mhz",
        "sm_clock_max_mhz",
        "memory_used_bytes",
        "energy_j",
        "counters",
        "processes",
        "state",
    ),
)


def test_without_nvml_it_is_said_once_and_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)

    with pytest.warns(RuntimeWarning, match="NVML cannot be used, so clocks, power and driver") as caught:
        nvml = Nvml.of("GPU-0")
    readings = [getattr(nvml, name)() for name in NVML_READINGS]

    assert len(caught) == 1
    assert readings == [None] * len(NVML_READINGS)
    assert not nvml.available
    assert occupancies() == {}


def test_a_driver_that_does_not_answer_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(nvmlInit=fail))

    with pytest.warns(RuntimeWarning, match=r"libnvidia-ml\.so\.1"):
        assert Nvml.of("GPU-0").state() is None


def test_a_missing_nvml_does_not_stop_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the filters of this very session: what our own rooms warn is an error here."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with warnings.catch_warnings(record=True) as said:  # keeps the filters as they are
        assert Nvml.of("GPU-0").state() is None

    assert len(said) == 1


class NvmlError(Exception):
    pass


def library(**calls: Any) -> Any:
    """A stand-in for pynvml; a call that is not given is not supported."""

    def unsupported(*_: Any) -> Any:
        raise NvmlError("not supported")

    names = (
        *("nvmlSystemGetDriverVersion", "nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetEccMode"),
        *("nvmlDeviceGetMigMode", "nvmlDeviceGetClockInfo", "nvmlDeviceGetPowerUsage"),
        *("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetFieldValues"),
        *("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"),
    )
    constants = {"NVML_CLOCK_SM": 1, "NVML_CLOCK_MEM": 2, "NVML_TEMPERATURE_GPU": 0, "NVML_SUCCESS": 0}
    constants |= {"NVMLError": NvmlError, "nvmlMemory_v2": 0x2000028}
    return SimpleNamespace(**(dict.fromkeys(names, unsupported) | constants | calls))


def test_what_a_gpu_does_not_support_is_none_alone() -> None:
    """A T4 has no MIG; the rest is read all the same."""
    nvml = Nvml(
        library(
            nvmlDeviceGetEnforcedPowerLimit=lambda _: 70_000,
            nvmlDeviceGetEccMode=lambda _: [1, 1],
            nvmlDeviceGetClockInfo=lambda _, clock: {1: 1590, 2: 5001}[clock],
            nvmlDeviceGetTemperatureV=lambda _handle, _sensor: 61,
            nvmlDeviceGetCurrentClocksEventReasons=lambda _: 0x4 | 0x20,
        ),
        object(),
    )
    state = nvml.state()

    assert (nvml.power_limit_w(), nvml.ecc(), nvml.mig(), nvml.driver()) == (70.0, True, None, None)
    assert state is not None
    assert (state.sm_clock_mhz, state.memory_clock_mhz, state.temperature_c) == (1590, 5001, 61)
    assert (state.power_w, state.memory_used_bytes) == (None, None)
    assert state.event_reasons == ("sw_power_cap", "sw_thermal_slowdown")


def test_older_drivers_name_the_same_calls_otherwise() -> None:
    nvml = Nvml(
        library(
            nvmlDeviceGetTemperature=lambda _handle, _sensor: 44,
            nvmlDeviceGetCurrentClocksThrottleReasons=lambda _: 0x8,
        ),
        object(),
    )
    state = nvml.state()

    assert state is not None
    assert (state.temperature_c, state.event_reasons) == (44, ("hw_slowdown",))


def test_without_a_call_for_event_reasons_there_are_none() -> None:
    state = Nvml(library(), object()).state()

    assert state is not None
    assert state.event_reasons is None


def test_event_reasons_are_the_bits_of_nvml() -> None:
    """As nvml.h has them; a renamed constant there would be seen here."""
    pynvml = pytest.importorskip("pynvml")
    names = {
        0x4: "nvmlClocksEventReasonSwPowerCap",
        0x20: "nvmlClocksEventReasonSwThermalSlowdown",
        0x8: "nvmlClocksThrottleReasonHwSlowdown",
        0x40: "nvmlClocksThrottleReasonHwThermalSlowdown",
        0x80: "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
    }
    for bit, name in names.items():
        assert getattr(pynvml, name) == bit
        assert bit in EVENT_REASONS


# --- what NVML counts, and who is on the GPU ----------------------------------


def field(number: int, nanoseconds: int, *, returned: int = 0) -> SimpleNamespace:
    return SimpleNamespace(fieldId=number, nvmlReturn=returned, value=SimpleNamespace(ullVal=nanoseconds))


def test_counters_are_seconds_of_those_that_are_supported() -> None:
    asked: list[list[int]] = []

    def values(_: object, fields: list[int]) -> list[SimpleNamespace]:
        asked.append(fields)
        return [field(74, 999_971_968), field(269, 0), field(270, 7, returned=3), field(271, 2 * 10**9)]

    nvml = Nvml(library(nvmlDeviceGetFieldValues=values), object())

    assert nvml.counters() == {
        "sw_power_cap": pytest.approx(0.999971968),
        "sw_thermal_slowdown": 0.0,
        "hw_power_brake": 2.0,
    }
    assert asked == [[74, 269, 270, 271]]


def test_without_a_counter_that_is_supported_there_are_none() -> None:
    none = Nvml(
        library(nvmlDeviceGetFieldValues=lambda _, fields: [field(f, 0, returned=3) for f in fields]), 0
    )

    assert none.counters() is None
    assert Nvml(library(), object()).counters() is None


def test_fields_are_those_of_nvml() -> None:
    """As nvml.h numbers them; a renumbered constant there would be seen here."""
    pynvml = pytest.importorskip("pynvml")
    prefix = "NVML_FI_DEV_CLOCKS_EVENT_REASON_"
    names = ("SW_POWER_CAP", "SW_THERM_SLOWDOWN", "HW_THERM_SLOWDOWN", "HW_POWER_BRAKE_SLOWDOWN")

    assert [getattr(pynvml, prefix + name) for name in names] == list(SLOWDOWN_FIELDS)


def test_memory_in_use_leaves_out_the_drivers_reserve() -> None:
    def info(_: object, version: int | None = None) -> SimpleNamespace:
        return SimpleNamespace(used=0 if version == 0x2000028 else 503 * 10**6)

    assert Nvml(library(nvmlDeviceGetMemoryInfo=info), object()).memory_used_bytes() == 0


@pytest.mark.parametrize("lacking", ["the driver", "the binding's parameter", "the binding's constant"])
def test_memory_in_use_by_an_older_call(lacking: str) -> None:
    def info(*_: object, **options: int) -> SimpleNamespace:
        if options:
            raise TypeError if lacking == "the binding's parameter" else NvmlError("function not found")
        return SimpleNamespace(used=503 * 10**6)

    old = library(nvmlDeviceGetMemoryInfo=info)
    if lacking == "the binding's constant":
        del old.nvmlMemory_v2

    assert Nvml(old, object()).memory_used_bytes() == 503 * 10**6


def test_the_other_readings_and_their_units() -> None:
    nvml = Nvml(
        library(
            nvmlDeviceGetTotalEnergyConsumption=lambda _: 12_500,
            nvmlDeviceGetPersistenceMode=lambda _: 1,
            nvmlDeviceGetMaxClockInfo=lambda _, clock: {1: 1980, 2: 2619}[clock],
            nvmlDeviceGetClockInfo=lambda _, clock: {1: 1755, 2: 2619}[clock],
            nvmlDeviceGetCurrPcieLinkGeneration=lambda _: 4,
            nvmlDeviceGetCurrPcieLinkWidth=lambda _: 8,
            nvmlDeviceGetMaxPcieLinkGeneration=lambda _: 5,
            nvmlDeviceGetMaxPcieLinkWidth=lambda _: 16,
        ),
        object(),
    )

    assert (nvml.energy_j(), nvml.persistence(), nvml.pcie()) == (12.5, True, "gen 4 x8 of gen 5 x16")
    assert (nvml.memory_clock_max_mhz(), nvml.sm_clock_max_mhz(), nvml.sm_clock_mhz()) == (2619, 1980, 1755)


def process(pid: int, held: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=held)


def test_programs_that_compute_or_draw_are_on_the_gpu() -> None:
    nvml = Nvml(
        library(
            nvmlDeviceGetComputeRunningProcesses=lambda _: [process(1, 5 * MIB), process(2, None)],
            nvmlDeviceGetGraphicsRunningProcesses=lambda _: [
                process(1, 9 * MIB),
                process(3, GIB),
                process(4, IDLE_DISPLAY_BYTES),
                process(5, None),
            ],
        ),
        object(),
    )

    # 4 is a display server that shows nothing.
    assert nvml.processes() == {1: 5 * MIB, 2: None, 3: GIB, 5: None}


def test_a_gpu_that_lists_no_graphics_lists_the_rest() -> None:
    computing = library(nvmlDeviceGetComputeRunningProcesses=lambda _: [process(1, GIB)])

    assert Nvml(computing, object()).processes() == {1: GIB}
    assert Nvml(library(), object()).processes() is None, "not an empty list: it is not known"


def test_every_gpu_is_looked_at_before_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"GPU-a": [process(7, GIB)], "GPU-b": []}
    cards = library(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: ("GPU-a", "GPU-b")[index],
        nvmlDeviceGetUUID=lambda handle: handle,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: held[handle],
        nvmlDeviceGetMemoryInfo=lambda handle, **_: SimpleNamespace(used=len(held[handle]) * GIB),
    )
    monkeypatch.setitem(sys.modules, "pynvml", cards)

    assert occupancies() == {
        "GPU-a": Occupancy(processes={7: GIB}, memory_used_bytes=GIB),
        "GPU-b": Occupancy(processes={}, memory_used_bytes=0),
    }
