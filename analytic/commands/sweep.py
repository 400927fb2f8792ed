"""python -m analytic sweep: the bounds of a grid of batches, lengths and GPUs."""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from analytic import text
from analytic.case import Phase
from analytic.commands import Subparsers
from analytic.config_file import load_model
from analytic.errors import SpecError, unknown
from analytic.gpus import GpuSpec, find_gpu, registry
from analytic.precision import PRECISIONS, find_precision

if TYPE_CHECKING:
    from analytic.sweep import Row, Sweep

# So many points a screen can still be scrolled through; a file takes all.
MOST_LINES = 1000

SIZES = "1,2,4 or 1..64x2 (from 1 to 64, each twice the last) or 128..1024+128 (in steps of 128)"
# No size has more digits than int64 holds.
_ENTRY = re.compile(
    r"(?P<first>\d{1,18})(\.\.(?P<last>\d{1,18})(?P<kind>[x+])(?P<step>\d{1,18}))?", flags=re.ASCII
)


def add(commands: Subparsers) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="bounds over batches x lengths x GPUs",
        description=f"Bounds over batches x lengths x GPUs. SIZES are {SIZES}, or any of these with commas between.",
    )
    add_grid(sweep)
    output = sweep.add_mutually_exclusive_group()
    output.add_argument("--csv", metavar="FILE", help="one line a point, SI units; - is the standard output")
    output.add_argument("--json", action="store_true", help="one JSON list of points, SI units")
    sweep.set_defaults(run=run)


def add_grid(sweep: argparse.ArgumentParser) -> None:
    """The options that read_grid reads: model, GPUs, phase, sizes, precisions, logits."""
    sweep.add_argument("model", metavar="MODEL", help="a preset, a config.json or its folder")
    sweep.add_argument(
        "--gpu", required=True, metavar="A[,B...]|all", help="keys, torch's names or .toml files"
    )
    sweep.add_argument("--phase", required=True, help="prefill or decode")
    sweep.add_argument("--batch", default="1", metavar="SIZES", help="sequences (default: 1)")
    sweep.add_argument("--prompt", metavar="SIZES", help="prefill: prompt lengths in tokens")
    sweep.add_argument("--context", metavar="SIZES", help="decode: tokens cached before the step")
    sweep.add_argument(
        "--precision", default="fp16", metavar="A[,B...]", help=", ".join(PRECISIONS) + " (default: fp16)"
    )
    sweep.add_argument("--logits", default="last", help="last (as generate() does) or all")


def run(options: argparse.Namespace) -> None:
    # All of them before any output: bad input replaces no file.
    sweeps = list(read_grid(options))
    rows = (row for sweep in sweeps for row in sweep.rows())
    if options.json:
        _write_json(rows)
    elif options.csv == "-":
        _write_csv(rows, sys.stdout)
    elif options.csv is not None:
        try:
            with Path(options.csv).open("w", encoding="utf-8", newline="") as file:
                count = _write_csv(rows, file)
        except OSError as error:
            raise SpecError(f"--csv {options.csv}: {error.strerror}") from error
        print(f"{count:,} points in {options.csv}")
    else:
        _print(sweeps)


def read_grid(options: argparse.Namespace) -> "Iterator[Sweep]":
    """A sweep per precision, of add_grid's options. Raises SpecError for bad input."""
    # NumPy takes longer to import than a bound to compute, so no other command has it.
    from analytic.sweep import check_points, sweep  # noqa: PLC0415

    precisions = [find_precision(name) for name in _names("--precision", options.precision)]
    gpus = registry() if options.gpu.strip() == "all" else _gpus(options.gpu)
    phase, lengths = _lengths(options)
    batches = _ranges("--batch", options.batch)
    check_points(len(precisions) * len(gpus) * sum(map(len, batches)) * sum(map(len, lengths)))
    model = load_model(options.model)
    for precision in precisions:
        yield sweep(
            model,
            phase=phase,
            batches=sorted(set().union(*batches)),
            lengths=sorted(set().union(*lengths)),
            gpus=gpus,
            precision=precision,
            logits=options.logits,
        )


def _names(option: str, value: str) -> list[str]:
    """The names in a list, each once. Raises SpecError for an empty one."""
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise SpecError(f"{option} {value!r} has an empty entry; names with commas between are needed")
    return list(dict.fromkeys(names))


