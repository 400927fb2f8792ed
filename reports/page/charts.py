"""What the page draws as small charts: scaling by batch and by length, and the nights."""

import datetime as dt
from collections.abc import Sequence

from analytic import text
from baselines.history.series import Point
from reports.advice import BatchStep
from reports.nights import CaseNights, steps_words
from reports.page.chart import Chart, Line, Mark, chart
from reports.scaling import LengthSeries


def batch_charts(series: Sequence[Sequence[BatchStep]]) -> tuple[Chart, ...]:
    """Tokens/s by batch: as measured, and as foretold from the smallest."""
    return tuple(_batches(steps) for steps in series)


def _batches(steps: Sequence[BatchStep]) -> Chart:
    first = steps[0].derived
    case, base = first.record.case, first.tokens_per_s
    lines = [
        Line(
            name="measured",
            kind="wall",
            points=[(s.derived.record.case.batch, s.derived.tokens_per_s) for s in steps],
        )
    ]
    foretold = [(s.derived.record.case.batch, base * s.predicted) for s in steps if s.predicted is not None]
    if len(foretold) > 1:
        lines.append(Line(name="foretold from the smallest", kind="bound", points=foretold))
    last = steps[-1]
    title = f"{case.phase.value}, length {case.length:,}, {case.precision} {case.engine}"
    return chart(
        lines,
        title=title,
        words=(
            f"{title}: tokens/s by batch, {text.tokens_per_s(base)} at batch {case.batch}, "
            f"{text.tokens_per_s(last.derived.tokens_per_s)} at batch {last.derived.record.case.batch}"
        ),
        said_x=lambda batch: f"batch {batch:g}",
        said_y=lambda rate: f"{text.tokens_per_s(rate)} tokens/s",
    )


def length_charts(series: Sequence[LengthSeries]) -> tuple[Chart, ...]:
    """Bound, device time and wall by length."""
    return tuple(_lengths(one) for one in series)


def _lengths(series: LengthSeries) -> Chart:
    members = series.members
    device = [(d.record.case.length, d.device_s) for d in members if d.device_s is not None]
    lines = [
        Line(name="wall", kind="wall", points=[(d.record.case.length, d.wall_s) for d in members]),
        *([Line(name="device", kind="device", points=device)] if device else []),
        Line(name="bound", kind="bound", points=[(d.record.case.length, d.bound.lower_s) for d in members]),
    ]
    ends = (members[0], members[-1])
    said = " to ".join(f"{text.seconds(d.wall_s)} at {d.record.case.length:,}" for d in ends)
    return chart(
        lines,
        title=series.name,
        words=f"{series.name}: wall, device time and bound by length; the wall goes from {said} tokens",
        said_x=lambda length: f"{length:,.0f} tokens",
        said_y=text.seconds,
    )


def night_charts(cases: Sequence[CaseNights]) -> tuple[Chart, ...]:
    """A case's time over the nights, its change points, and the anchor."""
    return tuple(_nights(one) for one in cases)


def _nights(one: CaseNights) -> Chart:
    points = one.series.points
    lines = [Line(name=one.clock, kind="device", points=[(_day(p), p.median_s) for p in points])]
    if one.anchor_s is not None:
        ends = (_day(points[0]), _day(points[-1]))
        lines.append(Line(name="anchor", kind="anchor", points=[(day, one.anchor_s) for day in ends]))
    latest = text.seconds(points[-1].median_s)
    return chart(
        lines,
        title=one.series.case,
        words=(
            f"{one.series.case}: {one.clock} in {one.series.nights} nights, {points[0].night} to {points[-1].night}, "
            f"latest {latest}; change points: {steps_words(one)}"
        ),
        said_x=lambda day: dt.date.fromordinal(int(day)).isoformat(),
        said_y=text.seconds,
        marks=[
            Mark(x=step.night.toordinal(), words=f"{step.night} {text.signed_percent(step.size)}")
            for step in one.trend.steps
        ],
        logarithmic=False,
    )


def _day(point: Point) -> float:
    return float(point.night.toordinal())
