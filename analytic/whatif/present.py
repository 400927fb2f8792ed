"""The case as it is, estimated or observed, and times of other runs by it."""

from dataclasses import dataclass
from math import inf

from analytic.case import Case
from analytic.errors import SpecError
from analytic.estimate import GAP_HIGH, GAP_LOW, HOST_SHARE, LAUNCH_GAP_S, Interval
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.precision import Precision, find_precision
from analytic.roofs import Ceilings, Roofs
from analytic.whatif.run import Run, eager_run, estimable, longer, scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was measured of the case: times of a pass in seconds, `device_s` None
    where no profiler told; `launch_bound` says that the GPU waits for the host.
    Raises SpecError for a contradiction."""

    wall_s: float
    device_s: float | None
    launch_bound: bool

    def __post_init__(self) -> None:
        for name, value in (("wall", self.wall_s), ("device time", self.device_s)):
            if value is not None and not 0 < value < inf:
                raise SpecError(f"the observed {name} is {value} s; a positive time is needed")
        if self.launch_bound and self.device_s is None:
            raise SpecError("launch-bound cannot be known without a device time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """One case on one machine; made by `present()`.

    `gpu` is None on a CPU, whose `roofs` are measured ceilings. `run` is the case
    by the model. `scale` is observed over modelled device time, `beyond` wall
    over device time where nothing waits for launches, and `gap` the host's
    seconds per launch.
    """

    model: ModelSpec
    case: Case
    gpu: GpuSpec | None
    roofs: Roofs
    ceilings: Ceilings | None
    observation: Observation | None
    estimated: bool
    run: Run
    scale: float
    beyond: float
    gap: Interval

    @property
    def precision(self) -> Precision:
        return find_precision(self.case.precision)

    @property
    def timed(self) -> bool:
        """Whether times can be told at all; else bounds alone."""
        return self.estimated or self.observation is not None

    @property
    def launch_bound(self) -> bool:
        """Observed, or else estimated."""
        if self.observation is not None:
            return self.observation.launch_bound
        return self.estimated and self.floor(self.run).typical_s > self.run.device.typical_s

    @property
    def device_s(self) -> float | None:
        if self.observation is not None:
            return self.observation.device_s
        return self.run.device.typical_s if self.estimated else None

    @property
    def wall_s(self) -> float | None:
        if self.observation is not None:
            return self.observation.wall_s
        wall = self.wall(self.run)
        return None if wall is None else wall.typical_s

    def floor(self, run: Run) -> Interval:
        """What the host needs to launch a run."""
        return scaled(self.gap, run.launches)

    def device(self, run: Run) -> Interval | None:
        """The device time of another run; None where none can be told."""
        if not self.timed or (self.observation is not None and self.observation.device_s is None):
            return None
        return scaled(run.device, self.scale)

    def wall(self, run: Run) -> Interval | None:
        """The wall time of another run; None where none can be told."""
        if not self.timed:
            return None
        return longer(scaled(run.device, self.scale * self.beyond), self.floor(run))

    def waits_s(self, run: Run) -> float | None:
        """The host's time to launch a run, in seconds, where that is all its wall;
        None where it is not, or no time can be told."""
        wall, floor_s = self.wall(run), self.floor(run).typical_s
        return None if wall is None or wall.typical_s > floor_s else floor_s

    def gain(self, run: Run) -> float:
        """The throughput of another run over the present one; where no time can be
        told, by the bounds."""
        wall, own = self.wall(run), self.wall_s
        tokens = run.tokens / self.run.tokens
        if wall is None or own is None:
            return tokens * self.run.lower_s / run.lower_s
        return tokens * own / wall.typical_s

    def eager(self, case: Case, *, attention: str = "auto") -> Run:
        """Another case on this machine."""
        return eager_run(
            self.model, case, gpu=self.gpu, roofs=self.roofs, ceilings=self.ceilings, attention=attention
        )


def present(
    model: ModelSpec,
    case: Case,
    *,
    gpu: GpuSpec | None,
    roofs: Roofs | None = None,
    ceilings: Ceilings | None = None,
    observation: Observation | None = None,
) -> Present:
    """The case on `gpu`, or on a CPU of given `roofs` where that is None. `ceilings`
    are what the machine was measured to reach.

    Raises SpecError where a dtype has no roof or units, and where neither a GPU
    nor roofs are given.
    """
    bounds = roofs or (gpu.roofs if gpu else None)
    if bounds is None:
        raise SpecError("neither a GPU nor roofs are given: nothing bounds the case")
    if gpu is not None:
        for dtype in find_precision(case.precision).dtypes:
            gpu.require(dtype)
    run = eager_run(model, case, gpu=gpu, roofs=bounds, ceilings=ceilings)
    estimated = estimable(case, gpu)
    scale, beyond = _scales(run, observation)
    return Present(
        model=model,
        case=case,
        gpu=gpu,
        roofs=bounds,
        ceilings=ceilings,
        observation=observation,
        estimated=estimated,
        run=run,
        scale=scale,
        beyond=beyond,
        gap=_gap(run, observation, ceilings, estimated=estimated),
    )


def _scales(run: Run, observation: Observation | None) -> tuple[float, float]:
    if observation is None:
        return 1.0, 1.0
    if observation.device_s is None:
        return observation.wall_s / run.device.typical_s, 1.0
    scale = observation.device_s / run.device.typical_s
    return scale, 1.0 if observation.launch_bound else observation.wall_s / observation.device_s


def _gap(
    run: Run, observation: Observation | None, ceilings: Ceilings | None, *, estimated: bool
) -> Interval:
    most = inf if observation is None else observation.wall_s / run.launches
    if observation is not None and observation.launch_bound:
        return Interval(low_s=most, typical_s=most, high_s=most)
    if not estimated:
        return Interval(low_s=0.0, typical_s=0.0, high_s=0.0)
    measured = ceilings.launch_gap_s if ceilings else None
    gap = min((measured or LAUNCH_GAP_S) * HOST_SHARE, most)
    return Interval(low_s=gap * GAP_LOW, typical_s=gap, high_s=min(gap * GAP_HIGH, most))
