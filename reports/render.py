"""A run's folder, drawn: figures, summary and table, written whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from baselines.codec import FormatError, write_text
from baselines.derived import Derived
from baselines.judging import derive_run
from baselines.run import RunFolder, run_ceilings
from baselines.verdict import Verdict
from reports import breakdown, roofline
from reports.summary import summarise
from reports.table import NOT_JUDGED

ROOFLINE, BREAKDOWN, SUMMARY, CSV = "roofline.png", "breakdown.png", "summary.md", "records.csv"


def render(folder: RunFolder, verdicts: Sequence[Verdict]) -> Path:
    """Draws a run into its own folder and returns the path of its summary.

    Needs no GPU: everything is computed from the stored records. Without
    `verdicts` the run is shown as not judged. Raises FormatError for a folder
    that is no run's or measured nothing, SpecError for a record that the model
    cannot bound.
    """
    info, records = folder.info(), folder.records()
    if not records:
        why = dict.fromkeys(p.not_run for p in info.planned if p.not_run)
        raise FormatError(f"{folder.path}: no case was measured{': ' if why else ''}{'; '.join(why)}")
    derived, ceilings = derive_run(records), run_ceilings(records)
    _save(roofline.draw(derived, ceilings), folder.path / ROOFLINE)
    _save(breakdown.draw(derived, ceilings), folder.path / BREAKDOWN)
    write_text(frame(derived, verdicts).to_csv(index=False, lineterminator="\n"), folder.path / CSV)
    summary = folder.path / SUMMARY
    text = summarise(info, derived, verdicts, ceilings=ceilings, images=(ROOFLINE, BREAKDOWN))
    write_text(text, summary)
    return summary


def frame(derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One line a record, in SI units, medians of the samples: for spreadsheets."""
    status = {v.case: v.status.value for v in verdicts}
    rows = pd.DataFrame([_row(d) for d in derived])
    rows["status"] = [status.get(d.record.case.id, NOT_JUDGED) for d in derived]
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
