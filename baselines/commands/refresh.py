"""python -m baselines refresh: replace baselines by fresh sessions."""

import argparse
import datetime as dt
import shlex
import sys
from pathlib import Path

from analytic import SpecError
from baselines.commands import Subparsers
from baselines.derived import CPU
from baselines.history.place import without_password
from baselines.locking import FolderBusyError
from baselines.refresh import RefreshError, change_table, measure_sessions, store_sessions
from baselines.run import RunFolder
from baselines.store import DEFAULT_STORE, Store


def add(commands: Subparsers) -> None:
    refresh = commands.add_parser(
        "refresh",
        help="replace baselines by fresh sessions; further arguments go to pytest (default: -m gpu)",
        epilog="Any further argument goes to pytest: -m cpu, -k decode, --perf-model=… (default: -m gpu).",
    )
    source = refresh.add_mutually_exclusive_group()
    source.add_argument("--sessions", type=int, default=5, help="fresh processes to measure (default: 5)")
    source.add_argument(
        "--from",
        dest="runs",
        nargs="+",
        metavar="RUN",
        help="take these earlier runs, each from a process of its own, instead of measuring",
    )
    refresh.add_argument(
        "--perf-baselines", type=Path, default=DEFAULT_STORE, help=f"the store (default: {DEFAULT_STORE})"
    )
    refresh.set_defaults(run=run, takes_pytest=True)


def run(options: argparse.Namespace) -> int:
    try:
        return _refresh(options)
    except (RefreshError, FolderBusyError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1


def _refresh(options: argparse.Namespace) -> int:
    if options.sessions < 1:
        raise SpecError(f"--sessions is {options.sessions}; at least 1 is needed")
    if options.runs:
        if options.pytest:
            raise SpecError(f"--from measures nothing, so {' '.join(options.pytest)} would do nothing")
        runs = [RunFolder(Path(run)) for run in options.runs]
    else:
        now = dt.datetime.now(dt.UTC)
        folder = Path("runs") / f"refresh-{now:%Y%m%dT%H%M%S}"
        runs = measure_sessions(folder, options.pytest, sessions=options.sessions)
    command = without_password(shlex.join(["python", "-m", "baselines", *options.given]))
    changes = store_sessions(Store(options.perf_baselines), runs, command=command)
    print(change_table(changes))
    print(f"\nStored in {options.perf_baselines}: {len(changes)}. Review the change, then commit it")
    if any(c.path.is_relative_to(options.perf_baselines / CPU) for c in changes):
        print("(but for a CPU's: they belong to this machine, and git ignores them)")
    return 0
