"""python -m reports COMMAND: a stored run drawn anew or told, or the model's bounds as a picture."""

import argparse
import sys
from collections.abc import Sequence

from analytic import SpecError
from baselines.codec import FormatError
from reports import heatmap_command, render_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Bad input prints one line to stderr and returns 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (FormatError, SpecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    render_command.add(commands)
    heatmap_command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
