"""What a change would do to one observed case, computed from the model.

The prediction, and its limits:

* Device time keeps the achieved fraction of its bound: device' = device ×
  lower' / lower. Other shapes and other kernels may reach another fraction;
  the kernels of a quantised format often reach a lower one.
* Where the case is launch-bound, the host's launching takes the whole wall.
  That is a floor which no lighter or faster kernel lowers: wall' = max(wall,
  device'). Only an engine that launches a step at once (CUDA graphs) removes
  it: wall' = device.
* Elsewhere wall' = wall × lower' / lower. The launching time then hides under
  the kernels and is not known, so a large gain may meet a floor not seen here.

A gain is a ratio of throughputs, (tokens' / wall') / (tokens / wall).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analytic import text
from analytic.bound import Bound, case_bound
from analytic.case import Case
from analytic.errors import SpecError
from analytic.footprint import footprint
from analytic.gpus import GpuSpec, registry
from analytic.models import ModelSpec
from analytic.precision import QUANTISED, Precision, find_precision
from analytic.roofs import Roofs

# A predicted gain up to this ratio is within what the model cannot tell.
NO_GAIN = 1.02

# The share of a GPU's nominal memory that is offered: a margin for CUDA's own
# context, workspaces and fragmentation.
USABLE_SHARE = 0.95

# The batches offered, as multiples of the observed one, beside the largest that fits.
BATCH_STEPS = (2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One measured case. `gpu` is None on a CPU, whose `roofs` are measured
    ceilings; `device_s` is None where no profiler told; `launch_bound` says
    that the GPU waits for the host. Raises SpecError for a contradiction."""

    model: ModelSpec
    case: Case
    roofs: Roofs
    gpu: GpuSpec | None
    wall_s: float
    device_s: float | None
    launch_bound: bool

    def __post_init__(self) -> None:
        if self.launch_bound and self.device_s is None:
            raise SpecError(f"{self.case.id}: launch-bound cannot be known without a device time")

    @property
    def bound(self) -> Bound:
        return case_bound(self.model, self.case, self.roofs)

    def predicted_device_s(self, bound: Bound) -> float | None:
        """Device time under another bound, at the same achieved fraction."""
        if self.device_s is None:
            return None
        return self.device_s * bound.lower_s / self.bound.lower_s

    def predicted_wall_s(self, bound: Bound) -> float:
        """Wall time under another bound, with the host as it is."""
        device_s = self.predicted_device_s(bound)
        if self.launch_bound and device_s is not None:
            return max(self.wall_s, device_s)
        return self.wall_s * bound.lower_s / self.bound.lower_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One change: its predicted wall time of a pass, in seconds, and the gain in
    throughput. Both are None where it cannot be done or foretold, as `reason`
    says. `case` is the changed case, None where it is the engine that changes."""

    name: str
    case: Case | None
    wall_s: float | None
    gain: float | None
    reason: str

    @property
    def gains(self) -> bool:
        return self.gain is not None and self.gain > NO_GAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The observed case on one GPU of the registry: its bound and the predicted
    wall time in seconds. None where it cannot run or be foretold; `note` says why."""

    gpu: str
    lower_s: float | None
    wall_s: float | None
    speedup: float | None
    note: str


def options(observed: Observed) -> tuple[Option, ...]:
    """Every change that the model can foretell, best gain first; what cannot be
    done comes last."""
    return ranked([*_batches(observed), *_precisions(observed), *_engines(observed)])


def ranked(choices: Iterable[Option]) -> tuple[Option, ...]:
    """By gain, best first; those without one last, in the order given."""
    return tuple(sorted(choices, key=lambda o: -1.0 if o.gain is None else o.gain, reverse=True))


def batch_option(observed: Observed, batch: int) -> Option:
    """The case at another batch."""
    case = replace(observed.case, batch=batch)
    fit = _fit(observed.model, case, observed.gpu)
    if fit.refusal:
        return _impossible(f"batch {batch}", case, fit.refusal)
    now, then = observed.bound, case_bound(observed.model, case, observed.roofs)
    reason = (
        f"the bound of a pass goes from {text.seconds(now.lower_s)} to {text.seconds(then.lower_s)} "
        f"for {batch / observed.case.batch:g} times the tokens{_under_launching(observed, then)}{fit.said}"
    )
    return _foretold(observed, f"batch {batch}", case, then, reason)


def other_gpus(observed: Observed) -> tuple[Outlook, ...]:
    """The same case on each GPU of the registry, in its order, with this host."""
    return tuple(_outlook(observed, gpu) for gpu in registry())


def _batches(observed: Observed) -> list[Option]:
    batches = [observed.case.batch * step for step in BATCH_STEPS]
    largest = _largest_batch(observed)
    fitting = [b for b in batches if largest is None or b <= largest]
    if largest is not None and largest > max([observed.case.batch, *fitting]):
        fitting.append(largest)
    if not fitting:
        return [batch_option(observed, batches[0])]
    found = [batch_option(observed, b) for b in fitting]
    if largest is not None:
        last = found[-1]
        found[-1] = replace(last, reason=f"{last.reason}, the largest power of two that fits")
    return found


def _largest_batch(observed: Observed) -> int | None:
    """The observed batch, doubled while it fits; None where memory is not known."""
    if observed.gpu is None:
        return None
    batch = observed.case.batch
    while not _fit(observed.model, replace(observed.case, batch=batch * 2), observed.gpu).refusal:
        batch *= 2
    return batch


