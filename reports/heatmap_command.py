"""python -m reports heatmap: a sweep of one GPU and precision, as a PNG and in words."""

import argparse
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from analytic import SpecError
from analytic.commands import sweep as command
from analytic.sweep import Sweep
from reports.heatmap import describe, draw, title

if TYPE_CHECKING:
    from analytic.commands import Subparsers


def add(commands: "Subparsers") -> None:
    parser = commands.add_parser(
        "heatmap",
        help="draw a sweep of one GPU and precision (python -m analytic sweep)",
        description=f"tokens/s at the lower bound over batch and length. SIZES are {command.SIZES}.",
    )
    command.add_grid(parser)
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("heatmap.png"), help="the PNG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes the PNG and prints its text alternative."""
    sweeps = list(command.read_grid(options))
    if len(sweeps) != 1 or len(sweeps[0].gpus) != 1:
        raise SpecError("a heatmap shows one GPU and one precision; name one of each")
    save(sweeps[0], options.out)
    print(describe(sweeps[0]))
    print(options.out)


def save(sweep: Sweep, path: Path, *, gpu: int = 0) -> None:
    """Stores the figure as a PNG, whose Description is the text alternative.
    Raises SpecError where the file cannot be written."""
    picture = BytesIO()
    metadata = {"Title": title(sweep, gpu), "Description": describe(sweep, gpu=gpu)}
    draw(sweep, gpu=gpu).savefig(picture, format="png", metadata=metadata)
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from error
