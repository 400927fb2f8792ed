"""What follows from a record: bound, fractions, rates, and what holds it back."""

from dataclasses import dataclass
from statistics import median

from analytic import (
    Bound,
    Ceilings,
    Cost,
    GpuSpec,
    Phase,
    Precision,
    Roofs,
    SpecError,
    case_costs,
    find_gpu,
    find_precision,
    least_s,
    mbu,
    mfu,
    sequence_bound,
)
from baselines.card_clock import at_card_clock
from baselines.record import Record

CPU = "cpu"

# Beyond this share of the wall spent outside kernels, the GPU waits for the
# host to launch them: neither roof explains the time. Eager decode on an H100
# shows 0.6 to 0.8; a step whose launches hide behind its kernels near 0.
LAUNCH_BOUND_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A record beside its bound. Times are medians, in seconds.

    `record` is at the card's own clock (card_clock.py), `as_run` as it was stored;
    they differ where a step ran above that clock. `bound` is under the machine's
    roofs (a GPU's datasheet; a CPU's measured ceilings), `ceiling_bound` under what
    was measured today. For generate(), times and bound are those of the whole call.
    """

    record: Record
    as_run: Record
    precision: Precision
    costs: tuple[Cost, ...]
    roofs: Roofs
    bound: Bound
    ceiling_bound: Bound | None
    least_s: float
    wall_s: float
    device_s: float | None

    @property
    def as_run_s(self) -> float | None:
        """Device time as it was: what the wall holds."""
        sampled = self.as_run.measurement
        return median(sampled.device_s) if sampled.device_s else None

    @property
    def gating_s(self) -> float:
        """Device time where it was measured, else the wall."""
        return self.wall_s if self.device_s is None else self.device_s

    @property
    def device_fraction(self) -> float | None:
        return None if self.device_s is None else self.bound.lower_s / self.device_s

    @property
    def wall_fraction(self) -> float:
        return self.bound.lower_s / self.wall_s

    @property
    def mfu(self) -> float:
        """Of the peak of the dtype that multiplies, over the gating time."""
        peak = self.roofs.peak(self.costs[0].math)
        return mfu(flops=self.bound.flops, time_s=self.gating_s, peak_flops_per_s=peak)

    @property
    def mbu(self) -> float:
        return mbu(
            moved_bytes=self.bound.bytes,
            time_s=self.gating_s,
            peak_bytes_per_s=self.roofs.bytes_per_s,
        )

    @property
    def host_share(self) -> float | None:
        """The share of the wall in which no kernel runs."""
        return None if self.as_run_s is None else max(0.0, 1.0 - self.as_run_s / self.wall_s)

    @property
    def regime(self) -> str:
        """What holds the case back: "launch", "compute", "memory" or "unknown"."""
        return regime_of(self.bound.limiter, self.host_share, gpu=self.record.gpu)

    @property
    def binding(self) -> str:
        """The regime as a phrase: "launch-bound"."""
        return "bound by what was not seen" if self.regime == "unknown" else f"{self.regime}-bound"

    @property
    def first_token_s(self) -> float | None:
        """generate(): time to the first token, prefill included."""
        samples = self.record.measurement.first_token_s
        return median(samples) if samples else None

    @property
    def tpot_s(self) -> float | None:
        """generate(): time per output token after the first."""
        case = self.record.case
        if self.first_token_s is None or case.output_len is None:
            return None
        return (self.wall_s - self.first_token_s) / (case.output_len - 1)

    @property
    def tokens_per_s(self) -> float:
        """Over the batch, by the wall: prompt tokens of a prefill, new tokens
        of a decode step; for generate() the decode rate, prefill kept apart."""
        case = self.record.case
        if case.phase is Phase.GENERATE:
            assert self.tpot_s is not None  # noqa: S101 - derive() checks it
            return case.batch / self.tpot_s
        return case.new_tokens / self.wall_s


def regime_of(limiter: str, host_share: float | None, *, gpu: str) -> str:
    """The regime of a case by its limiter, unless launches take too much of its wall;
    "unknown" on a GPU without device time, where the gaps between kernels cannot be seen."""
    if host_share is None:
        return limiter if gpu == CPU else "unknown"
    return "launch" if host_share > LAUNCH_BOUND_SHARE else limiter


def find_roofs(record: Record, ceilings: Ceilings | None) -> tuple[Roofs, GpuSpec | None]:
    """The roofs that bound a record: its GPU's datasheet, or a CPU's ceilings.

    Raises SpecError for a GPU that the registry no longer holds, and for a CPU
    record without ceilings.
    """
    if record.gpu != CPU:
        gpu = find_gpu(record.gpu)
        return gpu.roofs, gpu
    if ceilings is None:
        raise SpecError(f"{record.case.id}: a CPU has no datasheet, and the run measured no ceilings")
    return ceilings.roofs, None


def lane_of(gpu: str) -> str:
    """The lane that measures on it."""
    return CPU if gpu == CPU else "gpu"


def derive(record: Record, ceilings: Ceilings | None) -> Derived:
    """`ceilings` are the run's (run.run_ceilings), not the record's own, so that
    every case of a run is held against the same line. Raises SpecError."""
    as_run, record = record, at_card_clock(record)
    case, sampled = record.case, record.measurement
    if case.phase is Phase.GENERATE and not sampled.first_token_s:
        raise SpecError(f"{case.id}: a generate() record without the time to its first token")
    precision = find_precision(case.precision)
    costs = case_costs(record.model, case, precision)
    roofs, gpu = find_roofs(record, ceilings)
    measured = None
    if ceilings is not None and all(op.math in ceilings.gemm_flops_per_s for op in costs[0].operators):
        measured = sequence_bound(costs, ceilings.roofs)
    return Derived(
        record=record,
        as_run=as_run,
        precision=precision,
        costs=costs,
        roofs=roofs,
        bound=sequence_bound(costs, roofs),
        ceiling_bound=measured,
        least_s=least_s(costs, roofs, cache_bytes=gpu.l2_bytes if gpu else 0),
        wall_s=median(sampled.wall_s),
        device_s=median(sampled.device_s) if sampled.device_s else None,
    )
