"""What changed in the same night: one cause mostly, said once. Pure."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from baselines.history.series import Series
from baselines.history.trend import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Cases of one GPU and model that are all slower, or all faster, since a night: by
    `low` to `high`, relative. `commits` are every range that the change came in."""

    night: dt.date
    gpu: str
    model: str
    cases: tuple[str, ...]
    low: float
    high: float
    commits: tuple[str, ...]


def together(steps: Iterable[tuple[Series, Step]]) -> tuple[Together, ...]:
    """Of two cases or more, in the order of the nights."""
    found: dict[tuple[dt.date, str, str, bool], list[tuple[Series, Step]]] = {}
    for series, step in steps:
        found.setdefault((step.night, series.gpu, series.model, step.size > 0), []).append((series, step))
    return tuple(
        Together(
            night=night,
            gpu=gpu,
            model=model,
            cases=tuple(dict.fromkeys(series.case for series, _ in moved)),
            low=min(step.size for _, step in moved),
            high=max(step.size for _, step in moved),
            commits=tuple(dict.fromkeys(f"{step.good}..{step.bad}" for _, step in moved)),
        )
        for (night, gpu, model, _), moved in sorted(found.items(), key=lambda item: item[0])
        if len({series.case for series, _ in moved}) > 1
    )
