"""What is kept of a case's conditions, and which processes are somebody else's."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from baselines.record import GpuState
from perf_tests import watch
from perf_tests.nvml import Occupancy
from perf_tests.selftests.records import gpu_state
from perf_tests.watch import SAMPLE_EVERY_S, Neighbours, Watch

OURS, PARENT, OTHER, LATER = 100, 90, 4242, 5000
GIB = 2**30


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock in seconds that a test moves."""
    hand = SimpleNamespace(s=0.0)
    monkeypatch.setattr(watch.time, "perf_counter", lambda: hand.s)
    return hand


class FakeNvml:
    """A GPU whose temperature tells the readings apart: 1 °C more each."""

    def __init__(self) -> None:
        self.readings = 0
        self.counted: dict[str, float] | None = {"sw_power_cap": 5.0, "hw_power_brake": 1.0}
        self.listed: Iterator[Any] | None = None

    def state(self) -> GpuState:
        self.readings += 1
        return replace(gpu_state(), temperature_c=self.readings)

    def counters(self) -> dict[str, float] | None:
        return None if self.counted is None else dict(self.counted)

    def processes(self) -> dict[int, int | None] | None:
        return next(self.listed) if self.listed else None

    def sm_clock_max_mhz(self) -> int:
        return 1590

    def memory_clock_max_mhz(self) -> int:
        return 2619

    def persistence(self) -> bool:
        return False

    def pcie(self) -> str:
        return "gen 3 x16 of gen 3 x16"


def watching(nvml: FakeNvml, *, at_start: Occupancy | None = None) -> Watch:
    return Watch(nvml, Neighbours(own=(OURS,), before=()), at_start=at_start)  # type: ignore[arg-type]


def test_readings_keep_their_distance_and_their_order(clock: SimpleNamespace) -> None:
    seen = watching(FakeNvml())
    for step in range(20):
        clock.s = step * SAMPLE_EVERY_S / 4
        seen.sample()
    clock.s = 2.0
    found = seen.end()

    assert found.before.temperature_c == 1
    assert [s.temperature_c for s in found.during] == [2, 3, 4, 5]
    assert found.after.temperature_c == 6
    assert found.observed_s == 2.0


def test_counters_are_what_they_grew_by(clock: SimpleNamespace) -> None:
    nvml = FakeNvml()
    nvml.counted = {"sw_power_cap": 5.0, "hw_power_brake": 1.0, "hw_thermal_slowdown": 9.0}
    seen = watching(nvml)
    clock.s = 3.0
    # One is not told any more, and the driver set one back.
    nvml.counted = {"sw_power_cap": 6.5, "hw_thermal_slowdown": 0.5}

    assert seen.end().slowed_s == {"sw_power_cap": 1.5}


@pytest.mark.usefixtures("clock")
def test_what_is_not_told_is_none() -> None:
    nvml = FakeNvml()
    nvml.counted = None
    found = watching(nvml).end()

    assert (found.slowed_s, found.foreign, found.memory_at_start_bytes) == (None, None, None)


@pytest.mark.usefixtures("clock")
def test_the_rest_is_as_nvml_says() -> None:
    start = Occupancy(processes={}, memory_used_bytes=3 * GIB)
    found = watching(FakeNvml(), at_start=start).end()

    assert found.memory_at_start_bytes == 3 * GIB
    assert (found.sm_clock_max_mhz, found.memory_clock_max_mhz) == (1590, 2619)
    assert (found.persistence, found.pcie) == (False, "gen 3 x16 of gen 3 x16")


def test_a_process_that_came_and_went_is_named(clock: SimpleNamespace) -> None:
    nvml = FakeNvml()
    nvml.listed = iter([{OURS: GIB}, {OURS: GIB, OTHER: int(3.1 * GIB), LATER: None}, {OURS: GIB}])
    seen = watching(nvml)
    clock.s = 1.0
    seen.sample()

    assert seen.end().foreign == ("process 4242 (3.10 GiB)", "process 5000")


@pytest.mark.usefixtures("clock")
def test_alone_on_the_gpu() -> None:
    nvml = FakeNvml()
    nvml.listed = iter([{}, {OURS: GIB}])

    assert watching(nvml).end().foreign == ()


@pytest.mark.parametrize(
    ("before", "lists", "foreign"),
    [
        ((), [{}, {OURS}, {OURS, PARENT}], []),
        ((OTHER,), [{OTHER}, {OTHER, OURS}], [OTHER]),
        ((), [{OURS}, {OURS, LATER}], [LATER]),
        # The host's ids: the first new one is ours, whoever was there before.
        ((), [{7}, {7}, {7, 8}], [8]),
        ((6,), [{6}, {6, 7}, {6, 7, 8}], [6, 8]),
        # Another came before we were listed: taken for us, until we are.
        ((), [{OTHER}, {OTHER, OURS}], [OTHER]),
    ],
    ids=["own", "there before", "came later", "host's ids", "host's ids, there before", "own id listed late"],
)
def test_who_is_foreign(before: tuple[int, ...], lists: list[set[int]], foreign: list[int]) -> None:
    neighbours = Neighbours(own=(OURS, PARENT), before=before)
    answers = [neighbours.foreign(dict.fromkeys(sorted(one), GIB)) for one in lists]

    assert sorted(answers[-1]) == foreign
