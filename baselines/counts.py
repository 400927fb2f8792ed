"""Does the host do more than before? The counts of a step, exact, against the sessions'."""

from collections.abc import Sequence
from dataclasses import dataclass

from baselines.record import Counts

# What a step is counted by, in the words of a finding.
WORDS = {
    "launches": "launches",
    "aten_ops": "ATen ops",
    "python_calls": "Python calls",
    "copies": "copies",
    "syncs": "syncs",
    "allocated_bytes": "bytes allocated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CountChange:
    """A count that lies beyond what every stored session counted: the nearest of theirs,
    and the nearest of this run's processes, of which `processes` counted it."""

    name: str
    before: int
    after: int
    processes: int = 1

    @property
    def growth(self) -> int:
        return self.after - self.before

    def __str__(self) -> str:
        return f"{WORDS[self.name]} {self.before:,} -> {self.after:,}"


def overstepped(value: int, counted: Sequence[int]) -> int | None:
    """The nearest of the sessions' counts where `value` lies beyond all of them; else
    None, as where there are none."""
    if not counted or min(counted) <= value <= max(counted):
        return None
    return max(counted) if value > max(counted) else min(counted)


def count_changes(now: Sequence[Counts | None], then: Sequence[Counts | None]) -> tuple[CountChange, ...]:
    """What differs between the processes of this run and the stored sessions: counts that
    all of `now` have beyond all of `then`, to the same side. Counts are exact, so that
    nothing has to be allowed for but the sessions' own differences. A process that did
    not count, or found a count to differ from step to step, says nothing of it; what a
    stored session found to differ is no exact count."""
    found = []
    for name in WORDS:
        values, stored = _counted(name, now), _counted(name, then)
        if not values or not stored or len(stored) < _counting(then):
            continue
        # Of several processes the one that differs least speaks for all.
        nearest = min(values) if min(values) > max(stored) else max(values)
        before = overstepped(nearest, stored)
        if before is not None and all(overstepped(value, stored) == before for value in values):
            found.append(CountChange(name=name, before=before, after=nearest, processes=len(values)))
    return tuple(found)


def lost_counts(now: Sequence[Counts | None], then: Sequence[Counts | None]) -> tuple[str, ...]:
    """The names of counts that every stored session has which counted at all, and no process
    of this run: none took them, or they differ from step to step."""
    sessions = _counting(then)
    return tuple(
        name
        for name in WORDS
        if sessions and len(_counted(name, then)) == sessions and not _counted(name, now)
    )


def _counting(sessions: Sequence[Counts | None]) -> int:
    """How many counted at all."""
    return sum(counts is not None for counts in sessions)


def _counted(name: str, sessions: Sequence[Counts | None]) -> list[int]:
    values = [getattr(counts, name, None) for counts in sessions]
    return [value for value in values if isinstance(value, int)]
