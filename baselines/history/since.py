"""Since when a case fails its verdict, by the runs before. Other than a change point, which
takes three nights to show, this is known at once.

It is kept in the run's folder, where the history is: who is told of the run elsewhere, as on
a hosted runner, cannot ask the history.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytic import SpecError
from baselines import codec
from baselines.history.entry import Observation
from baselines.record import SCHEMA
from baselines.verdict import FAILING, SETTLED, Status

NAME = "since.json"

# What git adds to a commit whose tree is not the commit's.
DIRTY = "-dirty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """A case fails since `night` (a date in UTC): it passed at commit `good`, None where no
    run before is known to have passed, and failed first at `bad`."""

    night: str
    good: str | None
    bad: str

    def __post_init__(self) -> None:
        try:
            dt.date.fromisoformat(self.night)
        except ValueError:
            raise SpecError(f"{self.night[:40]!r} is no date; one such as 2026-11-22 is needed") from None

    @property
    def commits(self) -> str:
        """The range as git names it; where there is none to name, why not."""
        if self.good is None:
            return f"commit {self.bad} or before"
        if self.good != self.bad:
            return f"commits {self.good}..{self.bad}"
        if self.bad.endswith(DIRTY):
            return f"uncommitted changes to {self.bad.removesuffix(DIRTY)}"
        return f"commit {self.bad}, which is the baseline's own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the history said when the run was reported, by case."""

    schema: int = SCHEMA
    since: Mapping[str, Since]


def failing_since(observations: Sequence[Observation]) -> Since | None:
    """Of the observations of one series the failures at its end; None where the last that
    was judged did not fail. Between them, runs that were not judged say nothing, nor do
    dirty trees, which no commit names, nor a warning on another card than the last's:
    its baseline does not judge there."""
    first: Observation | None = None
    ordered = sorted(observations, key=lambda o: (o.run_started, o.key), reverse=True)
    for one in ordered:
        if one.dirty or one.status is None:
            continue
        elsewhere = one.soft.gpu_uuid != ordered[0].soft.gpu_uuid
        if one.status in FAILING:
            first = one
        elif one.status in SETTLED and not (elsewhere and one.status == Status.WARN):
            return None if first is None else _since(first, good=one.commit)
    return None if first is None else _since(first, good=None)


def _since(first: Observation, *, good: str | None) -> Since:
    return Since(night=first.run_started.date().isoformat(), good=good, bad=first.commit)


def write_since(folder: Path, since: Mapping[str, Since]) -> None:
    """Into a run's folder; nothing where there is nothing to keep."""
    if since:
        codec.write(Kept(since=since), folder / NAME)


def read_since(folder: Path) -> Mapping[str, Since]:
    """Out of a run's folder; empty where none was kept. Raises FormatError."""
    path = folder / NAME
    return codec.read(Kept, path).since if path.is_file() else {}
