"""From observations to series of points: the trend's view of a history. Pure.

A series is one case of one model on one kind of GPU under one hard key. A point is a
night's runs of one commit, by their median: nights with several commits have several.
A night is a date in UTC, of the run's start.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from baselines.history.entry import Observation
from baselines.record import SoftKey
from baselines.verdict import Status

#: Of a series: GPU, model, case, hard key.
Name = tuple[str, str, str, str]

METRICS = ("device_s", "wall_s")

# Broken measurements: the GPU's state spoilt them, or physics refutes them.
_BROKEN = (Status.INVALID, Status.IMPOSSIBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The runs of a commit in a night: their median in seconds, and every soft key of theirs."""

    night: dt.date
    commit: str
    median_s: float
    runs: int
    softs: tuple[SoftKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points in the order in which their first runs started. `latest` is the key of the
    latest observation; `left_out` counts, by the reason, observations that are in no point."""

    gpu: str
    model: str
    case: str
    hard: str
    points: tuple[Point, ...]
    latest: str
    left_out: Mapping[str, int]

    @property
    def name(self) -> Name:
        return self.gpu, self.model, self.case, self.hard

    @property
    def nights(self) -> int:
        return len({point.night for point in self.points})


def unusable(observation: Observation, metric: str) -> str | None:
    """Why an observation is in no trend; None where it is in one.

    A dirty tree has no commit that could be named. A run whose verdict failed is in:
    a regression shows in just these. One that was never judged was cut off, and whether
    its GPU was calm nobody asked.
    """
    if getattr(observation, metric) is None:
        return f"without {metric}"
    if observation.dirty:
        return "of a dirty tree"
    if observation.status is None:
        return "not judged"
    if observation.status in _BROKEN:
        return observation.status
    return None


def series_of(observations: Iterable[Observation], metric: str) -> tuple[Series, ...]:
    """Every series of a metric (one of METRICS), in the order of their names."""
    found: dict[Name, list[Observation]] = {}
    for one in observations:
        found.setdefault(name_of(one), []).append(one)
    return tuple(_series(found[key], metric) for key in sorted(found))


def name_of(observation: Observation) -> Name:
    """What observations of one series have in common."""
    return observation.gpu, observation.model, observation.case, observation.hard


def _series(observations: Sequence[Observation], metric: str) -> Series:
    ordered = sorted(observations, key=lambda o: (o.run_started, o.key))
    why = [unusable(o, metric) for o in ordered]
    by_point: dict[tuple[dt.date, str], list[Observation]] = {}
    for one, reason in zip(ordered, why, strict=True):
        if reason is None:
            by_point.setdefault((one.run_started.date(), one.commit), []).append(one)
    last = ordered[-1]
    return Series(
        gpu=last.gpu,
        model=last.model,
        case=last.case,
        hard=last.hard,
        points=tuple(_point(night, commit, runs, metric) for (night, commit), runs in by_point.items()),
        latest=last.key,
        left_out=Counter(reason for reason in why if reason is not None),
    )


def _point(night: dt.date, commit: str, runs: Sequence[Observation], metric: str) -> Point:
    return Point(
        night=night,
        commit=commit,
        median_s=median(getattr(run, metric) for run in runs),
        runs=len(runs),
        softs=tuple(dict.fromkeys(run.soft for run in runs)),
    )
