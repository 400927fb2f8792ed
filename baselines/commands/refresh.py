"""python -m baselines refresh: replace baselines by fresh sessions."""

import argparse
import datetime as dt
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from analytic import SpecError
from baselines.codec import FormatError
from baselines.commands import Subparsers
from baselines.commands.options import add_store
from baselines.commit import commit
from baselines.derived import CPU
from baselines.files import write_text
from baselines.locking import FolderBusyError
from baselines.passwords import without_password
from baselines.refresh.acceptance import Terms
from baselines.refresh.changelog import add_line, changelog_line, with_line
from baselines.refresh.errors import RefreshError
from baselines.refresh.measuring import measure_sessions
from baselines.refresh.storing import NotAcceptedError, store_sessions
from baselines.refresh.table import Replaced, change_table
from baselines.run import RunFolder
from baselines.sides import sessions_at
from baselines.store import DEFAULT_STORE, Store


def add(commands: Subparsers) -> None:
    refresh = commands.add_parser(
        "refresh",
        help="replace baselines by fresh sessions; further arguments go to pytest (default: -m gpu)",
        description="Measures sessions in fresh processes, or takes earlier runs, and stores them in the place of "
        "the baselines of their cases; prints old -> new as Markdown, and a line for the CHANGELOG.",
        epilog="Any further argument goes to pytest: -m cpu, -k decode, --perf-model=… (default: -m gpu). "
        "Exit codes: 0 stored, or with --dry-run would be; 1 refused, nothing stored; 2 bad input, nothing "
        "stored (but where it says that only the CHANGELOG or the table was not written).",
    )
    source = refresh.add_mutually_exclusive_group()
    source.add_argument("--sessions", type=int, default=5, help="fresh processes to measure (default: 5)")
    source.add_argument(
        "--from",
        dest="runs",
        nargs="+",
        metavar="RUN",
        help="take these earlier runs, each from a process of its own, or a folder of session-* runs, instead "
        "of measuring",
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
    refresh.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="write old -> new, and the line, to this file too, also where it is refused: a pull request's text",
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
    # Before anything is measured for it.
    if options.changelog:
        with_line(options.changelog, "")
    if options.perf_baselines.exists() and not options.perf_baselines.is_dir():
        raise SpecError(f"--perf-baselines {options.perf_baselines}: a file; a folder is needed")
    runs = _runs(options, terms)
    command = without_password(shlex.join(["python", "-m", "baselines", *options.given]))
    try:
        changes = store_sessions(Store(options.perf_baselines), runs, command=command, terms=terms)
    except NotAcceptedError as error:
        refused = change_table(error.changes)
        print(f"{refused}\n\n{_kept(runs)}")
        _keep(f"Refused, nothing was stored.\n\n{refused}", options)
        raise
    except (RefreshError, FormatError, SpecError, OSError):
        if not options.runs:
            print(_kept(runs))
        raise
    _print(changes, options, terms)
    return 0


def _kept(runs: Sequence[RunFolder]) -> str:
    return f"Nothing was stored. The runs: --from {shlex.join(str(r.path) for r in runs)}"


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
        return [run for path in options.runs for run in sessions_at(Path(path)).runs]
    if not terms.allow_dirty and commit(Path.cwd()).dirty:
        raise RefreshError("the tree has local changes; commit them, or --allow-dirty")
    now = dt.datetime.now(dt.UTC)
    folder = Path("runs") / f"refresh-{now:%Y%m%dT%H%M%S}"
    return measure_sessions(folder, options.pytest, sessions=options.sessions)


def _print(changes: Sequence[Replaced], options: argparse.Namespace, terms: Terms) -> None:
    """The table, the CHANGELOG's line, and what has become of both."""
    store, shown = options.perf_baselines, change_table(changes)
    if all(c.new is c.old for c in changes):
        print(f"{shown}\n\nThese sessions are stored in {store} already")
        return
    line = changelog_line(changes)
    print(f"{shown}\n\n{line}\n")
    if terms.reason and not any(c.new.reason for c in changes):
        print("No case is worse than before: the reason was not needed, and is not stored")
    if terms.dry_run:
        print(f"Dry run: nothing was stored. {len(changes)} would be in {store}")
        _keep(f"Dry run: nothing was stored.\n\n{shown}", options)
        return
    print(f"Stored in {store}: {len(changes)}. Review the change, then commit it")
    if store == DEFAULT_STORE and any(c.path.is_relative_to(store / CPU) for c in changes):
        print("(but for a CPU's: they belong to this machine, and git ignores them)")
    try:
        _keep(f"{shown}\n\n{line}", options)
        if options.changelog:
            add_line(options.changelog, line)
    except (SpecError, OSError) as error:
        raise OSError(f"the baselines are stored, but not what is said of them: {error}") from error
    if options.changelog:
        print(f"The line was added to {options.changelog}")


def _keep(shown: str, options: argparse.Namespace) -> None:
    if options.table:
        write_text(f"{shown}\n", options.table)
