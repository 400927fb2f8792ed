"""python -m analytic COMMAND: the model at the command line."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from analytic.commands import COMMANDS
from analytic.errors import SpecError


class OneLine(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} ({self.prog} --help lists what there is)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Bad input prints one line to stderr and returns 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments[:1]).parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # µ and → where the terminal has none
    try:
        options.run(options)
        sys.stdout.flush()
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader (head, less) has seen enough
        # What is left in the buffer would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: the answer cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser(first: Sequence[str]) -> argparse.ArgumentParser:
    """With the command that is `first`, or with all where it is none of them:
    to answer, a command need not wait for the others' imports."""
    parser = OneLine(prog="python -m analytic", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in [n for n in COMMANDS if n in first] or COMMANDS:
        import_module(f"analytic.commands.{name}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
