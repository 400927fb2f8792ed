"""python -m baselines trend: since when a case is slower or faster, and after which commit."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from analytic import SpecError, text
from baselines.codec import FormatError, to_json
from baselines.commands import Subparsers
from baselines.commands.options import add_history, add_store, place_of
from baselines.history.anchor import Anchor, anchor_of
from baselines.history.errors import HistoryError
from baselines.history.opening import open_history
from baselines.history.place import Place
from baselines.history.series import METRICS, Series, series_of
from baselines.history.together import Together, together
from baselines.history.trend import ENOUGH_POINTS, LEAST_POINTS, MIN_EFFECT, Step, Trend, trend
from baselines.store import Store

if TYPE_CHECKING:
    from baselines.history.database import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A series and its trend. `lacks` says why there is no anchor, `damaged` what of its
    latest record or its baseline cannot be read."""

    series: Series
    trend: Trend
    lacks: str = ""
    damaged: str = ""


def add(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "trend",
        help="change points of the history, and the drift from the anchor",
        description="Since when, and after which commit, a case is slower or faster, and how far it is from "
        "the first baseline that was accepted. What changed in one night stands first. Exit code 0 whatever "
        "is found: a trend informs; 1 where the history cannot be used, or a baseline "
        "or a record is damaged (its series is shown without an anchor); 2 for bad input.",
    )
    add_history(parser)
    parser.add_argument(
        "--gpu", metavar="PATTERN", default="*", help="of GPUs like this, such as h100-sxm or 'h100*'"
    )
    parser.add_argument("--model", metavar="PATTERN", default="*", help="of models like this")
    parser.add_argument(
        "--case", metavar="PATTERN", default="*", help="of cases like this, such as 'decode-*'"
    )
    parser.add_argument("--metric", choices=METRICS, default=METRICS[0], help="default: %(default)s")
    add_store(parser, "the store of the anchors")
    parser.add_argument("--json", action="store_true", help="one JSON object, SI units")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    try:
        found = _found(options, place_of(options))
    except HistoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    moved = together((one.series, step) for one in found for step in one.trend.steps)
    if options.json:
        print(json.dumps(_as_json(options.metric, found, moved), indent=1))
    else:
        blocks = [*map(_moved, moved), *map(_shown, found)]
        print("\n\n".join(blocks) or "no such series in the history")
    return 1 if any(one.damaged for one in found) else 0


def _found(options: argparse.Namespace, place: Place) -> list[Found]:
    with open_history(place, create=False) as history:
        observed = [
            o
            for o in history.observations(gpu=_exactly(options.gpu), model=_exactly(options.model))
            if fnmatchcase(o.gpu, options.gpu)
            and fnmatchcase(o.model, options.model)
            and fnmatchcase(o.case, options.case)
        ]
        series = series_of(observed, options.metric)
        return [_one(one, options, history) for one in series]


def _exactly(pattern: str) -> str | None:
    """What the database can look for itself; None of a pattern."""
    return None if set(pattern) & set("*?[") else pattern


def _one(series: Series, options: argparse.Namespace, history: "History") -> Found:
    """What is damaged costs its own series the anchor, and nothing else."""
    damaged, anchor = "", Anchor(time_s=None)
    try:
        record = history.record(series.latest)
        anchor = anchor_of(Store(options.perf_baselines), record, options.metric)
    except (FormatError, SpecError) as error:
        damaged = str(error)
    least = MIN_EFFECT[options.metric]
    return Found(
        series=series,
        trend=trend(series.points, anchor_s=anchor.time_s, min_effect=least),
        lacks=anchor.lacks,
        damaged=damaged,
    )


def _as_json(metric: str, found: Sequence[Found], moved: Sequence[Together]) -> dict[str, Any]:
    return {
        "metric": metric,
        "together": [{**to_json(one), "night": one.night.isoformat()} for one in moved],
        "series": [_found_json(one) for one in found],
    }


def _found_json(found: Found) -> dict[str, Any]:
    series, seen = found.series, found.trend
    return {
        "gpu": series.gpu,
        "model": series.model,
        "case": series.case,
        "hard": series.hard,
        "nights": series.nights,
        "points": [
            {"night": p.night.isoformat(), "commit": p.commit, "median_s": p.median_s, "runs": p.runs}
            for p in series.points
        ],
        "left_out": dict(series.left_out),
        "noise": seen.noise,
        "steps": [{**to_json(step), "night": step.night.isoformat()} for step in seen.steps],
        "drift": to_json(seen.drift),
        "lacks": found.lacks or None,
        "damaged": found.damaged or None,
    }


def _moved(one: Together) -> str:
    by = text.signed_range(one.low, one.high)
    return (
        f"{one.night}: {len(one.cases)} cases of {one.model} on {one.gpu} moved together, {by} "
        f"(commits {', '.join(one.commits)}): {', '.join(one.cases)}"
    )


def _shown(found: Found) -> str:
    series, seen = found.series, found.trend
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(series.left_out.items()))
    name = f"{series.case} of {series.model} on {series.gpu} under hard key {series.hard}"
    lines = [f"{name}: {_extent(series, seen)}"]
    lines += [_step(step) for step in seen.steps]
    if seen.noise is None:
        lines.append(f"too few points to look for a change: {ENOUGH_POINTS} are needed")
    elif not seen.steps:
        lines.append("no change point")
    if found.damaged:
        lines.append(f"damaged: {found.damaged}")
    elif series.points:
        lines.append(_drift(found))
    if left_out:
        lines.append(f"left out: {left_out}")
    return "\n  ".join(lines)


def _extent(series: Series, seen: Trend) -> str:
    """How many points, from when to when, and the latest."""
    if not series.points:
        return "no point"
    first, last = series.points[0], series.points[-1]
    nights = (
        f"on {first.night}"
        if series.nights == 1
        else f"in {series.nights} nights, {first.night} to {last.night}"
    )
    noise = "" if seen.noise is None else f", noise {text.percent(seen.noise, digits=2)}"
    points = text.counted(len(series.points), "point")
    return f"{points} {nights}, latest {text.seconds(last.median_s)}{noise}"


def _step(step: Step) -> str:
    levels = f"{text.seconds(step.before_s)} -> {text.seconds(step.after_s)}"
    with_it = f"; with it {'; '.join(step.soft)}" if step.soft else ""
    return (
        f"{step.night} {text.signed_percent(step.size)} ({levels}), commits {step.good}..{step.bad}{with_it}"
    )


def _drift(found: Found) -> str:
    drift, points = found.trend.drift, len(found.series.points)
    if drift is None:
        few = f"{text.counted(points, 'point')}, {LEAST_POINTS} are needed"
        return f"against the anchor: unknown; {found.lacks or few}"
    levels = f"{text.seconds(drift.anchor_s)} -> {text.seconds(drift.now_s)}"
    said = f"against the anchor: {text.signed_percent(drift.size)} ({levels})"
    if drift.claimed:
        return said
    return f"{said}, {'not judged' if found.trend.noise is None else 'within noise'}"
