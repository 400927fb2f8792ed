"""When did a series change, by how much, and how far is it from where it began? Pure.

Change points are looked for in the logs of the points' times: a change is relative,
whatever the case takes.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from statistics import median

import numpy as np

from baselines.history.change_points import change_points
from baselines.history.series import Point
from baselines.policy import POLICY
from baselines.record import SoftKey

# Of a change that is claimed, relative. Device time: as of a regression (policy.py), half
# of the smallest change that matters. Wall: the host's; between five sessions on one H100
# it differs by 0.3 to 31 % (README.md), so that less than 5 % is nobody's doing.
MIN_EFFECT = {"device_s": POLICY.min_effect, "wall_s": 0.05}

# A level is the median of its points: of three, one that is off does not move it.
LEAST_POINTS = 3

# The differences of fewer points say nothing about the noise.
ENOUGH_POINTS = 8

# And those of eight little: the noise comes out at less than half in one series of six,
# of 20 points in one of 35, of 60 in none. So it is taken for (1 + DOUBT / points) as large.
DOUBT = 8.0

# In logs. Device time repeats to 0.07 % at best (README.md); a short series may by
# chance repeat better, and would then cry wolf at the first night that does not.
LEAST_NOISE = 0.0005

# What a further change point costs, as a multiple of noise² · log(points). Its place and
# its level, two free parameters, cost 2 (BIC); one more, since many series are looked at.
# Of 1000 series of 60 nights without a change 12 then show a step at 1 % noise, with 2
# there are 52; at 0.2 % noise MIN_EFFECT alone leaves none.
PENALTY = 3.0

# A median of three points is off by 0.67 of the noise; beyond three times that it moved.
DRIFT_NOISES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change point. `size` is relative, the levels are medians in seconds; `night` is the
    first after it, and the change came after commit `good`, with `bad` at the latest.
    `soft` are the fields of the soft key that changed with it, each with its values."""

    night: dt.date
    size: float
    before_s: float
    after_s: float
    good: str
    bad: str
    soft: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far the latest points (their median, in seconds) are from the anchor, relative;
    `claimed` where that is beyond the noise and the least effect. Creep that no night
    shows as a step adds up here."""

    anchor_s: float
    now_s: float
    size: float
    claimed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """What is to be said of a series. `noise` is the standard deviation of a point about
    its level, in logs; None where there are too few points to look for steps."""

    noise: float | None
    steps: tuple[Step, ...]
    drift: Drift | None


def trend(points: Sequence[Point], *, anchor_s: float | None, min_effect: float) -> Trend:
    """`anchor_s` is the time of the first accepted baseline, None where there is none;
    `min_effect` the least relative change that is claimed."""
    logs = np.log([point.median_s for point in points])
    noise = _noise(logs) if len(logs) >= ENOUGH_POINTS else None
    bounds = [] if noise is None else _bounds(logs, noise, math.log1p(min_effect))
    edges = [0, *bounds, len(logs)]
    steps = tuple(
        _step(points, begin=edges[i], at=edges[i + 1], end=edges[i + 2]) for i in range(len(bounds))
    )
    return Trend(noise=noise, steps=steps, drift=_drift(points, anchor_s, noise, min_effect))


def _noise(logs: np.ndarray) -> float:
    """By the differences of neighbours, about their median: steps are few among them, and
    creep moves all alike. 1.4826 makes a standard deviation of a median absolute deviation."""
    steps = np.diff(logs)
    deviation = 1.4826 * np.median(np.abs(steps - np.median(steps)))
    return max(LEAST_NOISE, float(deviation) / math.sqrt(2))


def _bounds(logs: np.ndarray, noise: float, least: float) -> list[int]:
    """Indices of the points at which a new level begins."""
    scale = noise * (1 + DOUBT / len(logs))
    signal = (logs - np.median(logs)) / scale
    bounds = change_points(signal, penalty=PENALTY * math.log(len(logs)), least=LEAST_POINTS)
    # Least first, as its removal joins two levels into one that others are held against.
    while weak := _weak(logs, bounds, least):
        bounds.remove(weak[0])
    return bounds


def _weak(logs: np.ndarray, bounds: Sequence[int], least: float) -> list[int]:
    """The bounds that are not claimed, the least change first: those of less than the least
    effect, and those of a level that has too few points of its own. The best fit takes a good
    night into it where the bad ones are two, and the commit named would be a good one."""
    edges = [0, *bounds, len(logs)]
    levels = [float(np.median(logs[a:b])) for a, b in pairwise(edges)]
    found = []
    for i, at in enumerate(bounds):
        before, after = levels[i], levels[i + 1]
        own_before = _nearer(logs[edges[i] : at], before, after)
        own_after = _nearer(logs[at : edges[i + 2]], after, before)
        if abs(after - before) < least or min(own_before, own_after) < LEAST_POINTS:
            found.append((abs(after - before), at))
    return [at for _, at in sorted(found)]


def _nearer(logs: np.ndarray, own: float, other: float) -> int:
    """How many points are nearer to their own level than to another."""
    return int(np.sum(np.abs(logs - own) < np.abs(logs - other)))


def _step(points: Sequence[Point], *, begin: int, at: int, end: int) -> Step:
    before_s = median(point.median_s for point in points[begin:at])
    after_s = median(point.median_s for point in points[at:end])
    last, first = points[at - 1], points[at]
    return Step(
        night=first.night,
        size=after_s / before_s - 1,
        before_s=before_s,
        after_s=after_s,
        good=last.commit,
        bad=first.commit,
        soft=_changed(last.softs, first.softs),
    )


def _changed(before: Sequence[SoftKey], after: Sequence[SoftKey]) -> tuple[str, ...]:
    """The fields whose values differ, each with both: of several runs all."""
    found = []
    for name in (f.name for f in fields(SoftKey)):
        old, new = (sorted({str(getattr(soft, name)) for soft in softs}) for softs in (before, after))
        if old != new:
            found.append(f"{name} {', '.join(old)} -> {', '.join(new)}")
    return tuple(found)


def _drift(
    points: Sequence[Point], anchor_s: float | None, noise: float | None, min_effect: float
) -> Drift | None:
    if anchor_s is None or len(points) < LEAST_POINTS:
        return None
    now_s = median(point.median_s for point in points[-LEAST_POINTS:])
    least = max(math.log1p(min_effect), DRIFT_NOISES * (noise or 0.0))
    return Drift(
        anchor_s=anchor_s,
        now_s=now_s,
        size=now_s / anchor_s - 1,
        claimed=noise is not None and abs(math.log(now_s / anchor_s)) > least,
    )
