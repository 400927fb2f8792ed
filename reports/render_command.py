"""python -m reports render and text: a stored run drawn anew, or its report on the terminal."""

import argparse
import sys
from pathlib import Path

from baselines.commands import Subparsers
from baselines.commands.options import add_history, add_store, place_if_any
from baselines.run import RunFolder
from baselines.store import Store
from reports.render import write_report
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
    print(write_report(folder, _report(folder, options)))


def _text(options: argparse.Namespace) -> None:
    print(summarise(_report(RunFolder(options.folder), options), images=()), end="")


def _report(folder: RunFolder, options: argparse.Namespace) -> Report:
    """Says where the store is another than the verdicts'."""
    store = Store(options.perf_baselines)
    report = report_of(folder, folder.verdicts(), store, history=place_if_any(options))
    if report.not_there:
        print(
            f"note: {len(report.not_there)} cases were judged by baselines that are not in {store.root}: "
            "name their store with --perf-baselines",
            file=sys.stderr,
        )
    return report
