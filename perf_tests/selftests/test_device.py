"""Which GPUs a lane measures, and what it does before and while it measures one."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import SpecError
from perf_tests.device import CLOCKED_S, SPIN_CYCLES, CpuDevice, CudaDevice
from perf_tests.gpu_lock import FOLDER, HELD
from perf_tests.nvml import Occupancy
from perf_tests.selftests.records import gpu_state

H100 = "NVIDIA H100 80GB HBM3"
UUID = "GPU-0-1-2"
GIB = 2**30


class FakeNvml:
    """A GPU on which these processes are, and nothing else can be read."""

    available = True

    def __init__(self, processes: dict[int, int | None]) -> None:
        self.listed = processes
        self.state = gpu_state

    def processes(self) -> dict[int, int | None]:
        return self.listed

    def __getattr__(self, name: str) -> Any:
        return lambda: None


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(HELD, "")  # so that it is put back


def card(
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str = H100,
    sms: int = 132,
    memory_bytes: int = 85_017_493_504,
    before: dict[str, Occupancy] | None = None,
    context: bool = False,
    nvml: Any = None,
    calls: list[str] | None = None,
) -> CudaDevice:
    """The device that torch would show with these properties; with `context` this
    process has used it already. `calls` takes in which order it was asked."""
    calls = [] if calls is None else calls
    properties = SimpleNamespace(
        name=name, multi_processor_count=sms, total_memory=memory_bytes, uuid="0-1-2"
    )

    def asked(_: int) -> Any:
        calls.append("torch")
        return properties

    def looked() -> dict[str, Occupancy]:
        calls.append("NVML")
        return before or {}

    class Event:
        """Its time is the number of calls before it, in seconds."""

        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            calls.append("record")
            self.ms = 1e3 * len(calls)

        def synchronize(self) -> None:
            calls.append("wait")

        def elapsed_time(self, end: "Event") -> float:
            return end.ms - self.ms

    cuda = SimpleNamespace(
        get_device_properties=asked,
        is_initialized=lambda: context,
        Event=Event,
        mem_get_info=lambda _: (70 * GIB, memory_bytes),
        memory_reserved=lambda _: 5 * GIB,
        _sleep=lambda cycles: calls.append(f"spin {cycles}"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr("perf_tests.device.Nvml.of", lambda uuid: nvml if uuid == UUID else None)
    monkeypatch.setattr("perf_tests.device.occupancies", looked)
    return CudaDevice()


def test_a_whole_card_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    device = card(monkeypatch)

    assert (device.key, device.spec.sm_count) == ("h100-sxm", 132)


@pytest.mark.parametrize(
    ("name", "sms", "memory_bytes", "words"),
    [
        (H100, 60, 85_017_493_504, "60 SMs where 132 are right"),
        (H100, 132, 42 * 10**9, "42.0 GB of memory where 72.0 to 86.4 GB are right"),
        ("Tesla T4", 40, 8 * 10**9, "8.0 GB of memory where 14.4 to 17.3 GB are right"),
        (f"{H100} MIG 1g.10gb", 16, 10 * 10**9, "is a MIG slice"),
        ("NVIDIA A10G-8Q", 80, 8 * 10**9, "unknown GPU 'NVIDIA A10G-8Q'. Nearest: NVIDIA A10G"),
    ],
)
def test_a_part_of_one_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, sms: int, memory_bytes: int, words: str
) -> None:
    with pytest.raises(SpecError) as error:
        card(monkeypatch, name=name, sms=sms, memory_bytes=memory_bytes)

    assert words in str(error.value)


def test_a_card_that_is_refused_is_not_locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        card(monkeypatch, sms=60)

    assert list(tmp_path.iterdir()) == []
    assert not card(monkeypatch).lock.inherited
    assert [p.name for p in tmp_path.iterdir()] == [f"roofgate-{UUID}.lock"]


def test_who_was_there_is_asked_before_torch_makes_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    start = Occupancy(processes={7: 2 * GIB}, memory_used_bytes=2 * GIB)
    others = {UUID: start, "GPU-other": Occupancy(processes={8: GIB}, memory_used_bytes=GIB)}
    nvml = FakeNvml({7: 2 * GIB, os.getpid(): 5 * GIB})
    device = card(monkeypatch, before=others, nvml=nvml, calls=calls)
    watch = device.watch()
    assert watch is not None
    found = watch.end()

    assert calls == ["NVML", "torch"]
    assert found.memory_at_start_bytes == 2 * GIB
    assert found.foreign == ("process 7 (2.00 GiB)",)


def test_a_context_of_its_own_is_not_taken_for_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that used the GPU before: what it holds is nobody else's."""
    held = {UUID: Occupancy(processes={os.getpid(): 5 * GIB}, memory_used_bytes=5 * GIB)}
    device = card(monkeypatch, before=held, context=True, nvml=FakeNvml({os.getpid(): 5 * GIB}))
    watch = device.watch()
    assert watch is not None
    found = watch.end()

    assert (found.memory_at_start_bytes, found.foreign) == (None, ())


