"""python -m baselines COMMAND: the store of baselines at the command line."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from analytic import SpecError
from baselines.codec import FormatError
from baselines.commands import COMMANDS

# As a shell says of a program that a signal ended: SIGINT, SIGPIPE, SIGTERM. None judged anything.
_INTERRUPTED, _BROKEN_PIPE, _TERMINATED = 130, 141, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Exit code: 0 done, 1 refused or found worse, 2 bad input, 130 by
    Ctrl-C, 141 where nobody reads the answer to its end, 143 by SIGTERM."""
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        # What is left in the buffer would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except (FormatError, SpecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return code


def _run(given: list[str]) -> int:
    parser = _parser(given[:1])
    options, further = parser.parse_known_args(given)
    if further and not getattr(options, "takes_pytest", False):
        parser.error(f"unknown: {' '.join(further)}")
    options.given, options.pytest = given, further
    return int(options.run(options))


def _parser(first: Sequence[str]) -> argparse.ArgumentParser:
    """With the command that is `first`, or with all where it is none of them:
    to answer, a command need not wait for the others' imports."""
    parser = argparse.ArgumentParser(prog="python -m baselines", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in [n for n in COMMANDS if n in first] or COMMANDS:
        import_module(f"baselines.commands.{name}").add(commands)
    return parser


def _terminated(*_: object) -> None:
    """As an exception it ends what a command has started too: a refresh's pytest would
    hold the GPU for whoever comes next."""
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