def _precisions(observed: Observed) -> list[Option]:
    return [_precision_option(observed, name) for name in _other_precisions(observed)]


def _other_precisions(observed: Observed) -> Sequence[str]:
    """The fastest 16-bit type and the quantised ones, without the observed:
    fp16 and bf16 move the same bytes, so one of them is enough."""
    own = observed.case.precision
    halves = [d for d in ("fp16", "bf16") if d in observed.roofs.flops_per_s]
    half = max(halves, key=observed.roofs.peak) if halves else "fp16"
    return [*([] if own in ("fp16", "bf16") else [half]), *(q for q in QUANTISED if q != own)]


def _precision_option(observed: Observed, name: str) -> Option:
    case = replace(observed.case, precision=name)
    label = f"{name} weights"
    missing = _missing_dtype(find_precision(name), observed.roofs)
    if missing:
        return _impossible(label, case, f"no {missing} compute roof ({observed.roofs.label})")
    fit = _fit(observed.model, case, observed.gpu)
    if fit.refusal:
        return _impossible(label, case, fit.refusal)
    now, then = observed.bound, case_bound(observed.model, case, observed.roofs)
    reason = (
        f"{text.scaled(then.bytes, 'B')} to move instead of {text.scaled(now.bytes, 'B')}: the bound goes "
        f"from {text.seconds(now.lower_s)} to {text.seconds(then.lower_s)}{_under_launching(observed, then)}"
    )
    if name in QUANTISED:
        reason += "; by the bound: the kernels of bitsandbytes may not reach it"
    return _foretold(observed, label, case, then, reason)


def _engines(observed: Observed) -> list[Option]:
    """An engine without a launch per kernel; a CPU has nothing to launch."""
    if observed.gpu is None or observed.case.engine != "eager":
        return []
    name, wall = "CUDA graphs (or a compiled engine)", text.seconds(observed.wall_s)
    if observed.device_s is None:
        return [_impossible(name, None, f"no device time to hold against the wall of {wall}")]
    kernels = text.seconds(observed.device_s)
    if not observed.launch_bound:
        reason = f"the kernels run for {kernels} of the wall of {wall}: hardly a launch is waited for"
        return [Option(name=name, case=None, wall_s=observed.wall_s, gain=1.0, reason=reason)]
    return [
        Option(
            name=name,
            case=None,
            wall_s=observed.device_s,
            gain=observed.wall_s / observed.device_s,
            reason=f"the kernels need {kernels} of the wall of {wall}: the rest is waiting for launches",
        )
    ]


def _outlook(observed: Observed, gpu: GpuSpec) -> Outlook:
    missing = _missing_dtype(find_precision(observed.case.precision), gpu.roofs)
    if missing:
        return Outlook(gpu=gpu.key, lower_s=None, wall_s=None, speedup=None, note=f"no {missing} units")
    bound = case_bound(observed.model, observed.case, gpu.roofs)
    own = observed.gpu is not None and gpu.key == observed.gpu.key
    refusal = "" if own else _fit(observed.model, observed.case, gpu).refusal
    if refusal or observed.gpu is None:
        note = refusal or "bound only: measured on a CPU"
        return Outlook(gpu=gpu.key, lower_s=bound.lower_s, wall_s=None, speedup=None, note=note)
    wall_s = observed.wall_s if own else observed.predicted_wall_s(bound)
    note = "this GPU, as measured" if own else ""
    if observed.launch_bound and wall_s <= observed.wall_s and not own:
        note = f"the host's {text.seconds(observed.wall_s)} of launching is the floor"
    return Outlook(
        gpu=gpu.key, lower_s=bound.lower_s, wall_s=wall_s, speedup=observed.wall_s / wall_s, note=note
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """`refusal` is empty where a case fits; `said` is then the need, in words."""

    refusal: str = ""
    said: str = ""


def _fit(model: ModelSpec, case: Case, gpu: GpuSpec | None) -> _Fit:
    if gpu is None:
        return _Fit(said="; whether it fits in memory is not known")
    scores = not gpu.has_flash_attention and model.n_kv_heads < model.n_heads
    need = footprint(model, case, find_precision(case.precision), materialised_scores=scores).total_bytes
    said = f"needs {text.scaled(need, 'B')} of {text.scaled(gpu.memory_bytes, 'B')}"
    if need > gpu.memory_bytes * USABLE_SHARE:
        return _Fit(refusal=f"does not fit: {said}")
    return _Fit(said=f"; {said}")


def _missing_dtype(precision: Precision, roofs: Roofs) -> str | None:
    """The first dtype of a precision that a machine has no roof for."""
    return next((dtype for dtype in precision.dtypes if dtype not in roofs.flops_per_s), None)


def _under_launching(observed: Observed, then: Bound) -> str:
    device_s = observed.predicted_device_s(then)
    if not observed.launch_bound or device_s is None:
        return ""
    return (
        f", kernels from {text.seconds(observed.device_s)} to {text.seconds(device_s)}; "
        f"the host's {text.seconds(observed.wall_s)} of launching stays"
    )


def _foretold(observed: Observed, name: str, case: Case, bound: Bound, reason: str) -> Option:
    wall_s = observed.predicted_wall_s(bound)
    gain = case.batch / observed.case.batch * observed.wall_s / wall_s
    return Option(name=name, case=case, wall_s=wall_s, gain=gain, reason=reason)


def _impossible(name: str, case: Case | None, reason: str) -> Option:
    return Option(name=name, case=case, wall_s=None, gain=None, reason=reason)
