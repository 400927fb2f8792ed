"""python -m baselines COMMAND: the store of baselines at the command line."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from analytic import SpecError
from baselines.codec import FormatError
from baselines.commands import COMMANDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Exit code: 0 done, 1 refused or found worse, 2 bad input."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser(given[:1])
    options, further = parser.parse_known_args(given)
    if further and not getattr(options, "takes_pytest", False):
        parser.error(f"unknown: {' '.join(further)}")
    options.given, options.pytest = given, further
    try:
        return int(options.run(options))
    except (FormatError, SpecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser(first: Sequence[str]) -> argparse.ArgumentParser:
    """With the command that is `first`, or with all where it is none of them:
    to answer, a command need not wait for the others' imports."""
    parser = argparse.ArgumentParser(prog="python -m baselines", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in [n for n in COMMANDS if n in first] or COMMANDS:
        import_module(f"baselines.commands.{name}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
