"""python -m baselines trend: since when a case is slower or faster, and after which commit."""

import argparse
import json
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from analytic import text
from baselines.codec import to_json
from baselines.commands import Subparsers
from baselines.commands.options import add_history, add_store, place_of
from baselines.history.anchor import anchor_of
from baselines.history.errors import HistoryError
from baselines.history.opening import open_history
from baselines.history.place import Place
from baselines.history.series import METRICS, Series, series_of
from baselines.history.trend import ENOUGH_POINTS, LEAST_POINTS, MIN_EFFECT, Drift, Step, Trend, trend
from baselines.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A series and its trend."""

    series: Series
    trend: Trend


def add(commands: Subparsers) -> None:
    parser = commands.add_parser("trend", help="change points of the history, and the drift from the anchor")
    add_history(parser)
    parser.add_argument("--gpu", metavar="KEY", help="of this GPU only, such as h100-sxm")
    parser.add_argument("--model", help="of this model only")
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
    except ModuleNotFoundError as error:
        if error.name != "ruptures":
            raise
        print("error: change points need ruptures: pip install 'roofgate[history]'", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"metric": options.metric, "series": [_as_json(one) for one in found]}, indent=1))
    else:
        print("\n\n".join(_shown(one) for one in found) or "no such series in the history")
    return 0


def _found(options: argparse.Namespace, place: Place) -> list[Found]:
    store = Store(options.perf_baselines)
    with open_history(place, create=False) as history:
        observed = [
            o
            for o in history.observations(gpu=options.gpu, model=options.model)
            if fnmatchcase(o.case, options.case)
        ]
        found = []
        for series in series_of(observed, options.metric):
            anchor_s = anchor_of(store, history.record(series.latest), options.metric)
            least = MIN_EFFECT[options.metric]
            found.append(
                Found(series=series, trend=trend(series.points, anchor_s=anchor_s, min_effect=least))
            )
    return found


def _as_json(found: Found) -> dict[str, Any]:
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
    }


def _shown(found: Found) -> str:
    series, seen = found.series, found.trend
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(series.left_out.items()))
    noise = "" if seen.noise is None else f", noise {text.percent(seen.noise, digits=2)}"
    name = f"{series.case} of {series.model} on {series.gpu} under hard key {series.hard}"
    lines = [f"{name}: {series.nights} nights, {len(series.points)} points{noise}"]
    lines += [_step(step) for step in seen.steps]
    if seen.noise is None:
        lines.append(f"too few points to look for a change: {ENOUGH_POINTS} are needed")
    elif not seen.steps:
        lines.append("no change point")
    if series.points:
        lines.append(_drift(seen.drift))
    if left_out:
        lines.append(f"left out: {left_out}")
    return "\n  ".join(lines)


def _step(step: Step) -> str:
    levels = f"{text.seconds(step.before_s)} -> {text.seconds(step.after_s)}"
    with_it = f"; with it {'; '.join(step.soft)}" if step.soft else ""
    return (
        f"{step.night} {text.signed_percent(step.size)} ({levels}), commits {step.good}..{step.bad}{with_it}"
    )


def _drift(drift: Drift | None) -> str:
    if drift is None:
        return f"against the anchor: unknown; {LEAST_POINTS} points and a baseline under this hard key are needed"
    levels = f"{text.seconds(drift.anchor_s)} -> {text.seconds(drift.now_s)}"
    within = "" if drift.claimed else ", within what is claimed of nothing"
    return f"against the anchor: {text.signed_percent(drift.size)} ({levels}){within}"