def test_the_run_that_started_this_one_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    first = card(monkeypatch)
    # As if the lock were its parent's.
    monkeypatch.setattr("perf_tests.device.os.getpid", lambda: 1234)
    child = card(monkeypatch, nvml=FakeNvml({first.lock.run_pid: GIB, 1234: GIB, 7: None}))
    watch = child.watch()
    assert watch is not None

    assert child.lock.inherited
    assert watch.end().foreign == ("process 7",)


def test_without_nvml_there_is_nothing_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SimpleNamespace(available=False, energy_j=lambda: None, sm_clock_mhz=lambda: None)

    for device in (card(monkeypatch, nvml=silent), CpuDevice()):
        assert (device.watch(), device.energy_j(), device.sm_clock_mhz()) == (None, None, None)


def test_work_is_timed_behind_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    device = card(monkeypatch, calls=calls)
    calls.clear()
    seconds = device.time_s(lambda: calls.append("work"))

    assert calls == ["work", "record", "work", "record", "wait"]
    assert seconds == 2.0


def test_a_model_may_have_what_is_free_and_what_torch_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert card(monkeypatch).capacity_bytes() == 75 * GIB


def test_the_device_is_held_for_cycles_at_the_rate_that_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    device = card(monkeypatch, calls=calls)
    calls.clear()
    device.hold(0)
    assert calls == []

    device.hold(0.5)
    spin = f"spin {SPIN_CYCLES}"
    # By these events the timed spin takes 2 s.
    hertz = SPIN_CYCLES / 2
    clocked = ["record", f"spin {int(CLOCKED_S * hertz)}", "record"]
    held = [f"spin {int(hertz / 2) - int(CLOCKED_S * hertz)}", *clocked]
    assert calls == [spin, "record", spin, "record", "wait", *held]

    calls.clear()
    device.hold(1)
    held = [f"spin {int(hertz) - int(CLOCKED_S * hertz)}", *clocked]
    assert calls == held, "the rate is timed once"

    calls.clear()
    device.hold(CLOCKED_S / 2)
    assert calls == ["spin 0", "record", f"spin {int(CLOCKED_S / 2 * hertz)}", "record"]


def test_a_hold_tells_the_clock_that_it_spun_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the rate that its cycles were computed by, which was another moment's."""
    device = card(monkeypatch)
    assert device.hold(0) is None

    long, short = device.hold(0.5), device.hold(CLOCKED_S / 2)

    # At the rate that was timed they are half as many cycles a second as these events
    # say, for which the spin between them takes 2 s, however many cycles it has.
    assert long is not None
    assert long.clock_mhz() == pytest.approx(CLOCKED_S * SPIN_CYCLES / 2 / 2 / 1e6)
    assert short is not None
    assert short.clock_mhz() == pytest.approx(CLOCKED_S / 2 * SPIN_CYCLES / 2 / 2 / 1e6)
