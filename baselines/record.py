"""What one case of one run observed. Nothing here is derived from it.

Bounds, fractions, MFU, MBU and verdicts are computed on load (derived.py,
verdict.py), so that a better model of the machine re-judges old runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytic import Case, Ceilings, ModelSpec, SpecError

# The schema of records, run files and baselines, with its history. A file of an
# older one is upgraded where it is read (upgrades.py), one of a newer is refused.
#   1  2026-11  first
#   2  2026-11  models of several families, nested by kind of layer; launch_gap_s in ceilings
#   3  2026-11  conditions in place of two GPU states, kernels by operator, how the engine was made
#               ready, back-to-back steps, energy; counts, kernels and ceilings in baselines
#   4  2026-11  for how long the device was held before a profiled step
#   5  2026-11  the SM clock that it was held at, and the highest it is said to have
#   6  2026-11  what a case promises to catch; in baselines the anchor and where they come from, in
#               verdicts the least change that would have been seen
SCHEMA = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """NVML's view at one moment; None where the GPU or driver does not say.

    `event_reasons` are NVML's clocks-event reasons by name (sw_power_cap, …).
    """

    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    temperature_c: int | None
    power_w: float | None
    memory_used_bytes: int | None
    event_reasons: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The GPU around and during a case's timed and profiled steps, by NVML; None
    where the GPU or driver does not say.

    `during` was read between timed rounds. `slowed_s` are seconds in which the
    clock was held down, by reason (sw_power_cap, sw_thermal_slowdown, …), out of
    `observed_s`: differences of counters, so that nothing between two readings is
    missed. `foreign` are processes on the GPU that are not of this run, in words;
    `memory_at_start_bytes` is what was in use before this run's own context.
    """

    before: GpuState
    during: tuple[GpuState, ...]
    after: GpuState
    observed_s: float
    slowed_s: Mapping[str, float] | None
    foreign: tuple[str, ...] | None
    memory_at_start_bytes: int | None
    sm_clock_max_mhz: int | None
    memory_clock_max_mhz: int | None
    persistence: bool | None
    pcie: str | None

    def __post_init__(self) -> None:
        require_not_negative("observed_s", (self.observed_s,))
        require_not_negative("slowed_s", tuple((self.slowed_s or {}).values()))

    @property
    def states(self) -> tuple[GpuState, ...]:
        """Every reading, in order."""
        return (self.before, *self.during, self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardKey:
    """What must be equal for two measurements to be compared at all."""

    device: str
    device_memory_bytes: int | None
    power_limit_w: float | None
    ecc: bool | None
    mig: bool | None
    shapes: str
    checkpoint: str
    attention: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftKey:
    """What may differ, and is shown beside a difference when it does."""

    gpu_uuid: str | None
    driver: str | None
    cuda: str | None
    torch: str
    transformers: str
    bitsandbytes: str | None
    accelerate: str | None
    python: str
    host: str
    host_cpu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTime:
    """All launches of one kernel (or copy, or fill) within one operator.

    `operator` is None where an engine's steps cannot be told apart by module.
    `launches` are per step. `device_s` holds one sum of durations, in seconds,
    per profiled step; in a baseline one median per session.
    """

    operator: str | None
    name: str
    launches: int
    device_s: tuple[float, ...]

    def __post_init__(self) -> None:
        require_not_negative("launches", (self.launches,))
        require_not_negative("device_s", self.device_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Work done per step, counted exactly; None where it was not, or where steps differ.

    `python_calls` are calls of Python and built-in functions; `syncs` are waits
    of the host for the device inside the step; `copies` are memory copies;
    `allocated_bytes` the peak above what was allocated when the step began.
    """

    launches: int | None = None
    aten_ops: int | None = None
    python_calls: int | None = None
    syncs: int | None = None
    copies: int | None = None
    allocated_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("launches", "aten_ops", "python_calls", "syncs", "copies", "allocated_bytes"):
            require_not_negative(name, (getattr(self, name),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Device memory in bytes: held before the case, at its peak, and as predicted."""

    resident_bytes: int | None
    peak_bytes: int | None
    predicted_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Output tokens per sequence, and a digest of which they were (informs only)."""

    produced: int
    digest: str


# Between these a clock tells the time of a step, in seconds; beyond them rates and their
# sums are no finite numbers any more.
SHORTEST_S, LONGEST_S = 1e-12, 1e9


def require_times(name: str, samples: Sequence[float] | None) -> None:
    """Raises SpecError for samples, in seconds, that no clock can have given."""
    if samples is None:
        return
    if not samples:
        raise SpecError(f"{name} holds no sample")
    if min(samples) <= 0:
        raise SpecError(f"{name} holds {min(samples)} s; a time is positive")
    for extreme in (min(samples), max(samples)):
        if not SHORTEST_S <= extreme <= LONGEST_S:
            raise SpecError(
                f"{name} holds {extreme} s; a clock tells times from {SHORTEST_S:g} to {LONGEST_S:g} s"
            )


def require_not_negative(name: str, values: Sequence[float | None] | None) -> None:
    """Raises SpecError for a time, energy or count below zero; what was not observed passes."""
    lowest = min((v for v in values or () if v is not None), default=0)
    if lowest < 0:
        raise SpecError(f"{name} holds {lowest}; none is below zero")


def require_clocks(clocks_mhz: Sequence[float] | None, device_s: Sequence[float] | None) -> None:
    """Raises SpecError for clocks that are not those of these steps."""
    if clocks_mhz is None:
        return
    if len(clocks_mhz) != len(device_s or ()):
        raise SpecError(f"{len(clocks_mhz)} held_clock_mhz do not go with {len(device_s or ())} device_s")
    if not clocks_mhz or min(clocks_mhz) <= 0:
        raise SpecError(
            f"held_clock_mhz holds {min(clocks_mhz, default='nothing')}; clocks in MHz are needed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Raw samples in seconds, in the order in which they were taken.

    `prepare_s` is what the engine took to make the step ready: compiling,
    capturing, filling a cache. `warmup_stop` names the rule that ended the
    warm-up. `wall_s` is one step (or one generate()) each; `back_to_back_s` one
    step out of a burst that is synchronised only at its end, one sample a burst;
    `first_token_s` the time to the first token of each generate(); `device_s` the
    union of the kernels' intervals in each profiled step, None where there is no
    profiler to tell, with the reason in `device_note`; before each the device was
    held for `hold_s`, None where that is not known or there is no device time.
    `held_clock_mhz` is the SM clock at the end of each hold, by a kernel that spins
    for a known number of cycles; None where none was held, or that is not known.
    `energy_j` is of all timed rounds together, None where they were too short for the
    GPU's counter. `teardown` says that the profiler leaves no trace behind;
    `retried` why a first attempt was thrown away, empty where there was one only.
    """

    prepare_s: float | None
    warmup_s: tuple[float, ...]
    warmup_stop: str | None
    wall_s: tuple[float, ...]
    back_to_back_s: tuple[float, ...] | None
    first_token_s: tuple[float, ...] | None
    device_s: tuple[float, ...] | None
    device_note: str | None
    hold_s: float | None
    held_clock_mhz: tuple[float, ...] | None
    memory: Memory
    tokens: Tokens | None
    conditions: Conditions | None
    energy_j: float | None
    counts: Counts | None
    kernels: tuple[KernelTime, ...] | None
    teardown: bool
    retried: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("wall_s", "back_to_back_s", "device_s", "first_token_s"):
            require_times(name, getattr(self, name))
        require_not_negative("warmup_s", self.warmup_s)
        for name in ("prepare_s", "hold_s", "energy_j"):
            require_not_negative(name, (getattr(self, name),))
        require_clocks(self.held_clock_mhz, self.device_s)
        if self.first_token_s is None:
            return
        if len(self.first_token_s) != len(self.wall_s):
            raise SpecError(
                f"{len(self.first_token_s)} first_token_s do not go with {len(self.wall_s)} wall_s"
            )
        for first, whole in zip(self.first_token_s, self.wall_s, strict=True):
            if first >= whole:
                raise SpecError(f"first_token_s {first} is not within its wall_s {whole}")

    @property
    def sm_clock_max_mhz(self) -> int | None:
        """The highest that the GPU is said to have; None where nobody says."""
        return self.conditions.sm_clock_max_mhz if self.conditions else None


#: What is judged together: of one GPU and one model, under one hard key.
Kind = tuple[str, str, HardKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One case of one run. `gpu` is the registry's key, or "cpu"."""

    schema: int
    run: str
    started: str
    commit: str
    dirty: bool
    case: Case
    gpu: str
    model: ModelSpec
    hard: HardKey
    soft: SoftKey
    ceilings: Ceilings | None
    measurement: Measurement

    @property
    def kind(self) -> Kind:
        return self.gpu, self.case.model, self.hard

    @property
    def tree(self) -> str:
        """Its commit, as git describes a tree that is not its commit's."""
        return f"{self.commit}{'-dirty' if self.dirty else ''}"
