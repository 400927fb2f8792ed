"""What a step does, counted, and the conditions it ran under, as one compact table."""

from collections.abc import Callable, Sequence
from statistics import median

from analytic import text
from baselines.card_clock import steps_above
from baselines.derived import Derived
from baselines.markdown import code, table
from baselines.record import Counts, Measurement
from baselines.validity import power_capped_share


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


def _held_clock(measurement: Measurement) -> str | None:
    """The median, and how many steps ran above the card's own."""
    clocks = measurement.held_clock_mhz
    if not clocks:
        return None
    fast = steps_above(measurement)
    too_fast = f", {fast} of {len(clocks)} above {measurement.sm_clock_max_mhz:,} MHz" if fast else ""
    return f"{median(clocks):,.0f} MHz{too_fast}"


def _capped(measurement: Measurement) -> str | None:
    seen = measurement.conditions
    share = power_capped_share(seen) if seen else None
    return None if share is None else text.percent(share)


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
    ("SM clock held at", _held_clock),
    ("power-capped", _capped),
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
