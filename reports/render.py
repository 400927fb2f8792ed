"""A run's folder, drawn: figures, summary and table, written whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from baselines.codec import FormatError, one_line
from baselines.derived import Derived
from baselines.files import write_text
from baselines.judging import derive_run
from baselines.run import RunFolder, run_ceilings
from baselines.store import DEFAULT_STORE, Store
from baselines.verdict import Verdict
from reports import breakdown, kernels, operators, roofline
from reports.benchmark_json import device_benchmarks
from reports.moved import explanations
from reports.summary import summarise
from reports.table import NOT_JUDGED

ROOFLINE, BREAKDOWN, OPERATORS = "roofline.png", "breakdown.png", "operators.png"
SUMMARY, CSV = "summary.md", "records.csv"
OPERATORS_CSV, KERNELS_CSV = "operators.csv", "kernels.csv"
BENCHMARKS = "benchmark-device.json"


def render(folder: RunFolder, verdicts: Sequence[Verdict], store: Store | None = None) -> Path:
    """Draws a run into its own folder and returns the path of its summary.

    Needs no GPU: everything is computed from the stored records, and what moved
    from the baselines in `store` (by default those of the working directory) that
    the verdicts were given by. Without `verdicts` the run is shown as not judged.
    The operators are drawn where kernels were told apart. Raises FormatError for a
    folder that is no run's or measured nothing, SpecError for a record that the
    model cannot bound, OSError where a file cannot be written.
    """
    info, records = folder.info(), folder.records()
    if not records:
        why = dict.fromkeys(p.not_run for p in info.planned if p.not_run)
        raise FormatError(
            f"{folder.path}: no case was measured{': ' if why else ''}{one_line('; '.join(why))}"
        )
    derived, ceilings = derive_run(records, of=folder), run_ceilings(records)
    figures = {ROOFLINE: roofline.draw(derived, ceilings), BREAKDOWN: breakdown.draw(derived, ceilings)}
    if (by_operator := operators.draw(derived, ceilings)) is not None:
        figures[OPERATORS] = by_operator
    for name, figure in figures.items():
        _save(figure, folder.path / name)
    _save_table(frame(derived, verdicts), folder.path / CSV)
    for rows, name in (
        (operators.frame(derived, ceilings), OPERATORS_CSV),
        (kernels.frame(derived), KERNELS_CSV),
    ):
        if not rows.empty:
            _save_table(rows, folder.path / name)
    if (tracked := device_benchmarks(info, derived, verdicts)) is not None:
        write_text(tracked, folder.path / BENCHMARKS)
    summary = folder.path / SUMMARY
    text = summarise(
        info,
        derived,
        verdicts,
        ceilings=ceilings,
        images=tuple(figures),
        moved=explanations(derived, verdicts, store or Store(DEFAULT_STORE)),
    )
    write_text(text, summary)
    return summary


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
