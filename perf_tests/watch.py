"""What the GPU did around and during a case's steps, and who else was on it."""

import time
from collections.abc import Collection, Mapping

from analytic.text import gib
from baselines.record import Conditions, GpuState
from perf_tests.nvml import Nvml, Occupancy

# Reading a state costs a few milliseconds: at this pace a few per cent of a case's
# time, all of it between rounds.
SAMPLE_EVERY_S = 0.1


class Neighbours:
    """Tells other programs on a GPU from this run's own processes.

    `own` are the ids of this process and of the run that started it; `before` the
    ids seen before this process had a context. In a container NVML may show the
    host's ids, under which none of `own` appears: then the first new process is
    taken for this one. Two that appear at once may be confused, but their number
    is right. The run that started this one cannot be told there, and counts as
    foreign.
    """

    def __init__(self, *, own: Collection[int], before: Collection[int]) -> None:
        self._own = frozenset(own)
        self._before = frozenset(before)
        self._named = False
        self._adopted: int | None = None

    def foreign(self, processes: Mapping[int, int | None]) -> dict[int, int | None]:
        """Those of `processes` that are not ours."""
        self._named = self._named or any(pid in self._own for pid in processes)
        others = {pid: held for pid, held in processes.items() if pid not in self._own}
        if self._named:
            return others
        if self._adopted is None:
            self._adopted = next((pid for pid in others if pid not in self._before), None)
        return {pid: held for pid, held in others.items() if pid != self._adopted}


class Watch:
    """NVML's readings from now to `end`, which is called right after the last step
    that they stand for: an idle GPU lowers its clocks."""

    def __init__(self, nvml: Nvml, neighbours: Neighbours, *, at_start: Occupancy | None) -> None:
        self._nvml = nvml
        self._neighbours = neighbours
        self._at_start = at_start
        self._foreign: dict[int, int | None] | None = None
        self._during: list[GpuState] = []
        self._before = self._state()
        self._counters = nvml.counters()
        self._started_s = self._read_s = time.perf_counter()

    def sample(self) -> None:
        """Reads the GPU's state, unless it was read a moment ago; for between rounds."""
        if time.perf_counter() - self._read_s < SAMPLE_EVERY_S:
            return
        self._during.append(self._state())
        self._read_s = time.perf_counter()

    def end(self) -> Conditions:
        after = self._state()
        counters, observed_s = self._nvml.counters(), time.perf_counter() - self._started_s
        return Conditions(
            before=self._before,
            during=tuple(self._during),
            after=after,
            observed_s=observed_s,
            slowed_s=_grown(self._counters, counters),
            foreign=None if self._foreign is None else _words(self._foreign),
            memory_at_start_bytes=self._at_start.memory_used_bytes if self._at_start else None,
            sm_clock_max_mhz=self._nvml.sm_clock_max_mhz(),
            memory_clock_max_mhz=self._nvml.memory_clock_max_mhz(),
            persistence=self._nvml.persistence(),
            pcie=self._nvml.pcie(),
        )

    def _state(self) -> GpuState:
        processes = self._nvml.processes()
        if processes is not None:
            self._foreign = (self._foreign or {}) | self._neighbours.foreign(processes)
        state = self._nvml.state()
        assert state is not None  # a watch is made only where NVML is there
        return state


def _grown(before: Mapping[str, float] | None, after: Mapping[str, float] | None) -> dict[str, float] | None:
    """By how much each counter grew; one that was set back (the driver was loaded
    anew) is left out."""
    if before is None or after is None:
        return None
    grown = {name: after[name] - was for name, was in before.items() if name in after}
    return {name: seconds for name, seconds in grown.items() if seconds >= 0} or None


def _words(foreign: Mapping[int, int | None]) -> tuple[str, ...]:
    return tuple(
        f"process {pid}" if held is None else f"process {pid} ({gib(held)})"
        for pid, held in sorted(foreign.items())
    )
