"""Where the device's time goes: by operator beside its bound, and what moved since a baseline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from analytic import Ceilings, Cost, Roofs, SpecError, text
from baselines.derived import Derived
from baselines.kernel_names import listed, short_names
from baselines.record import KernelTime, Measurement
from baselines.store import Baseline

# The operator of what no module accounts for.
OTHER = "other"

# A change is one where it exceeds all of: the sessions' own noise so many times,
# this share of what the operator took before, and this many seconds.
NOISE_SDS, LEAST_SHARE, LEAST_S = 3.0, 0.01, 1e-6

# So many movers, and kernels that are new, stand in a verdict's text.
_MOVERS, _KERNELS = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorShare:
    """One operator of a step: device time in seconds, its share of all kernels', and
    device operations (kernels, copies and fills); beside them what the model says it must
    compute and move.

    `bound_s` is under the machine's roofs, `ceiling_s` under what was measured;
    None without compulsory work, or without a measured ceiling of its dtype.
    `device_s` is 0 for compulsory work whose kernels ran in no range of its own.
    """

    name: str
    device_s: float
    device_ops: int
    share: float
    flops: int
    bytes: int
    bound_s: float | None
    ceiling_s: float | None

    @property
    def fraction(self) -> float | None:
        return self.bound_s / self.device_s if self.bound_s and self.device_s else None

    @property
    def ceiling_fraction(self) -> float | None:
        return self.ceiling_s / self.device_s if self.ceiling_s and self.device_s else None

    @property
    def intensity(self) -> float | None:
        """FLOP per compulsory byte; None where nothing must be moved."""
        return self.flops / self.bytes if self.bytes else None


def by_operator(derived: Derived, ceilings: Ceilings | None) -> tuple[OperatorShare, ...]:
    """Every operator of a case, the one that took longest first; empty where its
    kernels were not told apart. `ceilings` are the run's."""
    kernels = derived.record.measurement.kernels
    if not kernels or not told_apart(derived.record.measurement):
        return ()
    times: dict[str, list[KernelTime]] = {}
    for kernel in kernels:
        times.setdefault(kernel.operator or OTHER, []).append(kernel)
    needed = _needed(derived.costs)
    device_s = {name: median(summed(group)) for name, group in times.items()}
    total_s = sum(device_s.values())
    measured = ceilings.roofs if ceilings else None
    shares = [
        OperatorShare(
            name=name,
            device_s=device_s.get(name, 0.0),
            device_ops=sum(kernel.launches for kernel in times.get(name, ())),
            share=device_s.get(name, 0.0) / total_s if total_s else 0.0,
            flops=sum(work.flops for work in needed.get(name, ())),
            bytes=sum(work.bytes for work in needed.get(name, ())),
            bound_s=_bound_s(needed.get(name, ()), derived.roofs),
            ceiling_s=_bound_s(needed.get(name, ()), measured),
        )
        for name in dict.fromkeys((*times, *needed))
    ]
    return tuple(sorted(shares, key=lambda share: (-share.device_s, share.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one operator must do in one pass."""

    math: str
    flops: int
    bytes: int


def _needed(costs: Iterable[Cost]) -> dict[str, list[_Work]]:
    """The compulsory work of each operator, pass by pass."""
    found: dict[str, list[_Work]] = {}
    for cost in costs:
        for op in cost.operators:
            if op.flops or op.bytes:
                found.setdefault(op.name, []).append(_Work(math=op.math, flops=op.flops, bytes=op.bytes))
    return found


def _bound_s(works: Sequence[_Work], roofs: Roofs | None) -> float | None:
    if roofs is None or not works or any(work.math not in roofs.flops_per_s for work in works):
        return None
    return sum(max(work.flops / roofs.peak(work.math), work.bytes / roofs.bytes_per_s) for work in works)


def summed(kernels: Sequence[KernelTime]) -> tuple[float, ...]:
    """The kernels' times together, in seconds: one per step, in a baseline one per session.

    Raises SpecError where the kernels are not of the same steps.
    """
    counts = {len(kernel.device_s) for kernel in kernels}
    if len(counts) > 1:
        raise SpecError(f"kernels of {' and of '.join(map(str, sorted(counts)))} steps do not go together")
    return tuple(sum(times) for times in zip(*(kernel.device_s for kernel in kernels), strict=True))


def told_apart(measurement: Measurement) -> bool:
    """Whether any kernel is known to be an operator's."""
    return any(kernel.operator is not None for kernel in measurement.kernels or ())


def attributed_share(measurement: Measurement) -> float | None:
    """The share of the kernels' time that lies in an operator other than "other";
    None where kernels were not measured."""
    kernels = measurement.kernels
    if not kernels:
        return None
    known = [kernel for kernel in kernels if kernel.operator not in (None, OTHER)]
    total = median(summed(kernels))
    return median(summed(known)) / total if known and total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What changed of one operator, or, of an engine without operators, of one kernel.

    `change_s` is device time now less then, in seconds, and `device_ops` (kernels,
    copies and fills) likewise; `new` and `gone` are kernels by their short names.
    """

    name: str
    then_s: float
    change_s: float
    device_ops: int
    new: tuple[str, ...]
    gone: tuple[str, ...]


def explain(now: Sequence[KernelTime], then: Sequence[KernelTime]) -> tuple[Moved, ...]:
    """What moved between a measurement's kernels and a baseline's, whose times are
    one median per session: the largest change of device time first.

    By kernel where either side's were not told apart by operator. Left out is what
    may be the sessions' own noise, unless it takes more or fewer device operations, or
    other kernels. A kernel that some sessions ran and others did not is neither new nor gone.
    """
    short = short_names({kernel.name for kernel in (*now, *then)})
    by_kernel = any(all(kernel.operator is None for kernel in side) for side in (now, then))

    def grouped(kernels: Sequence[KernelTime]) -> dict[str, list[KernelTime]]:
        groups: dict[str, list[KernelTime]] = {}
        for kernel in kernels:
            groups.setdefault(short[kernel.name] if by_kernel else kernel.operator or OTHER, []).append(
                kernel
            )
        return groups

    before, after = grouped(then), grouped(now)
    found = [
        _moved(name, after.get(name, []), before.get(name, []), short)
        for name in dict.fromkeys((*before, *after))
    ]
    return tuple(sorted(filter(None, found), key=lambda moved: -abs(moved.change_s)))


def _moved(
    name: str, now: Sequence[KernelTime], then: Sequence[KernelTime], short: dict[str, str]
) -> Moved | None:
    sessions = summed(then) if then else (0.0,)
    then_s = fmean(sessions)
    change_s = (median(summed(now)) if now else 0.0) - then_s
    noise_s = NOISE_SDS * stdev(sessions) if len(sessions) > 1 else 0.0
    # A kernel that only some sessions ran makes their number a matter of chance.
    steady = all(min(kernel.device_s) > 0 for kernel in then)
    device_ops = sum(k.launches for k in now) - sum(k.launches for k in then) if steady else 0
    known, present = ({kernel.name for kernel in side} for side in (then, now))
    always = dict.fromkeys(kernel.name for kernel in then if min(kernel.device_s) > 0)
    new = tuple(short[kernel.name] for kernel in now if kernel.name not in known)
    gone = tuple(short[name] for name in always if name not in present)
    slight = abs(change_s) <= max(noise_s, LEAST_SHARE * then_s, LEAST_S)
    if slight and not (device_ops or new or gone):
        return None
    return Moved(name=name, then_s=then_s, change_s=change_s, device_ops=device_ops, new=new, gone=gone)


def explain_against(derived: Derived, baseline: Baseline) -> tuple[Moved, ...]:
    """`explain`, of a record and its baseline; empty where either has no kernels."""
    now, then = derived.record.measurement.kernels, baseline.kernels
    return explain(now, then) if now and then else ()


def movers(derived: Derived, baseline: Baseline) -> str:
    """What moved most, as the end of a verdict's sentence; empty where it is not known."""
    moved = explain_against(derived, baseline)
    if not moved:
        return ""
    said = [", ".join((one.name + " " + signed(one.change_s), *_device_ops(one))) for one in moved[:_MOVERS]]
    for kind in ("new", "gone"):
        names = list(dict.fromkeys(name for one in moved[:_MOVERS] for name in getattr(one, kind)))
        if names:
            said.append(f"{kind} kernels: {listed(names, most=_KERNELS)}")
    return f"; moved most: {'; '.join(said)}"


def _device_ops(moved: Moved) -> tuple[str, ...]:
    """In other words than the launches of a step, which are counted without copies and fills."""
    if not moved.device_ops:
        return ()
    return (f"{moved.device_ops:+d} device op{'' if abs(moved.device_ops) == 1 else 's'}",)


def signed(change_s: float) -> str:
    """A change of time with its sign."""
    return f"{'+' if change_s >= 0 else ''}{text.seconds(change_s)}"