def _gpus(value: str) -> tuple[GpuSpec, ...]:
    return tuple({gpu.key: gpu for gpu in map(find_gpu, _names("--gpu", value))}.values())


def _lengths(options: argparse.Namespace) -> tuple[Phase, list[Sequence[int]]]:
    """Raises SpecError where --prompt and --context do not go with the phase."""
    if options.phase == Phase.PREFILL:
        if options.prompt is None or options.context is not None:
            raise SpecError("--phase prefill takes --prompt SIZES (tokens), and no --context")
        return Phase.PREFILL, _ranges("--prompt", options.prompt)
    if options.phase == Phase.DECODE:
        if options.context is None or options.prompt is not None:
            raise SpecError("--phase decode takes --context SIZES (cached tokens), and no --prompt")
        return Phase.DECODE, _ranges("--context", options.context)
    raise unknown("phase", options.phase, (Phase.PREFILL, Phase.DECODE))


def _ranges(option: str, value: str) -> list[Sequence[int]]:
    """The sizes of each entry of a list, before anything is spelt out.
    Raises SpecError for what is no list of sizes."""
    return [_entry(option, value, entry.strip()) for entry in value.split(",")]


def _entry(option: str, value: str, entry: str) -> Sequence[int]:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        shown = f"{entry!r} in {value!r}" if entry != value else repr(entry)
        raise SpecError(f"{option}: {shown} is no list of sizes; positive integers, as in {SIZES}")
    first, last, step = int(match["first"]), int(match["last"] or match["first"]), int(match["step"] or 1)
    if first < 1:
        raise SpecError(f"{option}: {entry!r} has a size of 0; sizes are at least 1")
    if last < first:
        raise SpecError(f"{option}: {entry} ends before it starts")
    if step < (2 if match["kind"] == "x" else 1):
        raise SpecError(f"{option}: {entry} never ends; a factor of at least 2 or a step of at least 1")
    if match["kind"] != "x":
        return range(first, last + 1, step)
    sizes = [first]
    while sizes[-1] * step <= last:
        sizes.append(sizes[-1] * step)
    return sizes


def _write_csv(rows: "Iterable[Row]", file: TextIO) -> int:
    """Returns how many points there were."""
    from analytic.sweep import COLUMNS  # noqa: PLC0415 - as in read_grid

    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 - the last one is the number of rows
        table.writerow([str(v).lower() if isinstance(v, bool) else v for v in row.values()])
    return count


def _write_json(rows: "Iterable[Row]") -> None:
    """Point by point: a list of all of them would take more memory than the sweep."""
    before = "[\n  "
    for row in rows:
        print(before, json.dumps(row), sep="", end="")
        before = ",\n  "
    print("\n]")


def _print(sweeps: "Sequence[Sweep]") -> None:
    rows = islice((row for sweep in sweeps for row in sweep.rows()), MOST_LINES)
    for (gpu, precision, note), group in groupby(rows, key=itemgetter("gpu", "precision", "note")):
        print(f"{sweeps[0].model} on {gpu}: {sweeps[0].phase}, {precision}{f': {note}' if note else ''}")
        if not note:
            _print_points(sweeps[0].phase, group)
        print()
    more = sum(sweep.points for sweep in sweeps) - MOST_LINES
    if more > 0:
        print(f"... and {more:,} more points: --csv FILE or --json has all of them.")
    print("fits: all weights and the KV cache, against what the GPU offers; activations come on top.")


def _print_points(phase: Phase, rows: "Iterable[Row]") -> None:
    length = "prompt" if phase is Phase.PREFILL else "context"
    print(
        f"  {'batch':>7} {length:>9}  {'limit':<7} {'lower bound':>12} {'tokens/s':>12} {'resident':>13}  fits"
    )
    for row in rows:
        print(
            f"  {row['batch']:>7} {row['context_len'] or row['new_tokens']:>9}  {row['limiter']:<7} "
            f"{text.seconds(row['lower_s']):>12} {text.tokens_per_s(row['tokens_per_s']):>12} "
            f"{text.gib(row['resident_bytes']):>13}  {'yes' if row['fits'] else 'no'}"
        )
