"""python -m reports render and text: a stored run drawn anew, or its report on the terminal."""

import argparse
import os
from pathlib import Path

from baselines.commands import Subparsers
from baselines.commands.options import add_history, add_store
from baselines.history.place import chosen
from baselines.run import RunFolder
from baselines.store import Store
from reports.render import render
from reports.report import Report, report_of
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
    print(render(folder, folder.verdicts(), store, history=place))


def _text(options: argparse.Namespace) -> None:
    print(summarise(_report(options), images=()), end="")


def _report(options: argparse.Namespace) -> Report:
    folder = RunFolder(options.folder)
    place = chosen(options.perf_history, root=Path.cwd(), environment=os.environ)
    return report_of(folder, folder.verdicts(), Store(options.perf_baselines), history=place)
