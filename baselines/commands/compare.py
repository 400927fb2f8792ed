"""python -m baselines compare A B: two runs, or a run and a store, judged without a GPU."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analytic import text
from baselines.codec import to_json
from baselines.commands import Subparsers
from baselines.commands.options import add_store
from baselines.counts import CountChange
from baselines.markdown import code, escape, table
from baselines.moved_table import moved_table
from baselines.sides import Sessions, Side, sessions_at, side_at
from baselines.store import Store
from baselines.verdict import Status
from baselines.versus import Pair, Times, Versus, compare_sides

_HEADERS = (
    *("case", "status", "device A", "device B", "device change", "seen from"),
    *("wall A", "wall B", "wall change", "counts that changed"),
)
_LEFT = (0, 1, 9)


def add(commands: Subparsers) -> None:
    compare = commands.add_parser(
        "compare",
        help="judge B against A, from records alone: two runs, or a run and a store",
        description="Judges the cases of B against those of A by the gate's own rule. Nothing is measured: "
        "a single run of B decides by itself, of several sessions the first is judged and the others are its "
        "fresh processes. Of one or two sessions of A, how far sessions vary is taken from the store. Times are "
        "geometric means over all processes; 'seen from' is the least slowdown of device time that nine nights "
        "in ten would claim, a dash where none would be. "
        "Exit code 1 where B regressed, lies below its band, is impossible or all of it shifted, where a "
        "baseline is damaged, and where nothing could be judged; 2 for bad input, such as two models or GPUs.",
    )
    compare.add_argument(
        "a",
        type=Path,
        metavar="A",
        help="a run's folder, a folder of session-* runs, or a store of baselines",
    )
    compare.add_argument(
        "b",
        type=Path,
        metavar="B",
        help="a run's folder, or a folder of session-* runs; where A is a store, the confirmations in it "
        "are fresh processes too",
    )
    compare.add_argument(
        "--strict",
        action="store_true",
        help="exit code 1 also for what could not be judged (suspect, ambiguous, incomparable, invalid, no "
        "baseline), and for cases of A that B lacks",
    )
    add_store(compare, "the store that lends its spread")
    compare.add_argument("--json", action="store_true", help="one JSON object: SI units, shares")
    compare.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    a, b = side_at(options.a), sessions_at(options.b)
    found = compare_sides(a, b, store=Store(options.perf_baselines))
    failing = found.failing(strict=options.strict)
    if options.json:
        print(json.dumps(_as_json(found, options, failing), indent=1))
    else:
        print("\n\n".join(_sections(found, b, failing)))
    return 1 if failing or not found.judged else 0


def _sections(found: Versus, b: Sessions, failing: Sequence[str]) -> Iterator[str]:
    yield f"- A: {_side(found.a)}\n- B: {_side(found.b)}"
    yield table(_HEADERS, [_row(pair) for pair in found.pairs], left=_LEFT)
    if (most := max(pair.processes for pair in found.pairs)) > 1:
        first = escape(b.runs[0].path.resolve().name)
        yield f"B's times are means of up to {most} processes; what is said of a case is of the first, {first}"
    yield from map(escape, found.notes)
    if found.shift:
        yield f"All moved together: {escape(found.shift.text)}"
    yield from filter(None, map(_reasons, found.pairs))
    yield from _unjudged(found.pairs)
    for pair in found.pairs:
        if pair.moved:
            yield f"### What moved: {code(pair.verdict.case)}\n\n{moved_table(pair.moved)}"
    for where, cases in (("A", found.only_a), ("B", found.only_b)):
        if cases:
            yield f"Only in {where}: {', '.join(map(code, cases))}"
    yield _end(found, failing)


def _side(side: Side) -> str:
    cards = text.counted(side.cards, "card") if side.cards else ""
    commits = f"{'commit' if len(side.commits) == 1 else 'commits'} {', '.join(side.commits)}"
    drivers = f"driver {', '.join(side.drivers)}" if side.drivers else ""
    runs = f"{text.counted(side.runs, 'run')} in {'the store ' if side.stored else ''}{side.path}"
    return escape(", ".join(filter(None, (f"{side.model} on {side.gpu}", cards, commits, drivers, runs))))


def _end(found: Versus, failing: Sequence[str]) -> str:
    """How much was judged, and what of it is refused."""
    pairs = found.pairs
    judged = [
        f"{what} judged in {sum(which)} of {text.counted(len(pairs), 'case')}"
        for what, which in (
            ("device time", [p.device_judged for p in pairs]),
            ("counts", [p.counts_judged for p in pairs]),
            ("wall", [p.wall_judged for p in pairs]),
        )
        if what == "device time" or any(which)
    ]
    if failing:
        said = f"Refused: {', '.join(map(code, failing))}"
    else:
        said = "Nothing of B is refused" if found.judged else "Nothing could be judged: B is not accepted"
    return f"{said} ({', '.join(judged)})"


def _row(pair: Pair) -> tuple[str, ...]:
    device, wall = pair.device, pair.wall
    return (
        code(pair.verdict.case),
        pair.status,
        text.seconds(device.a_s),
        text.seconds(device.b_s),
        _change(device),
        text.seen_from(device.sees),
        text.seconds(wall.a_s),
        text.seconds(wall.b_s),
        _change(wall),
        "; ".join(map(str, pair.counts)),
    )


def _change(times: Times) -> str:
    return "–" if times.change is None else text.signed_percent(times.change)


def _reasons(pair: Pair) -> str:
    """Every finding of what is not a plain pass."""
    if pair.verdict.status is Status.PASS or pair.status == "not_in_a":
        return ""
    lines = "\n".join(f"- {escape(one)}" for one in pair.verdict.reasons)
    return f"{code(pair.verdict.case)}: {pair.status}\n\n{lines}"


def _unjudged(pairs: Sequence[Pair]) -> Iterator[str]:
    """Each once, with the cases that it is of."""
    said: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.unjudged:
            said.setdefault(pair.unjudged, []).append(code(pair.verdict.case))
    for words, cases in said.items():
        yield f"{'All' if len(cases) == len(pairs) > 1 else ', '.join(cases)}: {escape(words)}"


def _as_json(found: Versus, options: argparse.Namespace, failing: Sequence[str]) -> dict[str, Any]:
    return {
        "a": str(options.a),
        "b": str(options.b),
        "sides": [_side_json(found.a), _side_json(found.b)],
        "cases": [_pair_json(pair) for pair in found.pairs],
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "shift": to_json(found.shift),
        "notes": list(found.notes),
        "judged": found.judged,
        "refused": list(failing),
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "model": side.model,
        "gpu": side.gpu,
        "cards": side.cards,
        "commits": list(side.commits),
        "drivers": list(side.drivers),
        "runs": side.runs,
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "case": pair.verdict.case,
        "status": pair.status,
        "processes": pair.processes,
        "judged": {"device": pair.device_judged, "counts": pair.counts_judged, "wall": pair.wall_judged},
        "reasons": list(pair.verdict.reasons),
        "unjudged": pair.unjudged or None,
        "device": _times_json(pair.device),
        "wall": _times_json(pair.wall),
        "counts": [_count_json(change) for change in pair.counts],
        "moved": to_json(pair.moved),
    }


def _times_json(times: Times) -> dict[str, float | None]:
    return {"a_s": times.a_s, "b_s": times.b_s, "change": times.change, "sees": times.sees}


def _count_json(change: CountChange) -> dict[str, Any]:
    return {"name": change.name, "a": change.before, "b": change.after}
