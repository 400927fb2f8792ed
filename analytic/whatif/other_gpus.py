"""The same case on each GPU of the registry, with this host."""

from dataclasses import dataclass

from analytic import text
from analytic.bound import case_bound
from analytic.estimate import Interval
from analytic.gpus import GpuSpec, registry
from analytic.whatif.formats import missing_dtype
from analytic.whatif.memory import beyond_memory, need_bytes
from analytic.whatif.present import Present
from analytic.whatif.run import Run, by_bound, eager_run, estimable


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The case on one GPU: its bound, the estimates of device and wall time in
    seconds, and `speedup`, the ratio of throughputs. None where it cannot run or
    be foretold; `note` says why."""

    gpu: str
    lower_s: float | None
    device: Interval | None
    wall: Interval | None
    speedup: float | None
    note: str

    @property
    def wall_s(self) -> float | None:
        return None if self.wall is None else self.wall.typical_s


def other_gpus(now: Present) -> tuple[Outlook, ...]:
    """In the registry's order, the present one among them."""
    return tuple(_outlook(now, gpu) for gpu in registry())


def _outlook(now: Present, gpu: GpuSpec) -> Outlook:
    missing = missing_dtype(now.precision, gpu.flops_per_s)
    if missing:
        return _refused(gpu, None, f"no {missing} units")
    own = now.gpu is not None and gpu.key == now.gpu.key
    if own:
        return _present(now, gpu)
    lower_s = case_bound(now.model, now.case, gpu.roofs).lower_s
    unfit = beyond_memory(now, gpu, need_bytes(now.model, now.case, gpu))
    if unfit:
        return _refused(gpu, lower_s, unfit)
    if now.gpu is None:
        return _refused(gpu, lower_s, "bound only: measured on a CPU")
    if now.estimated and not estimable(now.case, gpu):
        return _refused(gpu, lower_s, "bound only: no kernel of this maker was ever timed")
    run = _run(now, gpu, lower_s)
    return Outlook(
        gpu=gpu.key,
        lower_s=lower_s,
        device=now.device(run),
        wall=now.wall(run),
        speedup=now.gain(run),
        note=_floor(now, run),
    )


def _run(now: Present, gpu: GpuSpec, lower_s: float) -> Run:
    if not now.estimated:  # bounds are only held against bounds
        return by_bound(lower_s, now.run.tokens)
    return eager_run(now.model, now.case, gpu=gpu, roofs=gpu.roofs, ceilings=None)


def _present(now: Present, gpu: GpuSpec) -> Outlook:
    device, wall = now.device(now.run), now.wall(now.run)
    note = "this GPU"
    if now.observation is not None:  # what was measured has no interval
        device = None if now.device_s is None else _exactly(now.device_s)
        wall = _exactly(now.observation.wall_s)
        note = "this GPU, as measured"
    return Outlook(gpu=gpu.key, lower_s=now.run.lower_s, device=device, wall=wall, speedup=1.0, note=note)


def _exactly(seconds: float) -> Interval:
    return Interval(low_s=seconds, typical_s=seconds, high_s=seconds)


def _refused(gpu: GpuSpec, lower_s: float | None, note: str) -> Outlook:
    return Outlook(gpu=gpu.key, lower_s=lower_s, device=None, wall=None, speedup=None, note=note)


def _floor(now: Present, run: Run) -> str:
    floor_s = now.waits_s(run)
    return "" if floor_s is None else f"the host's {text.seconds(floor_s)} of launching is the floor"
