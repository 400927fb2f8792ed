"""python -m baselines refresh: replace baselines by fresh sessions."""

import argparse
import datetime as dt
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from analytic import SpecError
from baselines.commands import Subparsers
from baselines.commands.options import add_store
from baselines.derived import CPU
from baselines.locking import FolderBusyError
from baselines.passwords import without_password
from baselines.refresh.acceptance import Terms
from baselines.refresh.changelog import add_line, changelog_line, with_line
from baselines.refresh.errors import RefreshError
from baselines.refresh.measuring import measure_sessions
from baselines.refresh.sessions import require_clean
from baselines.refresh.storing import NotAcceptedError, store_sessions
from baselines.refresh.table import Replaced, change_table
from baselines.run import RunFolder
from baselines.store import Store


def add(commands: Subparsers) -> None:
    refresh = commands.add_parser(
        "refresh",
        help="replace baselines by fresh sessions; further arguments go to pytest (default: -m gpu)",
        epilog="Any further argument goes to pytest: -m cpu, -k decode, --perf-model=… (default: -m gpu). "
        "Exit codes: 0 stored, or with --dry-run would be; 1 refused, nothing stored; 2 bad input, nothing "
        "stored (but where it says that only the CHANGELOG was not written).",
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
    add_store(refresh, "the store")
    refresh.add_argument("--dry-run", action="store_true", help="measure, check and print; store nothing")
    refresh.add_argument(
        "--add", action="store_true", help="keep the stored sessions of other cards of the same kind"
    )
    refresh.add_argument(
        "--accept-regression", metavar="REASON", help="store what is worse than before, and why: one line"
    )
    refresh.add_argument(
        "--accept-blind",
        action="store_true",
        help="store sessions that could not see what their case promises, or judge less than those before",
    )
    refresh.add_argument("--allow-dirty", action="store_true", help="take runs of a tree with local changes")
    refresh.add_argument(
        "--changelog", type=Path, metavar="FILE", help="add the line under Unreleased, Changed of this file"
    )
    refresh.set_defaults(run=run, takes_pytest=True)


def run(options: argparse.Namespace) -> int:
    try:
        return _refresh(options)
    except (RefreshError, FolderBusyError) as error:
        for line in str(error).splitlines():
            print(f"refused: {line}", file=sys.stderr)
        return 1


def _refresh(options: argparse.Namespace) -> int:
    terms = _terms(options)
    if options.changelog:
        # Before anything is measured for it.
        with_line(options.changelog, "")
    runs = _runs(options, terms)
    command = without_password(shlex.join(["python", "-m", "baselines", *options.given]))
    try:
        changes = store_sessions(Store(options.perf_baselines), runs, command=command, terms=terms)
    except NotAcceptedError as error:
        print(change_table(error.changes))
        print(f"\nNothing was stored. The runs: --from {shlex.join(str(r.path) for r in runs)}")
        raise
    _print(changes, runs, options, terms)
    return 0


def _terms(options: argparse.Namespace) -> Terms:
    """Raises SpecError."""
    reason = options.accept_regression
    if reason is not None and not (reason.strip() and reason.isprintable()):
        raise SpecError(f"--accept-regression is {reason!r}; a reason in one line is needed")
    return Terms(
        reason=reason.strip() if reason else None,
        accept_blind=options.accept_blind,
        allow_dirty=options.allow_dirty,
        add=options.add,
        dry_run=options.dry_run,
    )


def _runs(options: argparse.Namespace, terms: Terms) -> list[RunFolder]:
    """Those that are named, else measured now."""
    if options.sessions < 1:
        raise SpecError(f"--sessions is {options.sessions}; at least 1 is needed")
    if options.runs:
        if options.pytest:
            raise SpecError(f"--from measures nothing, so {' '.join(options.pytest)} would do nothing")
        return [RunFolder(Path(run)) for run in options.runs]
    now = dt.datetime.now(dt.UTC)
    folder = Path("runs") / f"refresh-{now:%Y%m%dT%H%M%S}"
    check = partial(require_clean, allow_dirty=terms.allow_dirty)
    return measure_sessions(folder, options.pytest, sessions=options.sessions, check=check)


def _print(
    changes: Sequence[Replaced], runs: Sequence[RunFolder], options: argparse.Namespace, terms: Terms
) -> None:
    """The table, the CHANGELOG's line, and what has become of both."""
    store, dirty = options.perf_baselines, any(run.info().dirty for run in runs)
    line = changelog_line(changes, dirty=dirty)
    print(f"{change_table(changes)}\n\n{line}\n")
    if terms.reason and not any(c.new.reason for c in changes):
        print("No case is worse than before: the reason was not needed, and is not stored")
    if terms.dry_run:
        print(f"Dry run: nothing was stored. {len(changes)} would be in {store}")
        return
    print(f"Stored in {store}: {len(changes)}. Review the change, then commit it")
    if any(c.path.is_relative_to(store / CPU) for c in changes):
        print("(but for a CPU's: they belong to this machine, and git ignores them)")
    if options.changelog:
        try:
            add_line(options.changelog, line)
        except (SpecError, OSError) as error:
            raise OSError(f"the baselines are stored, but not their line: {error}") from error
        print(f"The line was added to {options.changelog}")
