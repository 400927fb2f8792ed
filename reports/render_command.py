"""python -m reports render and text: a stored run drawn anew, or its report on the terminal."""

import argparse
import os
import sys
from pathlib import Path

from baselines.commands import Subparsers
from baselines.commands.options import add_history, add_store
from baselines.given import not_there
from baselines.history.place import chosen
from baselines.judging import derive_run
from baselines.run import RunFolder
from baselines.store import Store
from reports.render import render
from reports.report import report_of
from reports.summary import summarise


def add(commands: Subparsers) -> None:
    for name, what, run in (
        ("render", "redraw a run from its records and stored verdicts; prints the page's path", _render),
        ("text", "print the report of a run, as in its summary.md", _text),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument(
            "folder", metavar="RUN", type=Path, help="a run's folder, such as runs/<time>-<commit>"
        )
        add_store(command, "the store of what the run is held against")
        add_history(command)
        command.set_defaults(run=run)


def _render(options: argparse.Namespace) -> None:
    folder = RunFolder(options.folder)
    store = Store(options.perf_baselines)
    place = chosen(options.perf_history, root=Path.cwd(), environment=os.environ)
    _warn(folder, store)
    print(render(folder, folder.verdicts(), store, history=place))


def _warn(folder: RunFolder, store: Store) -> None:
    lost = not_there(derive_run(folder.records(), of=folder), folder.verdicts(), store)
    if lost:
        print(
            f"note: {len(lost)} cases were judged by baselines that are not in {store.root}: "
            "name their store with --perf-baselines",
            file=sys.stderr,
        )


def _text(options: argparse.Namespace) -> None:
    folder = RunFolder(options.folder)
    store = Store(options.perf_baselines)
    place = chosen(options.perf_history, root=Path.cwd(), environment=os.environ)
    _warn(folder, store)
    print(summarise(report_of(folder, folder.verdicts(), store, history=place), images=()), end="")
