"""Where device time goes, operator by operator: table, spreadsheet, and points under the roofs."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analytic import Ceilings, Phase, Roofs, text
from baselines.attribution import OperatorShare, attributed_share, by_operator, summed
from baselines.derived import CPU, Derived
from baselines.kernel_names import short_names
from reports.advice import representative
from reports.labels import Spot, place_labels
from reports.markdown import code, escape, table
from reports.palette import DPI, FAINT, INK, PHASE_MARKERS, PRECISION_COLOURS, heading

NOT_MEASURED = "Device time by operator: not measured"

_HEADERS = ("operator", "launches", "device", "share", "bound", "of the roof", "of the ceiling")
_KERNEL_HEADERS = ("kernel", "launches", "device", "share")
_KERNELS = 12

# Marker sizes in points: of nothing, and what the whole of the device time adds.
_LEAST_PT, _WHOLE_PT = 4.0, 22.0


def chosen(derived: Sequence[Derived]) -> tuple[Derived, ...]:
    """The decode and the prefill case that are shown in full: as advice chooses, among
    those with kernels, and rather one whose kernels are told apart by operator."""
    found = []
    for phase in (Phase.DECODE, Phase.PREFILL):
        with_kernels = [d for d in derived if d.record.measurement.kernels]
        attributed = [d for d in with_kernels if by_operator(d, None)]
        one = representative(attributed, phase) or representative(with_kernels, phase)
        if one is not None:
            found.append(one)
    return tuple(found)


def operator_tables(derived: Sequence[Derived], ceilings: Ceilings | None) -> str:
    """The chosen cases in full, each with the share of device time that was
    attributed; or why there are none."""
    cases = chosen(derived)
    if not cases:
        notes = dict.fromkeys(n for d in derived if (n := d.record.measurement.device_note))
        return f"{NOT_MEASURED}{': ' if notes else ''}{escape('; '.join(notes))}."
    return "\n\n".join(_case(d, ceilings) for d in cases)


def _case(derived: Derived, ceilings: Ceilings | None) -> str:
    name = code(derived.record.case.id)
    shares = by_operator(derived, ceilings)
    if not shares:
        return f"### {name}, by kernel\n\n{_kernel_table(derived)}"
    known = text.percent(attributed_share(derived.record.measurement), digits=2)
    unrun = [share.name for share in shares if not share.launches]
    lines = [f"### {name}, by operator", f"{known} of device time attributed to an operator."]
    lines.append(table(_HEADERS, [_row(share) for share in shares if share.launches]))
    if unrun:
        lines.append(f"Compulsory, but no kernel ran in a range of their own: {', '.join(unrun)}.")
    return "\n\n".join(lines)


def _row(share: OperatorShare) -> tuple[str, ...]:
    return (
        escape(share.name),
        f"{share.launches:,}",
        text.seconds(share.device_s),
        text.percent(share.share),
        text.seconds(share.bound_s),
        text.percent(share.fraction),
        text.percent(share.ceiling_fraction),
    )


def _kernel_table(derived: Derived) -> str:
    """The kernels that take longest, for an engine that runs no modules."""
    kernels = derived.record.measurement.kernels or ()
    short = short_names({kernel.name for kernel in kernels})
    times = sorted(((sum(k.device_s) / len(k.device_s), k) for k in kernels), key=lambda item: -item[0])
    total_s = sum(time_s for time_s, _ in times)
    rows = [
        (escape(short[k.name]), f"{k.launches:,}", text.seconds(time_s), text.percent(time_s / total_s))
        for time_s, k in times[:_KERNELS]
    ]
    rest = times[_KERNELS:]
    if rest:
        rest_s = sum(time_s for time_s, _ in rest)
        launches = sum(k.launches for _, k in rest)
        rows.append(
            (f"{len(rest)} others", f"{launches:,}", text.seconds(rest_s), text.percent(rest_s / total_s))
        )
    return table(_KERNEL_HEADERS, rows)


def frame(derived: Sequence[Derived], ceilings: Ceilings | None) -> pd.DataFrame:
    """One line for each operator of every case, in SI units: for spreadsheets. Empty
    where no case was attributed."""
    rows = [
        {
            "case": d.record.case.id,
            "operator": share.name,
            "launches": share.launches,
            "device_s": share.device_s,
            "bound_s": share.bound_s,
            "ceiling_s": share.ceiling_s,
            "flops": share.flops,
            "bytes": share.bytes,
        }
        for d in derived
        for share in by_operator(d, ceilings)
    ]
    return pd.DataFrame(rows)


def draw(derived: Sequence[Derived], ceilings: Ceilings | None) -> Figure | None:
    """FLOP/s over operational intensity of each operator that multiplies, of the chosen
    cases; a marker's area grows with its share of device time. None where no case
    was attributed.

    Artists carry gids: "roof:fp16", "ceiling:fp16", and "operator:<case id>:<operator>".
    Operators without FLOPs or bytes of their own have no place under a roof: they are
    named below with their shares.
    """
    cases = [(d, by_operator(d, ceilings)) for d in chosen(derived)]
    cases = [(d, shares) for d, shares in cases if shares]
    points = [(d, s) for d, shares in cases for s in shares if s.flops and s.bytes and s.device_s]
    if not points:
        return None
    figure = Figure(figsize=(11, 7.2), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    dtypes = tuple(dict.fromkeys(op.math for d, _ in cases for op in d.costs[0].operators if op.flops))
    _limits(axes, points, dtypes)
    _roofs(axes, cases[0][0], ceilings, dtypes)
    for d, share in points:
        _point(axes, d, share)
    axes.set_xlabel(f"operational intensity, FLOP/byte\n{_without(cases)}", fontsize=8)
    axes.set_ylabel("FLOP/s")
    axes.yaxis.set_major_formatter(lambda value, _: text.scaled(value, "FLOP/s"))
    axes.grid(visible=True, which="major", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    title, subtitle = heading([d for d, _ in cases])
    figure.suptitle(f"Operators: {title}", fontsize=13, color=INK)
    axes.set_title(subtitle, fontsize=8, color=FAINT)
    _legend(axes, [d for d, _ in cases])
    figure.draw_without_rendering()
    spots = [
        Spot(
            x=_intensity(share),
            y=_rate(share),
            family=f"{share.name} ",
            detail=text.percent(share.share, digits=0),
            colour=_colour(d),
        )
        for d, share in points
    ]
    place_labels(axes, spots, obstacles=[])
    return figure


Point = tuple[Derived, OperatorShare]


def _intensity(share: OperatorShare) -> float:
    return share.flops / share.bytes


def _rate(share: OperatorShare) -> float:
    return share.flops / share.device_s


def _colour(derived: Derived) -> str:
    return PRECISION_COLOURS[derived.record.case.precision]


def _limits(axes: Axes, points: Sequence[Point], dtypes: Sequence[str]) -> None:
    roofs = points[0][0].roofs
    intensities = [_intensity(share) for _, share in points] + [roofs.ridge_point(dtype) for dtype in dtypes]
    rates = [_rate(share) for _, share in points]
    axes.set_xlim(min(intensities) / 4, max(intensities) * 4)
    axes.set_ylim(min(rates) / 4, max([*rates, *(roofs.peak(dtype) for dtype in dtypes)]) * 6)


def _roofs(axes: Axes, derived: Derived, ceilings: Ceilings | None, dtypes: Sequence[str]) -> None:
    """The datasheet's lines, where there is a datasheet, and the measured ones."""
    if derived.record.gpu != CPU:
        for dtype in dtypes:
            _line(axes, derived.roofs, dtype, gid=f"roof:{dtype}", source="datasheet")
    if ceilings is not None:
        for dtype in dtypes:
            if dtype in ceilings.gemm_flops_per_s:
                _line(axes, ceilings.roofs, dtype, gid=f"ceiling:{dtype}", source="measured")


