"""python -m reports alert and watch: what a run found, or that none arrived, is told to people."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.commands.options import add_history, add_store

if TYPE_CHECKING:
    from baselines.commands import Subparsers

# What the extra brings.
_NEEDED = ("github", "requests", "urllib3")

_EXIT = (
    "Exit code 0 whatever is found, 1 where a channel did not take it (the other is tried all the same), "
    "2 for bad input."
)


def add(commands: "Subparsers") -> None:
    alert = commands.add_parser(
        "alert",
        help="tell GitHub issues or a webhook what a run found",
        description="Opens one issue for each GPU and model of which cases fail, keeps it true, comments where "
        f"it moves, closes it where all recovered; one more where nothing was measured. {_EXIT}",
    )
    alert.add_argument("folder", metavar="RUN", type=Path, help="a judged run's folder")
    add_store(alert, "the store that judged it")
    add_history(alert)
    _add_channels(alert)
    alert.set_defaults(run=_alert)
    watch = commands.add_parser(
        "watch",
        help="tell them that no result arrived",
        description="Looks for the newest artifact of a name in the repository, and opens the issue of a night "
        f"without a result where it is too old or there is none. It closes nothing: alert does. {_EXIT}",
    )
    watch.add_argument("--artifact", metavar="NAME", required=True, help="what a night uploads its run as")
    watch.add_argument(
        "--hours", metavar="N", type=float, default=26.0, help="older is too old (default: %(default)g)"
    )
    watch.add_argument(
        "--none-arrived",
        action="store_true",
        help="of a night that is known to have left none: no older artifact is looked for",
    )
    _add_channels(watch)
    watch.set_defaults(run=_watch)


def _add_channels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository (default: GITHUB_REPOSITORY)")
    parser.add_argument(
        "--name",
        default="nightly",
        help="whose nights these are, in the issue of one without a result (default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        metavar="S",
        type=float,
        default=300.0,
        help="seconds to wait for rate limits in all (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=int,
        default=15,
        help="seconds to wait for an answer (default: %(default)d)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be done; with a token it reads the issues, and never writes",
    )


def _alert(options: argparse.Namespace) -> int:
    try:
        from reports.alerts.sending import alert
    except ModuleNotFoundError as error:
        return _lacking(error)
    return alert(options)


def _watch(options: argparse.Namespace) -> int:
    try:
        from reports.alerts.sending import watch
    except ModuleNotFoundError as error:
        return _lacking(error)
    return watch(options)


def _lacking(error: ModuleNotFoundError) -> int:
    if (error.name or "").partition(".")[0] not in _NEEDED:
        raise error
    print("error: alerts need PyGithub and requests: pip install 'roofgate[alerts]'", file=sys.stderr)
    return 1
