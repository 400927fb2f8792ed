"""The GPU's state while each case ran, by NVML: clocks, temperature, power, what held the clock down;
and what of the measuring itself is to be known: a warm-up that did not settle, a first attempt."""

from collections.abc import Callable, Sequence
from statistics import median

from analytic import text
from baselines.card_clock import steps_above
from baselines.derived import Derived
from baselines.markdown import code, escape, table
from baselines.record import Conditions, GpuState, Measurement
from baselines.validity import POWER_CAP, power_capped_share

# A record's word for it (perf_tests/warmup.py).
_BUDGET = "budget"

_NOT_SEEN = "The state of the device was not measured."


def conditions_text(derived: Sequence[Derived]) -> str:
    """One row a case, without columns of which nothing is known; what holds for all below
    it. "not measured" where nobody looked: a CPU, or a GPU without NVML."""
    measured = [(d.record.case.id, d.as_run.measurement) for d in derived]
    seen = [m.conditions for _, m in measured if m.conditions is not None]
    cells = {case_id: [cell(m) for _, cell in _COLUMNS] for case_id, m in measured}
    known = [i for i in range(len(_COLUMNS)) if any(row[i] for row in cells.values())]
    if not known:
        return _NOT_SEEN
    rows = [(code(case_id), *(row[i] or "–" for i in known)) for case_id, row in cells.items()]
    alone = all(m.conditions is not None and m.conditions.foreign == () for _, m in measured)
    below = _common(seen, alone=alone) if seen else _NOT_SEEN
    return f"{table(('case', *(_COLUMNS[i][0] for i in known)), rows)}\n\n{below}".rstrip()


def _range(value: Callable[[GpuState], float | None], unit: str) -> Callable[[Measurement], str]:
    """The lowest and the highest reading, in the unit."""

    def cell(measurement: Measurement) -> str:
        states = measurement.conditions.states if measurement.conditions else ()
        read = [v for state in states if (v := value(state)) is not None]
        ends = dict.fromkeys(f"{end:,.0f}" for end in (min(read), max(read))) if read else {}
        return f"{' to '.join(ends)} {unit}" if ends else ""

    return cell


def _held_clock(measurement: Measurement) -> str:
    """The median while the device was held before a profiled step, and how many steps ran
    above the card's own clock."""
    clocks = measurement.held_clock_mhz
    if not clocks:
        return ""
    fast = steps_above(measurement)
    too_fast = f", {fast} of {len(clocks)} above {measurement.sm_clock_max_mhz:,} MHz" if fast else ""
    return f"{median(clocks):,.0f} MHz{too_fast}"


def _capped(measurement: Measurement) -> str:
    share = power_capped_share(measurement.conditions) if measurement.conditions else None
    return "" if share is None else text.percent(share)


def _slowed(measurement: Measurement) -> str:
    """What else held the clock down, and for how long."""
    slowed = (measurement.conditions.slowed_s or {}) if measurement.conditions else {}
    held = {reason: time_s for reason, time_s in slowed.items() if time_s > 0 and reason != POWER_CAP}
    return escape(", ".join(f"{reason} {text.seconds(time_s)}" for reason, time_s in held.items()))


def _foreign(measurement: Measurement) -> str:
    return escape("; ".join((measurement.conditions.foreign or ()) if measurement.conditions else ()))


def _retried(measurement: Measurement) -> str:
    return escape("; ".join(measurement.retried))


def _unsettled(measurement: Measurement) -> str:
    """Whether the warm-up's limit came before its times and the clock had settled: for the host's
    noise, or because the case was not warm."""
    if measurement.warmup_stop != _BUDGET:
        return ""
    return f"not settled in {text.counted(len(measurement.warmup_s), 'step')}"


_COLUMNS: tuple[tuple[str, Callable[[Measurement], str]], ...] = (
    ("SM clock", _range(lambda state: state.sm_clock_mhz, "MHz")),
    ("SM clock held at", _held_clock),
    ("memory clock", _range(lambda state: state.memory_clock_mhz, "MHz")),
    ("temperature", _range(lambda state: state.temperature_c, "°C")),
    ("power", _range(lambda state: state.power_w, "W")),
    ("power-capped", _capped),
    ("held down by", _slowed),
    ("others on it", _foreign),
    ("warm-up", _unsettled),
    ("measured again for", _retried),
)


def _common(seen: Sequence[Conditions], *, alone: bool) -> str:
    """What does not change while a run lasts, each once."""
    said = []
    for name, value in (
        ("highest SM clock", lambda c: c.sm_clock_max_mhz and f"{c.sm_clock_max_mhz:,} MHz"),
        ("highest memory clock", lambda c: c.memory_clock_max_mhz and f"{c.memory_clock_max_mhz:,} MHz"),
        ("persistence mode", lambda c: None if c.persistence is None else ("on" if c.persistence else "off")),
        ("PCIe", lambda c: c.pcie),
    ):
        values = dict.fromkeys(v for c in seen if (v := value(c)))
        if values:
            said.append(f"{name} {', '.join(values)}")
    if alone:
        said.append("alone on the GPU")
    return f"{escape('; '.join(said))}." if said else ""
