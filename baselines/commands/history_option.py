"""--history, as the commands about a history take it."""

import argparse
import os
from pathlib import Path

from baselines.codec import FormatError
from baselines.history.place import DEFAULT, VARIABLE, Place, chosen


def add_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--history", metavar="URL", help=f"the database (default: {VARIABLE}, else sqlite:///{DEFAULT})"
    )


def place_of(options: argparse.Namespace) -> Place:
    """Raises FormatError for none: these commands are about a history."""
    place = chosen(options.history, root=Path.cwd(), environment=os.environ, option="--history")
    if place.url is None:
        raise FormatError(f"{place.origin} is none; a database URL is needed")
    return place
