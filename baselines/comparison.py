"""A case beside its pinned sessions: what is compared, in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from baselines.canary import Fall, fallen
from baselines.counts import CountChange, count_changes, lost_counts
from baselines.derived import CPU, Derived
from baselines.night import Change
from baselines.policy import Policy
from baselines.record import Record, SoftKey
from baselines.suite import Stored, Suite, device_yardstick, wall_yardstick
from baselines.yardstick import Yardstick

# Of the soft key what may change how much a host does for a step, and what may change how
# long a device takes. A host's name (in a container one of its own) changes neither.
SOFTWARE = ("driver", "cuda", "torch", "transformers", "bitsandbytes", "accelerate", "python")
EXPLAINING = ("gpu_uuid", *SOFTWARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One case of this run: the session itself, and those of the fresh processes that it
    was measured in again; `unusable` says why others say nothing. `device` and `wall` are
    None where there is no time of the kind, or where the stored sessions cannot judge it.
    `lost` are counts that the stored sessions have and this run has not. `changed` are the
    soft key's fields that no stored session shares, by name, with both values in words;
    `fall` is of a GPU that was slower today."""

    derived: Derived
    fresh: tuple[Derived, ...]
    unusable: tuple[str, ...]
    stored: Stored
    device: Change | None
    wall: Change | None
    counts: tuple[CountChange, ...]
    lost: tuple[str, ...]
    changed: Mapping[str, str]
    fall: Fall | None

    @property
    def software_changed(self) -> bool:
        return any(name in self.changed for name in SOFTWARE)

    @property
    def explained(self) -> bool:
        """Whether what changed since the baseline may be why a device takes longer."""
        return any(name in self.changed for name in EXPLAINING)

    @property
    def judged(self) -> tuple[Change, ...]:
        """The changes that can fail the case: of the wall only where it is promised."""
        promised = self.derived.record.case.promise.wall is not None
        return tuple(c for c in (self.device, self.wall if promised else None) if c is not None)


def compare(
    derived: Derived,
    fresh: Sequence[Derived],
    stored: Stored,
    suite: Suite,
    policy: Policy,
    *,
    unusable: Sequence[str] = (),
) -> Comparison:
    """Under one hard key: the caller has checked it. Fresh processes on another card, or
    under another hard key, are left out, and said to be `unusable`."""
    record = derived.record
    alike = tuple(one for one in fresh if _same_card(one.record, record))
    elsewhere = [
        f"{one.record.run} ran on another card, or under another hard key"
        for one in fresh
        if not _same_card(one.record, record)
    ]
    runs = (derived, *alike)
    sessions = stored.baseline.sessions
    devices = [one.device_s for one in runs if one.device_s is not None]
    device = wall = None
    yardstick = device_yardstick(stored, suite, policy, card=record.soft.gpu_uuid)
    if yardstick is not None and derived.device_s is not None:
        device = _change(devices, yardstick)
    yardstick = wall_yardstick(stored, suite, policy, promise=record.case.promise)
    if yardstick is not None:
        wall = _change([one.wall_s for one in runs], yardstick)
    counted = [one.record.measurement.counts for one in runs]
    known = [session.counts for session in sessions]
    return Comparison(
        derived=derived,
        fresh=alike,
        unusable=(*unusable, *elsewhere),
        stored=stored,
        device=device,
        wall=wall,
        counts=count_changes(counted, known),
        lost=lost_counts(counted, known),
        changed=soft_changes(record.soft, [session.soft for session in sessions]),
        fall=_least_fall(runs, stored, policy),
    )


def _same_card(one: Record, other: Record) -> bool:
    return (one.hard, one.soft.gpu_uuid) == (other.hard, other.soft.gpu_uuid)


def _least_fall(runs: Sequence[Derived], stored: Stored, policy: Policy) -> Fall | None:
    """The session's own fall. It excuses no more than the GPU was slow by in the fresh
    processes too: what was as slow on a GPU as fast as ever is the code."""
    first, *again = (_fall(one, stored, policy) for one in runs)
    if first is None:
        return None
    return replace(first, excused=min(fall.excused if fall else 0.0 for fall in (first, *again)))


def _fall(derived: Derived, stored: Stored, policy: Policy) -> Fall | None:
    """Not of a CPU, whose ceilings are as noisy as what runs beside it."""
    if derived.record.gpu == CPU:
        return None
    card = derived.record.soft.gpu_uuid
    return fallen(
        derived.record.ceilings,
        [s.ceilings for s in stored.baseline.sessions if s.soft.gpu_uuid == card],
        dtypes=derived.precision.dtypes,
        limiter=derived.bound.limiter,
        policy=policy,
    )


def _change(times_s: Sequence[float], yardstick: Yardstick) -> Change:
    session, *fresh = (math.log(time_s) - yardstick.mean for time_s in times_s)
    return Change(session=session, fresh=tuple(fresh), yardstick=yardstick)


def soft_changes(now: SoftKey, sessions: Sequence[SoftKey]) -> dict[str, str]:
    """By name the fields that no stored session shares, each with the last one's value
    and today's."""
    changed = {}
    for name in SoftKey.__slots__:
        value = getattr(now, name)
        if all(getattr(session, name) != value for session in sessions):
            changed[name] = f"{name} {getattr(sessions[-1], name)!r} -> {value!r}"
    return changed
