"""What JUnit carries of a verdict besides its words: numbers that a dashboard can draw."""

from analytic import Case
from baselines.derived import Derived
from baselines.plugin import PerfState
from baselines.verdict import Verdict


def derived_of(case: Case, perf: PerfState) -> Derived | None:
    """The case as the session judged it; None where it left no record, or nothing was judged."""
    derived = perf.judged.derived if perf.judged else ()
    return next((d for d in derived if d.record.case.id == case.id), None)


def junit_properties(verdict: Verdict, case: Case, derived: Derived | None) -> list[tuple[str, str]]:
    """The properties of a verdict's item, each with the unit in its name, in SI units and all
    digits; fractions and shares are of 1. What is not known has none: a zero, or a word,
    would be drawn."""
    found: list[tuple[str, object]] = [
        ("verdict", verdict.status.value),
        ("case", case.id),
        ("model", case.model),
        ("precision", case.precision),
        ("engine", case.engine),
    ]
    if derived is not None:
        found += [
            ("gpu", derived.record.gpu),
            ("commit", derived.record.tree),
            ("device_s", derived.device_s),
            ("wall_s", derived.wall_s),
            ("lower_s", derived.bound.lower_s),
            ("device_fraction", derived.device_fraction),
            ("wall_fraction", derived.wall_fraction),
            ("regime", derived.regime),
        ]
    found += [("sees_device", verdict.sees_device), ("sees_wall", verdict.sees_wall)]
    return [(name, str(value)) for name, value in found if value is not None]