def _line(axes: Axes, roofs: Roofs, dtype: str, *, gid: str, source: str) -> None:
    measured = source == "measured"
    left, right = axes.get_xlim()
    peak = roofs.peak(dtype)
    axes.plot(
        [left, roofs.ridge_point(dtype), right],
        [roofs.attainable(left, dtype), peak, peak],
        color=FAINT if measured else INK,
        linewidth=1.1 if measured else 1.8,
        linestyle=(0, (5, 3)) if measured else "solid",
        gid=gid,
        label=(
            f"{dtype} {source}: {text.scaled(peak, 'FLOP/s')} over {text.scaled(roofs.bytes_per_s, 'B/s')}"
        ),
        zorder=2,
    )


def _point(axes: Axes, derived: Derived, share: OperatorShare) -> None:
    case = derived.record.case
    axes.plot(
        [_intensity(share)],
        [_rate(share)],
        marker=PHASE_MARKERS[case.phase],
        markersize=_LEAST_PT + _WHOLE_PT * math.sqrt(share.share),
        color=_colour(derived),
        alpha=0.75,
        gid=f"operator:{case.id}:{share.name}",
        zorder=4,
    )


def _without(cases: Sequence[tuple[Derived, Sequence[OperatorShare]]]) -> str:
    """The operators that have no point, with their shares of device time."""
    said = []
    for d, shares in cases:
        left = [
            f"{s.name} {text.percent(s.share)}" for s in shares if s.device_s and not (s.flops and s.bytes)
        ]
        if left:
            said.append(f"{d.record.case.id}, without FLOPs of their own: {', '.join(left)}")
    return "\n".join(said)


def _legend(axes: Axes, cases: Sequence[Derived]) -> None:
    style: dict[str, Any] = {"fontsize": 8, "framealpha": 0.9, "edgecolor": "#DDDDDD"}
    axes.add_artist(axes.legend(loc="upper left", **style))
    marks = [
        Line2D(
            [],
            [],
            marker=PHASE_MARKERS[d.record.case.phase],
            linestyle="none",
            color=_colour(d),
            label=f"{d.record.case.id}: {text.seconds(_kernels_s(d))} of kernels",
        )
        for d in cases
    ]
    axes.legend(
        handles=marks, loc="lower right", title="size: share of device time", title_fontsize=8, **style
    )


def _kernels_s(derived: Derived) -> float:
    times = summed(derived.record.measurement.kernels or ())
    return sum(times) / len(times)
