"""Sessions of several cards of one kind in one baseline: one card's are added or replaced,
the others' stay."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from baselines.comparison import SOFTWARE
from baselines.record import KernelTime
from baselines.store import Baseline, KernelKey, Session, differing, united_kernels


def cards_of(baseline: Baseline) -> frozenset[str]:
    """The cards by UUID; empty of a CPU."""
    return frozenset(s.soft.gpu_uuid for s in baseline.sessions if s.soft.gpu_uuid is not None)


def kept_sessions(old: Baseline, fresh: Baseline) -> tuple[Session, ...]:
    """Of other cards than the new sessions'."""
    card = fresh.sessions[0].soft.gpu_uuid
    return tuple(s for s in old.sessions if s.soft.gpu_uuid != card)


def unmergeable(old: Baseline, fresh: Baseline) -> list[str]:
    """Why the stored sessions of other cards cannot stand beside the new ones, in words
    with both values; empty where they can."""
    if keys := differing(old.hard, fresh.hard):
        return [f"{fresh.case}: the stored sessions are under another hard key: {', '.join(keys)}"]
    found: dict[str, None] = {}
    new = fresh.sessions[0]
    for kept in kept_sessions(old, fresh):
        if kept.soft.gpu_uuid is None:
            found[f"{fresh.case}: the stored session {kept.run} does not say of which card it is"] = None
        for name in SOFTWARE:
            then, now = getattr(kept.soft, name), getattr(new.soft, name)
            if then != now:
                words = f"{name} is {then!r} in the stored {kept.run} and {now!r} in {new.run}"
                found[f"{fresh.case}: {words}"] = None
    return list(found)


def merged(old: Baseline, fresh: Baseline) -> Baseline:
    """The stored sessions of other cards, then the new ones."""
    kept = kept_sessions(old, fresh)
    places = [i for i, session in enumerate(old.sessions) if session in kept]
    return replace(fresh, sessions=(*kept, *fresh.sessions), kernels=_kernels(old, places, fresh))


def _kernels(old: Baseline, places: Sequence[int], fresh: Baseline) -> tuple[KernelTime, ...] | None:
    """One median per session, 0 where it did not run the kernel; None where either side
    has none. Of a stored kernel only the launches of most of its sessions are known."""
    if not places:
        return fresh.kernels
    if old.kernels is None or fresh.kernels is None:
        return None
    ran = [k for k in old.kernels if any(k.device_s[i] > 0 for i in places)]
    new = range(len(fresh.sessions))
    return united_kernels([*_by_session(ran, places), *_by_session(fresh.kernels, new)])


def _by_session(
    kernels: Sequence[KernelTime], places: Iterable[int]
) -> list[dict[KernelKey, tuple[int, float]]]:
    return [{(k.operator, k.name): (k.launches, k.device_s[i]) for k in kernels} for i in places]
