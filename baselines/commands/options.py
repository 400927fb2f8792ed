"""Options that several commands take, as pytest takes them too."""

import argparse
import os
from pathlib import Path

from baselines.codec import FormatError
from baselines.history.place import DEFAULT, OPTION, VARIABLE, Place, chosen
from baselines.store import DEFAULT_STORE


def add_store(parser: argparse.ArgumentParser, why: str) -> None:
    """`why` says what the command takes a store for."""
    parser.add_argument(
        "--perf-baselines",
        type=Path,
        default=DEFAULT_STORE,
        metavar="FOLDER",
        help=f"{why} (default: {DEFAULT_STORE})",
    )


def add_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        OPTION, metavar="URL", help=f"the database (default: {VARIABLE}, else sqlite:///{DEFAULT})"
    )


def place_if_any(options: argparse.Namespace) -> Place:
    """Without a URL where none is asked for."""
    return chosen(options.perf_history, root=Path.cwd(), environment=os.environ)


def place_of(options: argparse.Namespace) -> Place:
    """Raises FormatError for none: these commands are about a history."""
    place = place_if_any(options)
    if place.url is None:
        raise FormatError(f"{place.origin} is none; a database URL is needed")
    return place
