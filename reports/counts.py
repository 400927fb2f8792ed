"""What a step does, counted, as one compact table."""

from collections.abc import Callable, Sequence

from analytic import text
from baselines.derived import Derived
from baselines.markdown import code, table
from baselines.record import Counts, Measurement


def _counted(name: str) -> Callable[[Measurement], str | None]:
    def cell(measurement: Measurement) -> str | None:
        value = getattr(measurement.counts or Counts(), name)
        return None if value is None else f"{value:,}"

    return cell


def _allocated(measurement: Measurement) -> str | None:
    value = measurement.counts.allocated_bytes if measurement.counts else None
    return None if value is None else text.scaled(value, "B")


def _energy(measurement: Measurement) -> str | None:
    """Per timed round."""
    if measurement.energy_j is None:
        return None
    return text.scaled(measurement.energy_j / len(measurement.wall_s), "J", digits=3)


def _prepared(measurement: Measurement) -> str | None:
    return None if measurement.prepare_s is None else text.seconds(measurement.prepare_s)


def _held(measurement: Measurement) -> str | None:
    """Before each profiled step."""
    return None if measurement.hold_s is None else text.seconds(measurement.hold_s)


_COLUMNS: tuple[tuple[str, Callable[[Measurement], str | None]], ...] = (
    ("launches", _counted("launches")),
    ("ATen ops", _counted("aten_ops")),
    ("Python calls", _counted("python_calls")),
    ("copies", _counted("copies")),
    ("syncs", _counted("syncs")),
    ("allocated", _allocated),
    ("energy/step", _energy),
    ("prepare", _prepared),
    ("held", _held),
)


def counts_table(derived: Sequence[Derived]) -> str:
    """One row a case; without the columns, and the cases, of which nothing is known."""
    cells = {d.record.case.id: [cell(d.as_run.measurement) for _, cell in _COLUMNS] for d in derived}
    known = [i for i in range(len(_COLUMNS)) if any(row[i] is not None for row in cells.values())]
    rows = [
        (code(case_id), *(row[i] or "–" for i in known))
        for case_id, row in cells.items()
        if any(cell is not None for cell in row)
    ]
    return table(("case", *(_COLUMNS[i][0] for i in known)), rows) if rows else ""
