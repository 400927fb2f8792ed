"""python -m reports COMMAND: a stored run drawn anew or told to people, or the model's bounds as a picture."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analytic import SpecError
from baselines.codec import FormatError
from baselines.run import RunFolder
from reports import alerts_command, heatmap_command
from reports.render import render


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
    command = commands.add_parser("render", help="redraw a run from its records and stored verdicts")
    command.add_argument(
        "folder", metavar="RUN", type=Path, help="a run's folder, such as runs/<time>-<commit>"
    )
    command.set_defaults(run=_render)
    heatmap_command.add(commands)
    alerts_command.add(commands)
    return parser


def _render(options: argparse.Namespace) -> None:
    folder = RunFolder(options.folder)
    print(render(folder, folder.verdicts()))


if __name__ == "__main__":
    sys.exit(main())
