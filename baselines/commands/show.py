"""python -m baselines show: what is stored, how old, how noisy, and what it can see."""

import argparse
import datetime as dt
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from analytic import text
from baselines.codec import FormatError, one_line, to_json
from baselines.commands import Subparsers
from baselines.commands.options import add_store
from baselines.coverage import Coverage, coverage, misplaced
from baselines.inventory import Held, Inventory, Promises, inventory
from baselines.markdown import code, escape, table
from baselines.pinned import suites
from baselines.policy import POLICY
from baselines.run import RunFolder
from baselines.store import Store

_HEADERS = (
    *("case", "sessions", "cards", "age", "commit", "device", "device CV", "device sees", "promised"),
    *("wall", "wall CV", "wall sees", "since anchor", "regime", "notes"),
)
_LEFT = (0, 4, 13, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that is said; `covered` is None where no run told what it plans."""

    inventories: tuple[Inventory, ...]
    misplaced: tuple[Path, ...]
    covered: Coverage | None

    @property
    def damaged(self) -> tuple[str, ...]:
        """Each once: the plan asks for some of those that the folders hold."""
        asked = (f"{d.path}: {d.reason}" for d in (self.covered.damaged if self.covered else ()))
        return tuple(dict.fromkeys((*(d for one in self.inventories for d in one.damaged), *asked)))


def add(commands: Subparsers) -> None:
    show = commands.add_parser(
        "show",
        help="what is stored: how old, how noisy, and what it can see",
        description="One line a baseline: its sessions and cards, its age in days, the commit; the geometric "
        "mean over sessions of device time and wall, their coefficient of variation between sessions, and "
        "the least slowdown that would be seen, all cases of the GPU and model judged together. Exit code "
        "1 where a stored file is damaged, 2 for bad input.",
    )
    add_store(show, "the store")
    show.add_argument("--gpu", metavar="KEY", default="*", help="of this GPU only, such as h100-sxm")
    show.add_argument("--model", default="*", help="of this model only")
    show.add_argument("--case", metavar="PATTERN", default="*", help="of cases like this, such as 'decode-*'")
    show.add_argument(
        "--run",
        dest="planned_by",
        type=Path,
        metavar="RUN",
        help="also what the store lacks of this run's plan, and what of its GPU and model the plan does not "
        "ask for; what its cases promise. Of a run that selected cases, the others are missing from the plan",
    )
    show.add_argument("--json", action="store_true", help="one JSON object: SI units, shares")
    show.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    root = options.perf_baselines
    if root.exists() and not root.is_dir():
        raise FormatError(f"{root}: a file; a folder <gpu>/<model>/<case>.json of baselines is needed")
    shown = _look(options, now=dt.datetime.now(dt.UTC))
    if options.json:
        print(json.dumps(_as_json(shown, root), indent=1))
    else:
        print("\n\n".join(_sections(shown, options)))
        for damage in shown.damaged:
            print(f"damaged: {damage}", file=sys.stderr)
    return 1 if shown.damaged else 0


def _look(options: argparse.Namespace, *, now: dt.datetime) -> Shown:
    store = Store(options.perf_baselines)
    promises, covered = _plan(options.planned_by, store) if options.planned_by else (None, None)
    found = []
    for suite in suites(store):
        if not (fnmatchcase(suite.gpu, options.gpu) and fnmatchcase(suite.model, options.model)):
            continue
        whole = inventory(suite, now=now, policy=POLICY, promises=promises)
        held = tuple(one for one in whole.held if fnmatchcase(one.case, options.case))
        if held or whole.damaged:
            found.append(replace(whole, held=held))
    return Shown(inventories=tuple(found), misplaced=misplaced(store), covered=covered)


def _plan(path: Path, store: Store) -> tuple[Promises, Coverage]:
    """What a run's cases promise, and what the store has of them on the run's GPU.
    Raises FormatError for a run that measured nothing: its GPU is not known."""
    folder = RunFolder(path)
    planned, records = folder.info().planned, folder.records()
    if not records:
        raise FormatError(f"{path}: the run holds no record, so that its GPU is not known")
    place = store.root / records[0].gpu / records[0].case.model
    return {p.case.id: p.case.promise for p in planned}, coverage(store, planned).within(place)


def _sections(shown: Shown, options: argparse.Namespace) -> Iterator[str]:
    asked = [p for p in (options.gpu, options.model, options.case) if p != "*"]
    if not shown.inventories:
        which = f"no baseline of {', '.join(asked)}" if asked else "no baseline"
        yield f"{which} is stored in {options.perf_baselines}"
    for one in shown.inventories:
        yield f"## {escape(one.model)} on {escape(one.gpu)}\n\n{_table(one.held)}"
        if details := list(_details(one.held)):
            yield "\n".join(details)
    yield from _leftovers(shown, options.planned_by)


def _table(held: Sequence[Held]) -> str:
    return table(_HEADERS, [_row(one) for one in held], left=_LEFT)


def _row(one: Held) -> tuple[str, ...]:
    device, wall = one.device, one.wall
    drift = device.drift if device else wall.drift
    notes = [*one.notes, *(["bimodal wall"] if one.modes else [])]
    return (
        code(one.case),
        str(one.sessions),
        str(one.cards) if one.cards else "–",
        "–" if one.age_days is None else f"{one.age_days:.1f} d",
        escape(one.commit),
        text.seconds(device.mean_s if device else None),
        _percent(device.cv if device else None),
        text.seen_from(device.sees if device else None),
        text.percent(device.promised if device else None),
        text.seconds(wall.mean_s),
        _percent(wall.cv),
        text.seen_from(wall.sees),
        "–" if drift is None else text.signed_percent(drift),
        f"{one.regime}, power cap" if one.pool != "steady" else one.regime,
        escape("; ".join(notes)),
    )


def _percent(value: float | None) -> str:
    return text.percent(value, digits=2)


def _details(held: Sequence[Held]) -> Iterator[str]:
    """What does not fit into a line of the table."""
    for one in held:
        if one.modes:
            fast, slow = one.modes
            yield (
                f"- {code(one.case)}: the wall is bimodal: {fast.sessions} sessions near "
                f"{text.seconds(math.exp(fast.log))}, {slow.sessions} near {text.seconds(math.exp(slow.log))}"
            )
    written: dict[str, list[str]] = {}
    for one in held:
        if one.by or one.reason:
            by = f" by {escape(one_line(one.by))}" if one.by else ""
            why = f": {escape(one_line(one.reason))}" if one.reason else ""
            said = f"written{by} on {escape(one_line(one.written))}{why}"
            written.setdefault(said, []).append(code(one.case))
    for said, cases in written.items():
        yield f"- {'all' if len(cases) == len(held) else ', '.join(cases)}: {said}"


def _leftovers(shown: Shown, planned_by: Path | None) -> Iterator[str]:
    if shown.misplaced:
        yield _list("lie where nobody looks", shown.misplaced)
    if shown.covered and shown.covered.orphans:
        yield _list(f"are not in the plan of {planned_by}", shown.covered.orphans)
    if shown.covered and shown.covered.gaps:
        yield _list(f"are in the plan of {planned_by}, and not stored", shown.covered.gaps)


def _list(what: str, paths: Sequence[Path]) -> str:
    return "\n".join((f"{len(paths)} {what}:", "", *(f"- {escape(str(path))}" for path in paths)))


def _as_json(shown: Shown, root: Path) -> dict[str, Any]:
    covered = shown.covered
    return {
        "store": str(root),
        "stored": [
            {"gpu": one.gpu, "model": one.model, "baselines": [_held_json(held) for held in one.held]}
            for one in shown.inventories
        ],
        "misplaced": [str(path) for path in shown.misplaced],
        "orphans": None if covered is None else [str(path) for path in covered.orphans],
        "gaps": None if covered is None else [str(path) for path in covered.gaps],
        "damaged": list(shown.damaged),
    }


def _held_json(held: Held) -> dict[str, Any]:
    modes = [{"wall_s": math.exp(mode.log), "sessions": mode.sessions} for mode in held.modes]
    return {**to_json(held), "modes": modes}
