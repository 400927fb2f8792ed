"""python -m baselines show: what is stored, how old, how noisy, and what it can see."""

import argparse
import datetime as dt
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from analytic import text
from baselines.codec import FormatError, to_json
from baselines.commands import Subparsers
from baselines.commands.options import add_store
from baselines.commands.show_table import notes, section
from baselines.coverage import Coverage, Damage, coverage, linked, misplaced
from baselines.inventory import Held, Inventory, Promises, inventory
from baselines.markdown import escape
from baselines.pinned import suites
from baselines.policy import POLICY
from baselines.run import RunFolder
from baselines.store import DEFAULT_STORE, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that is said; `covered` is None where no run told what it plans."""

    inventories: tuple[Inventory, ...]
    misplaced: tuple[Path, ...]
    linked: tuple[Damage, ...]
    covered: Coverage | None

    @property
    def damaged(self) -> tuple[str, ...]:
        """Each once: the plan asks for some of those that the folders hold."""
        covered = self.covered.damaged if self.covered else ()
        asked = (f"{d.path}: {d.reason}" for d in (*self.linked, *covered))
        return tuple(dict.fromkeys((*(d for one in self.inventories for d in one.damaged), *asked)))


def add(commands: Subparsers) -> None:
    show = commands.add_parser(
        "show",
        help="what is stored: how old, how noisy, and what it can see",
        description="One line a baseline: its sessions and cards, days since the newest of them started, the "
        "commit; the geometric mean over sessions of device time and wall, their coefficient of variation "
        "between sessions, and the least slowdown that would be seen, all cases of the GPU and model judged "
        "together. What holds for all stands above the table. Exit code 1 where a stored file is damaged or "
        "a folder is a link, 2 for bad input, such as a store that is named and not there.",
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
    _require_store(root)
    shown = _look(options, now=dt.datetime.now(dt.UTC))
    if options.json:
        print(json.dumps(_as_json(shown, root), indent=1))
    else:
        print("\n\n".join(_sections(shown, options)))
        for damage in shown.damaged:
            print(f"damaged: {damage}", file=sys.stderr)
    return 1 if shown.damaged else 0


def _require_store(root: Path) -> None:
    """Raises FormatError. A checkout without a store has its default all the same."""
    needed = "a folder <gpu>/<model>/<case>.json of baselines is needed"
    if root.is_dir():
        if RunFolder(root).exists() or any(root.glob("*/run.json")):
            raise FormatError(f"{root}: a run's folder or one of runs, not a store; {needed}")
    elif root.exists():
        raise FormatError(f"{root}: a file; {needed}")
    elif root != DEFAULT_STORE or root.is_symlink():
        raise FormatError(f"{root}: no such folder; {needed}")


def _look(options: argparse.Namespace, *, now: dt.datetime) -> Shown:
    store = Store(options.perf_baselines)
    promises, covered = _plan(options.planned_by, store) if options.planned_by else (None, None)
    wanted = partial(_wanted, root=store.root, options=options)
    links = {link.path: link for link in linked(store)}
    found = []
    for suite in suites(store):
        folder = store.root / suite.gpu / suite.model
        if {folder, folder.parent} & links.keys():
            continue
        if not (fnmatchcase(suite.gpu, options.gpu) and fnmatchcase(suite.model, options.model)):
            continue
        whole = inventory(suite, now=now, policy=POLICY, promises=promises)
        held = tuple(one for one in whole.held if fnmatchcase(one.case, options.case))
        if held or whole.damaged:
            found.append(replace(whole, held=held))
    return Shown(
        inventories=tuple(found),
        misplaced=tuple(filter(wanted, misplaced(store))),
        linked=tuple(link for path, link in links.items() if wanted(path)),
        covered=None if covered is None else covered.where(wanted),
    )


def _wanted(path: Path, *, root: Path, options: argparse.Namespace) -> bool:
    """Whether --gpu, --model and --case ask for a path in the store, as far as it goes."""
    *folders, name = path.relative_to(root).parts
    if not name.endswith(".json"):
        return all(map(fnmatchcase, (*folders, name), (options.gpu, options.model)))
    return all(map(fnmatchcase, folders, (options.gpu, options.model))) and fnmatchcase(
        name.removesuffix(".json"), options.case
    )


def _plan(path: Path, store: Store) -> tuple[Promises, Coverage]:
    """What a run's cases promise, and what the store has of them on the run's GPU.
    Raises FormatError for a run that measured nothing: its GPU is not known."""
    folder = RunFolder(path)
    planned, records = folder.info().planned, folder.records()
    if not records:
        raise FormatError(f"{path}: the run holds no record, so that its GPU is not known")
    gpu = records[0].gpu
    found = coverage(store, planned, gpus=[gpu]).within(store.root / gpu / records[0].case.model)
    return {p.case.id: p.case.promise for p in planned}, found


def _sections(shown: Shown, options: argparse.Namespace) -> Iterator[str]:
    asked = [p for p in (options.gpu, options.model, options.case) if p != "*"]
    if not shown.inventories and not shown.damaged:
        which = f"no baseline of {', '.join(asked)}" if asked else "no baseline"
        yield f"{which} is stored in {options.perf_baselines}"
    for one in shown.inventories:
        yield f"## {escape(one.model)} on {escape(one.gpu)}\n\n{section(one.held)}"
    yield from _leftovers(shown, options.planned_by)


def _leftovers(shown: Shown, planned_by: Path | None) -> Iterator[str]:
    covered = shown.covered
    if shown.misplaced:
        yield _list("lies where nobody looks", "lie where nobody looks", shown.misplaced)
    if covered and covered.orphans:
        which = f"in the plan of {planned_by}"
        yield _list(f"is not {which}", f"are not {which}", covered.orphans)
    if covered and covered.gaps:
        which = f"in the plan of {planned_by}, and not stored"
        yield _list(f"is {which}", f"are {which}", covered.gaps)


def _list(one: str, several: str, paths: Sequence[Path]) -> str:
    head = escape(text.counted(len(paths), one, several))
    return "\n".join((f"{head}:", "", *(f"- {escape(str(path))}" for path in paths)))


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
    return {**to_json(held), "modes": modes, "notes": list(notes(held))}
