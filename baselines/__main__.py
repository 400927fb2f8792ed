"""python -m baselines refresh: the store of baselines at the command line."""

import argparse
import datetime as dt
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from analytic import SpecError
from baselines.codec import FormatError
from baselines.derived import CPU
from baselines.refresh import RefreshError, change_table, measure_sessions, store_sessions
from baselines.run import RunFolder
from baselines.store import DEFAULT_STORE, Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command: 0 done, 1 refused (nothing was stored), 2 bad input."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options, pytest_arguments = _parser().parse_known_args(given)
    try:
        return _refresh(options, pytest_arguments, command=shlex.join(["python", "-m", "baselines", *given]))
    except RefreshError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except (FormatError, SpecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m baselines", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
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
    return parser


def _refresh(options: argparse.Namespace, pytest_arguments: list[str], *, command: str) -> int:
    if options.sessions < 1:
        raise SpecError(f"--sessions is {options.sessions}; at least 1 is needed")
    if options.runs:
        if pytest_arguments:
            raise SpecError(f"--from measures nothing, so {' '.join(pytest_arguments)} would do nothing")
        runs = [RunFolder(Path(run)) for run in options.runs]
    else:
        now = dt.datetime.now(dt.UTC)
        folder = Path("runs") / f"refresh-{now:%Y%m%dT%H%M%S}"
        runs = measure_sessions(folder, pytest_arguments, sessions=options.sessions)
    changes = store_sessions(Store(options.perf_baselines), runs, command=command)
    print(change_table(changes))
    print(f"\nStored in {options.perf_baselines}: {len(changes)}. Review the change, then commit it")
    if any(c.path.is_relative_to(options.perf_baselines / CPU) for c in changes):
        print("(but for a CPU's: they belong to this machine, and git ignores them)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
