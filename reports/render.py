"""A run's folder, drawn: page, summary, figures and tables, each written whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from baselines.derived import Derived
from baselines.files import write_text
from baselines.history.place import NO_HISTORY, Place
from baselines.history.since import write_since
from baselines.run import RunFolder
from baselines.store import DEFAULT_STORE, Store
from baselines.verdict import Verdict
from reports import kernels, operators
from reports.benchmark_json import device_benchmarks
from reports.figures import figures_of
from reports.page.page import page
from reports.report import Report, report_of
from reports.summary import summarise
from reports.table import NOT_JUDGED

ROOFLINE, BREAKDOWN, OPERATORS = "roofline.png", "breakdown.png", "operators.png"
SUMMARY, PAGE, CSV = "summary.md", "report.html", "records.csv"
OPERATORS_CSV, KERNELS_CSV = "operators.csv", "kernels.csv"
BENCHMARKS = "benchmark-device.json"


def render(
    folder: RunFolder,
    verdicts: Sequence[Verdict],
    store: Store | None = None,
    *,
    history: Place = NO_HISTORY,
) -> Path:
    """Draws a run into its own folder and returns the path of its page.

    Needs no GPU: everything is computed from the stored records, and what moved
    from the baselines in `store` (by default those of the working directory) that
    the verdicts were given by; the nights before from the `history`. Without
    `verdicts` the run is shown as not judged. The operators are drawn where kernels
    were told apart. Raises FormatError for a folder that is no run's or measured
    nothing, SpecError for a record that the model cannot bound, OSError where a file
    cannot be written.
    """
    return write_report(folder, report_of(folder, verdicts, store or Store(DEFAULT_STORE), history=history))


def write_report(folder: RunFolder, report: Report) -> Path:
    """As `render`, of a report that is there. Raises OSError where a file cannot be written."""
    if report.nights.read:
        write_since(folder.path, {p.case: p.since for s in report.standings for p in s.problems if p.since})
    figures = figures_of(report)
    drawn = {ROOFLINE: figures.roofline, BREAKDOWN: figures.breakdown, OPERATORS: figures.operators}
    pictures = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in pictures.items():
        _save(figure, folder.path / name)
    _save_table(frame(report.derived, report.verdicts), folder.path / CSV)
    for rows, name in (
        (operators.frame(report.derived, report.ceilings), OPERATORS_CSV),
        (kernels.frame(report.derived), KERNELS_CSV),
    ):
        if not rows.empty:
            _save_table(rows, folder.path / name)
    if (tracked := device_benchmarks(report.info, report.derived, report.verdicts)) is not None:
        write_text(tracked, folder.path / BENCHMARKS)
    write_text(summarise(report, images=tuple(pictures)), folder.path / SUMMARY)
    write_text(page(report, figures), folder.path / PAGE)
    return folder.path / PAGE


def frame(derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One line a record, in SI units, medians of the samples: for spreadsheets. Device
    time is at the card's own clock, and as it ran; `sees_device` and `sees_wall` are the
    least slowdowns, as shares, that the verdict would have seen."""
    given = {v.case: v for v in verdicts}
    found = [given.get(d.record.case.id) for d in derived]
    rows = pd.DataFrame([_row(d) for d in derived])
    rows["sees_device"] = [None if v is None else v.sees_device for v in found]
    rows["sees_wall"] = [None if v is None else v.sees_wall for v in found]
    rows["status"] = [NOT_JUDGED if v is None else v.status.value for v in found]
    return rows.astype({"output_len": "Int64"})


def _row(derived: Derived) -> dict[str, object]:
    record, case, bound = derived.record, derived.record.case, derived.bound
    measured = derived.ceiling_bound
    return {
        "run": record.run,
        "commit": record.commit,
        "gpu": record.gpu,
        "device": record.hard.device,
        "model": case.model,
        "case": case.id,
        "phase": case.phase.value,
        "batch": case.batch,
        "length": case.length,
        "output_len": case.output_len,
        "precision": case.precision,
        "engine": case.engine,
        "flops": bound.flops,
        "bytes": bound.bytes,
        "intensity": bound.intensity,
        "ridge_point": bound.ridge_point,
        "lower_s": bound.lower_s,
        "serial_s": bound.serial_s,
        "ceiling_lower_s": None if measured is None else measured.lower_s,
        "device_s": derived.device_s,
        "device_as_run_s": derived.as_run_s,
        "wall_s": derived.wall_s,
        "device_fraction": derived.device_fraction,
        "wall_fraction": derived.wall_fraction,
        "host_share": derived.host_share,
        "regime": derived.regime,
        "mfu": derived.mfu,
        "mbu": derived.mbu,
        "tokens_per_s": derived.tokens_per_s,
        "first_token_s": derived.first_token_s,
        "tpot_s": derived.tpot_s,
    }


def _save_table(rows: pd.DataFrame, path: Path) -> None:
    write_text(rows.to_csv(index=False, lineterminator="\n"), path)


def _save(figure: Figure, path: Path) -> None:
    """Stores a PNG: beside its place, then renamed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            figure.savefig(file, format="png")
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
