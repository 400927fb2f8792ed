"""The roofline: what the machine allows, and where each case landed under it."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analytic import Case, Ceilings, Phase, text
from baselines.derived import Derived
from reports.labels import Spot, place_labels
from reports.layout import settled
from reports.palette import DPI, FAINT, GRID, INK, PHASE_MARKERS, PRECISION_COLOURS, heading, precisions
from reports.roofs import along, draw_roofs


def draw(derived: Sequence[Derived], ceilings: Ceilings | None) -> Figure:
    """FLOP/s over operational intensity, both logarithmic.

    Every prefill and decode case has its bound (a bar on the roof, at its true
    intensity), its rate by device time (filled) and by the wall (faint; where
    there is no device time, hollow and in its place). generate() mixes passes
    of unlike intensity and is in the other figure. Artists carry gids:
    "roof:fp16", "ridge:fp16", "ceiling:fp16", "ceiling-ridge:fp16",
    "bound:<case id>", "measured:<case id>", "wall:<case id>".
    """
    figure = Figure(figsize=(11, 7.2), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    points = [d for d in derived if d.record.case.phase is not Phase.GENERATE]
    _limits(axes, derived, points)
    lines = draw_roofs(axes, derived[0], ceilings, _dtypes(derived), named_at="end")
    for d in points:
        _point(axes, d)
    axes.set_xlabel("operational intensity, FLOP/byte")
    axes.set_ylabel("FLOP/s")
    axes.yaxis.set_major_formatter(lambda value, _: text.scaled(value, "FLOP/s"))
    axes.grid(visible=True, which="major", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    title, subtitle = heading(derived)
    figure.suptitle(f"Roofline: {title}", fontsize=13, color=INK)
    axes.set_title(subtitle, fontsize=8, color=FAINT)
    _legends(axes, points, lines)
    settled(figure)  # names are no part of the layout
    _labels(axes, points, lines)
    return figure


def _rate(derived: Derived) -> float:
    """FLOP/s over the gating time, of which the wall takes the place."""
    return derived.bound.flops / derived.gating_s


def _dtypes(derived: Sequence[Derived]) -> tuple[str, ...]:
    """The compute dtypes in use: each has a roof of its own."""
    return tuple(dict.fromkeys(d.costs[0].math for d in derived))


def _limits(axes: Axes, derived: Sequence[Derived], points: Sequence[Derived]) -> None:
    ridges = [d.bound.ridge_point for d in derived]
    intensities = [d.bound.intensity for d in points] + ridges
    peaks = [d.roofs.peak(d.costs[0].math) for d in derived]
    lows = [d.bound.flops / d.wall_s for d in points] or [min(peaks) / 1e3]
    axes.set_xlim(min(intensities) / 4, max(intensities) * 4)
    axes.set_ylim(min(lows) / 4, max([*peaks, *(_rate(d) for d in points)]) * 6)


def _point(axes: Axes, derived: Derived) -> None:
    case, bound = derived.record.case, derived.bound
    colour, marker = PRECISION_COLOURS[case.precision], PHASE_MARKERS[case.phase]
    wall_rate = bound.flops / derived.wall_s
    lowest = min(wall_rate, _rate(derived))
    x = [bound.intensity]
    axes.plot(
        x * 2, [bound.attainable_flops_per_s, lowest], color=colour, linewidth=0.6, alpha=0.35, zorder=3
    )
    axes.plot(
        x,
        [bound.attainable_flops_per_s],
        marker="_",
        markersize=10,
        markeredgewidth=1.8,
        color=colour,
        gid=f"bound:{case.id}",
        zorder=4,
    )
    if derived.device_s is not None:
        axes.plot(
            x,
            [wall_rate],
            marker=marker,
            markersize=5,
            color=colour,
            alpha=0.3,
            gid=f"wall:{case.id}",
            zorder=4,
        )
    axes.plot(
        x,
        [_rate(derived)],
        marker=marker,
        markersize=7,
        color=colour,
        markerfacecolor="white" if derived.device_s is None else colour,
        gid=f"measured:{case.id}",
        zorder=5,
    )


def _labels(axes: Axes, points: Sequence[Derived], lines: Sequence[Line2D]) -> None:
    several = len({d.record.case.engine for d in points}) > 1
    spots = [
        Spot(
            x=d.bound.intensity,
            y=_rate(d),
            family=_family(d.record.case, engine=several),
            detail=str(d.record.case.length),
            colour=PRECISION_COLOURS[d.record.case.precision],
        )
        for d in points
    ]
    others = [
        (d.bound.intensity, rate)
        for d in points
        for rate in (d.bound.attainable_flops_per_s, d.bound.flops / d.wall_s)
    ]
    others += [point for line in lines for point in along(axes, line)]
    place_labels(axes, spots, obstacles=others)


def _family(case: Case, *, engine: bool) -> str:
    """What a point is called but for its length; its engine where there are several."""
    size = f"b{case.batch} {'c' if case.phase is Phase.DECODE else 'p'}"
    return f"{case.engine} {size}" if engine else size


def _legends(axes: Axes, derived: Sequence[Derived], lines: Sequence[Line2D]) -> None:
    """The lines with their numbers above the slope; what marks mean, below it."""
    style: dict[str, Any] = {"fontsize": 8, "framealpha": 0.9, "edgecolor": GRID}
    axes.add_artist(axes.legend(handles=lines, loc="upper left", **style))
    phases = tuple(dict.fromkeys(d.record.case.phase for d in derived))
    timed = {d.device_s is not None for d in derived}
    entries = [Line2D([], [], color=PRECISION_COLOURS[p], linewidth=4, label=p) for p in precisions(derived)]
    entries += [_mark(PHASE_MARKERS[p], p.value) for p in phases]
    if True in timed:
        entries += [
            _mark("o", "filled: by device time"),
            _mark("o", "faint: by wall time", alpha=0.3, size=5),
        ]
    if False in timed:
        entries.append(_mark("o", "hollow: by wall time, no device time", face="white"))
    entries.append(_mark("_", "bound at its intensity", size=10))
    axes.legend(handles=entries, loc="lower right", **style)


def _mark(marker: str, label: str, *, alpha: float = 1.0, face: str = INK, size: float = 7) -> Line2D:
    return Line2D(
        [],
        [],
        marker=marker,
        linestyle="none",
        color=INK,
        markerfacecolor=face,
        markersize=size,
        alpha=alpha,
        label=label,
    )
