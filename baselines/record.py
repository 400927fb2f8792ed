"""What one case of one run observed. Nothing here is derived from it.

Bounds, fractions, MFU, MBU and verdicts are computed on load (derived.py,
verdict.py), so that a better model of the machine re-judges old runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analytic import Case, Ceilings, ModelSpec, SpecError

# The schema of records, run files and baselines, with its history. A file of an
# older one is upgraded where it is read (upgrades.py), one of a newer is refused.
#   1  2026-11  first
#   2  2026-11  models of several families, nested by kind of layer; launch_gap_s in ceilings
SCHEMA = 2


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
    name: str
    device_s: float
    launches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """Device time of one operator in a step, and of the kernels it launched."""

    name: str
    device_s: float
    launches: int
    kernels: tuple[KernelTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Work done per step, counted exactly; None until measured."""

    launches: int | None = None
    aten_ops: int | None = None
    python_calls: int | None = None
    syncs: int | None = None
    copies: int | None = None
    allocated_bytes: int | None = None


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


def require_times(name: str, samples: Sequence[float] | None) -> None:
    """Raises SpecError for samples, in seconds, that no clock can have given."""
    if samples is None:
        return
    if not samples:
        raise SpecError(f"{name} holds no sample")
    if min(samples) <= 0:
        raise SpecError(f"{name} holds {min(samples)} s; a time is positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Raw samples in seconds, in the order in which they were taken.

    `wall_s` is one step (or one generate()) each; `first_token_s` the time to
    the first token of each generate(); `device_s` the union of the kernels'
    intervals in each profiled step, None where there is no profiler to tell,
    with the reason in `device_note`.
    """

    warmup_s: tuple[float, ...]
    wall_s: tuple[float, ...]
    first_token_s: tuple[float, ...] | None
    device_s: tuple[float, ...] | None
    device_note: str | None
    memory: Memory
    tokens: Tokens | None
    state_before: GpuState | None
    state_after: GpuState | None
    counts: Counts | None
    operators: tuple[OperatorTime, ...] | None

    def __post_init__(self) -> None:
        for name in ("wall_s", "device_s", "first_token_s"):
            require_times(name, getattr(self, name))
        if self.first_token_s is None:
            return
        if len(self.first_token_s) != len(self.wall_s):
            raise SpecError(
                f"{len(self.first_token_s)} first_token_s do not go with {len(self.wall_s)} wall_s"
            )
        for first, whole in zip(self.first_token_s, self.wall_s, strict=True):
            if first >= whole:
                raise SpecError(f"first_token_s {first} is not within its wall_s {whole}")


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
