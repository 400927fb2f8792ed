"""python -m baselines push: runs that the history lacks are sent to it, once each."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytic import text
from baselines.codec import FormatError
from baselines.commands import Subparsers
from baselines.commands.options import add_history, place_of
from baselines.history.errors import HistoryError
from baselines.history.opening import check, open_history
from baselines.history.outbox import RUNS, confirmed_run, run_folders, send, settled
from baselines.run import RunFolder

if TYPE_CHECKING:
    from baselines.history.database import History


def add(commands: Subparsers) -> None:
    push = commands.add_parser(
        "push",
        help="send runs that the history lacks, once each",
        description="Sends every record of the runs that the history lacks. A run that was to be kept out of "
        "every history is sent only where its own folder is named. Exit code 0 where all is there, 1 where "
        "the database cannot be used or a run cannot be read (the others are sent), 2 for bad input.",
    )
    push.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN_OR_FOLDER",
        help=f"runs' folders, or folders of such (default: all in {RUNS}/ that were not sent)",
    )
    add_history(push)
    push.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    place, folders = place_of(options), _folders(options.runs)
    check(place)
    if not folders:
        print(f"no run in {RUNS}/")
        return 0
    waiting, all_read = len(folders), True
    try:
        with open_history(place, create=True) as history:
            for folder in folders:
                all_read &= _send(folder, history, named=folder.path in options.runs)
                waiting -= 1
    except HistoryError as error:
        print(f"error: {error}; {waiting} of {text.counted(len(folders), 'run')} not sent", file=sys.stderr)
        return 1
    return 0 if all_read else 1


def _folders(given: Sequence[Path]) -> list[RunFolder]:
    """Raises FormatError for a place without any run, and for what a run measured again."""
    found = []
    for root in given or [RUNS]:
        if run := confirmed_run(root):
            raise FormatError(f"{root}: measured again for {run}, and no run of its own; name that")
        below = run_folders(root)
        if given and not below:
            raise FormatError(f"{root}: no run's folder, and none below it: none has a run.json")
        found += below
    return found


def _send(folder: RunFolder, history: "History", *, named: bool) -> bool:
    """Sends a run and says so; False for one that cannot be read. Raises HistoryError."""
    try:
        if (why := settled(folder, history)) and (folder.disowned or not named):
            print(f"{folder.path}: {why}")
            return True
        appended = send(folder, history)
    except FormatError as error:
        print(f"error: {error}; the run was not sent", file=sys.stderr)
        return False
    known = f", {appended.known} there already" if appended.known else ""
    print(f"{folder.path}: {text.counted(appended.new, 'record')} sent{known}")
    return True
