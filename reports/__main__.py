"""python -m reports COMMAND: a run drawn anew, printed, or told to people; the model's bounds as a picture."""

import argparse
import sys
from collections.abc import Sequence

from analytic import SpecError
from baselines.codec import FormatError
from reports import alerts_command, heatmap_command, render_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, and returns its exit code. Bad input prints one line to stderr and returns 2."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (FormatError, SpecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    render_command.add(commands)
    heatmap_command.add(commands)
    alerts_command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
