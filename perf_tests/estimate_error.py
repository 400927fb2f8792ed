"""How far the estimates are off, on cases that they were not calibrated on.

    python -m perf_tests.estimate_error [TABLE]                  prints the errors
    python -m perf_tests.estimate_error --from RUN… --out TABLE  stores runs as a table

A run is what `pytest -m gpu --perf-cases=perf_tests/estimate_cases.toml` leaves,
on any model; the committed table holds such runs of an H100.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from math import inf
from pathlib import Path
from statistics import median

from analytic import Case, Ceilings, Phase, SpecError, find_gpu, find_precision, load_model, text
from analytic.estimate import Estimate, estimate
from analytic.passes import case_pass
from analytic.small_file import read_small
from baselines.card_clock import at_card_clock
from baselines.codec import FormatError
from baselines.record import Record
from baselines.run import RunFolder

TABLE = Path(__file__).parent / "bounds" / "estimate_truth.csv"

# What is promised of the device time: the median absolute error.
PROMISE = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One measured case: median times in seconds, memory in bytes, and the ceilings
    of its run; a "+" behind the commit says that the tree had changes. `peak_bytes` is the case's peak, `predicted_bytes` the plan's."""

    gpu: str
    model: str
    case: str
    device_s: float
    wall_s: float
    launches: int
    peak_bytes: int
    predicted_bytes: int
    copy_bytes_per_s: float
    read_bytes_per_s: float
    fp16_flops_per_s: float
    launch_gap_s: float
    gpu_uuid: str
    commit: str

    @property
    def ceilings(self) -> Ceilings:
        return Ceilings(
            device=self.gpu,
            copy_bytes_per_s=self.copy_bytes_per_s,
            read_bytes_per_s=self.read_bytes_per_s,
            gemm_flops_per_s={"fp16": self.fp16_flops_per_s},
            launch_gap_s=self.launch_gap_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """A measured case and its estimate; errors are relative to what was measured."""

    seen: Seen
    estimate: Estimate

    @property
    def device(self) -> float:
        return self.estimate.device.typical_s / self.seen.device_s - 1

    @property
    def wall(self) -> float:
        return self.estimate.wall.typical_s / self.seen.wall_s - 1

    @property
    def device_within(self) -> bool:
        return self.estimate.device.low_s <= self.seen.device_s <= self.estimate.device.high_s

    @property
    def wall_within(self) -> bool:
        return self.estimate.wall.low_s <= self.seen.wall_s <= self.estimate.wall.high_s

    @property
    def memory(self) -> float:
        return self.seen.predicted_bytes / self.seen.peak_bytes - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command: 0 where the promise holds, 1 where not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m perf_tests.estimate_error",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", nargs="?", type=Path, default=TABLE)
    parser.add_argument("--from", dest="runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument("--out", type=Path, help="the table to write (CSV); needs --from")
    options = parser.parse_args(arguments)
    try:
        return _store(options.runs, options.out) if options.runs or options.out else _report(options.table)
    except (SpecError, FormatError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _store(runs: Sequence[Path] | None, out: Path | None) -> int:
    if not runs or out is None:
        raise SpecError("--from RUN… and --out TABLE go together")
    seen = [row for run in runs for row in rows_of(RunFolder(run))]
    write(seen, out)
    print(f"{len(seen)} cases: {out}")
    return 0


def _report(table: Path) -> int:
    errors = [error_of(row) for row in read(table)]
    if not errors:
        raise SpecError(f"{table}: no case")
    print("\n".join(show(errors)))
    return 0 if median_error(errors) <= PROMISE else 1


def rows_of(run: RunFolder) -> list[Seen]:
    """The single passes of a run on a GPU, whose device time is known."""
    rows = [
        _seen(at_card_clock(record)) for record in run.records() if record.case.phase is not Phase.GENERATE
    ]
    found = [row for row in rows if row is not None]
    if not found:
        raise SpecError(f"{run!r} holds no pass with a device time")
    return found


def _seen(record: Record) -> Seen | None:
    measured, ceilings = record.measurement, record.ceilings
    memory, counts = measured.memory, measured.counts
    if measured.device_s is None or ceilings is None or counts is None or memory.peak_bytes is None:
        return None
    return Seen(
        gpu=record.gpu,
        model=record.model.name,
        case=record.case.id,
        device_s=median(measured.device_s),
        wall_s=median(measured.wall_s),
        launches=counts.launches or 0,
        peak_bytes=memory.peak_bytes,
        predicted_bytes=memory.predicted_bytes,
        copy_bytes_per_s=ceilings.copy_bytes_per_s,
        read_bytes_per_s=ceilings.read_bytes_per_s,
        fp16_flops_per_s=ceilings.gemm_flops_per_s["fp16"],
        launch_gap_s=ceilings.launch_gap_s or 0.0,
        gpu_uuid=record.soft.gpu_uuid or "?",
        commit=record.commit + ("+" if record.dirty else ""),
    )


def write(rows: Iterable[Seen], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Seen)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read(path: Path) -> list[Seen]:
    """The rows of a table. Raises SpecError for a file that is none."""
    lines = read_small(path, what="a table of measured cases").splitlines()
    try:
        return [
            Seen(**{f.name: _typed(f.type, row[f.name]) for f in fields(Seen)})
            for row in csv.DictReader(lines)
        ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise SpecError(f"{path}: not a table of measured cases: {error!r}") from error


def _typed(kind: object, value: str) -> str | int | float:
    number = {str: str, int: int, float: float}[kind](value)  # type: ignore[index]
    if not isinstance(number, str) and not 0 <= number < inf:
        raise ValueError(f"{value!r} is no size, time or rate")
    return number  # type: ignore[no-any-return]


def error_of(seen: Seen) -> Error:
    """The estimate of a measured case, by the ceilings of its run."""
    case = Case.parse(seen.case, model=seen.model)
    shape = case_pass(case)
    guess = estimate(
        load_model(seen.model),
        shape,
        find_precision(case.precision),
        find_gpu(seen.gpu),
        ceilings=seen.ceilings,
    )
    return Error(seen=seen, estimate=guess)


def median_error(errors: Sequence[Error]) -> float:
    return median(abs(error.device) for error in errors)


def show(errors: Sequence[Error]) -> list[str]:
    """A Markdown table, and its summary."""
    lines = [
        "| model | case | device | estimate | error | wall | estimate | launches | memory |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for e in errors:
        wall = e.estimate.wall
        lines.append(
            f"| {e.seen.model} | {e.seen.case.removesuffix('-eager')} | {text.seconds(e.seen.device_s)} "
            f"| {text.seconds(e.estimate.device.typical_s)} | {e.device:+.1%} | {text.seconds(e.seen.wall_s)} "
            f"| {text.seconds(wall.low_s)} to {text.seconds(wall.high_s)} "
            f"| {e.seen.launches} ({e.estimate.launches}) | {e.memory:+.1%} |"
        )
    within = sum(e.device_within for e in errors), sum(e.wall_within for e in errors)
    largest, wall = max(abs(e.device) for e in errors), median(abs(e.wall) for e in errors)
    device = f"median absolute error {median_error(errors):.1%}, largest {largest:.1%}"
    lines += [
        "",
        f"{len(errors)} cases. Device time: {device}; {within[0]} within their interval.",
        f"Wall: median absolute error {wall:.1%}; {within[1]} within their interval.",
        f"Peak memory: {max(abs(e.memory) for e in errors):.1%} off at most.",
    ]
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
