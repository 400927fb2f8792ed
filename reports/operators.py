"""Where device time goes, operator by operator: table, spreadsheet, and points under the roofs."""

import math
import textwrap
from collections.abc import Sequence
from statistics import median

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from analytic import Ceilings, Phase, text
from baselines.attribution import OperatorShare, attributed_share, by_operator, summed, told_apart
from baselines.derived import Derived
from baselines.markdown import code, escape, table
from reports.advice import representative
from reports.kernels import by_kernel, kernel_table
from reports.labels import Spot, list_labels
from reports.layout import laid_out, settled
from reports.palette import DPI, FAINT, GRID, INK, PHASE_MARKERS, PRECISION_COLOURS, crown, heading, plain
from reports.roofs import draw_roofs

NOT_MEASURED = "Device time by operator: not measured"

_HEADERS = ("operator", "device ops", "device", "share", "bound", "of the roof", "of the ceiling")

# An operator that beats its measured ceiling by more than this is said to.
_OVER = 0.05

# Marker sizes in points: of nothing, and what the whole of the device time adds.
_LEAST_PT, _WHOLE_PT = 4.0, 22.0

# The view is as wide as the operators from this share of device time on need it,
# with so much room (factors) beside and above them.
_WORTH_SEEING, _BESIDE, _ABOVE = 0.01, 4.0, 1.3
# How far apart an axis' ends may be (a factor) for all digits to be ticks, and for 1, 2
# and 5: close up, powers of ten alone might leave it without a number.
_TICKS = ((5.0, range(1, 10)), (300.0, (1, 2, 5)), (math.inf, (1,)))
# Letters in a line of the text below.
_WRAP = 84

# A smaller share of device time would read 0.0 %.
NAMED_FROM = 0.0005


def chosen(derived: Sequence[Derived]) -> tuple[Derived, ...]:
    """The decode and the prefill case that are shown in full: as advice chooses, among
    those whose kernels are told apart by operator."""
    attributed = [d for d in derived if told_apart(d.record.measurement)]
    found = (representative(attributed, phase) for phase in (Phase.DECODE, Phase.PREFILL))
    return tuple(one for one in found if one is not None)


def operator_tables(derived: Sequence[Derived], ceilings: Ceilings | None) -> str:
    """The chosen cases in full, each with the share of device time that was attributed,
    then those of engines that are shown by kernel; or why there are none."""
    told = [_case(d, ceilings) for d in chosen(derived)]
    told += [f"### {code(d.record.case.id)}, by kernel\n\n{kernel_table(d)}" for d in by_kernel(derived)]
    if not told:
        notes = dict.fromkeys(n for d in derived if (n := d.record.measurement.device_note))
        return f"{NOT_MEASURED}{': ' if notes else ''}{escape('; '.join(notes))}."
    return "\n\n".join(told)


def _case(derived: Derived, ceilings: Ceilings | None) -> str:
    name = code(derived.record.case.id)
    shares = by_operator(derived, ceilings)
    known = text.percent(attributed_share(derived.record.measurement), digits=2)
    unrun = [share.name for share in shares if not share.device_ops]
    lines = [f"### {name}, by operator", f"{known} of device time attributed to an operator."]
    lines.append(table(_HEADERS, [_row(share) for share in shares if share.device_ops]))
    if unrun:
        lines.append(
            f"Compulsory, but no kernel ran in a range of their own: {', '.join(map(escape, unrun))}."
        )
    return "\n\n".join(filter(None, (*lines, _faster(shares))))


def _faster(shares: Sequence[OperatorShare]) -> str:
    """In words, what was faster than the measured ceilings, from which no verdict is drawn;
    empty where nothing was."""
    over = [
        f"{escape(s.name)} {text.percent(s.ceiling_fraction)}"
        for s in shares
        if (s.ceiling_fraction or 0.0) > 1 + _OVER
    ]
    if not over:
        return ""
    return (
        f"Faster than the measured ceilings allow: {', '.join(over)} of the ceiling. Bytes that the bound "
        "counts may have come from the L2 cache, or the ceiling was measured at another size than the "
        "operator's: shown, not judged."
    )


def _row(share: OperatorShare) -> tuple[str, ...]:
    return (
        escape(share.name),
        f"{share.device_ops:,}",
        text.seconds(share.device_s),
        text.percent(share.share),
        text.seconds(share.bound_s),
        text.percent(share.fraction),
        text.percent(share.ceiling_fraction),
    )


def frame(derived: Sequence[Derived], ceilings: Ceilings | None) -> pd.DataFrame:
    """One line for each operator of every case, in SI units: for spreadsheets. Empty
    where no case was attributed."""
    rows = [
        {
            "case": d.record.case.id,
            "operator": share.name,
            "device_ops": share.device_ops,
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
    """FLOP/s over operational intensity of each operator that multiplies, a panel for
    each chosen case, close up; a marker's area grows with its share of device time.
    None where no case was attributed.

    Artists carry gids: those of draw_roofs in each panel, such as "roof:fp16", and
    "operator:<case id>:<operator>". Operators without FLOPs or bytes of their own have
    no place under a roof: they are named below with their shares, as are those whose
    small share does not warrant a wider view.
    """
    cases = [(d, by_operator(d, ceilings)) for d in chosen(derived)]
    cases = [(d, shares) for d, shares in cases if any(map(_placed, shares))]
    if not cases:
        return None
    figure = Figure(figsize=(1.5 + 6.2 * len(cases), 6.8), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    title, subtitle = heading([d for d, _ in cases])
    crown(figure, f"Operators: {title}", subtitle)
    panels = figure.subplots(1, len(cases), squeeze=False)[0]
    lines: dict[str, Line2D] = {}
    for axes, (d, shares) in zip(panels, cases, strict=True):
        lines |= {str(line.get_label()): line for line in _panel(axes, d, shares, ceilings)}
    panels[0].set_ylabel("FLOP/s")
    size = Line2D([], [], marker="o", linestyle="none", color=FAINT, label="area: share of device time")
    figure.legend(
        handles=[*lines.values(), size], loc="outside lower center", ncols=2, fontsize=8, frameon=False
    )
    laid_out(figure)
    for axes, (d, shares) in zip(panels, cases, strict=True):
        list_labels(axes, [_spot(d, share) for share in shares if _placed(share) and _seen(axes, share)])
    return settled(figure)  # which gives the names their width


def _panel(
    axes: Axes, derived: Derived, shares: Sequence[OperatorShare], ceilings: Ceilings | None
) -> list[Line2D]:
    """One case; returns the lines of its roofs."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    _limits(axes, derived, [share for share in shares if _placed(share)])
    dtypes = tuple(dict.fromkeys(op.math for op in derived.costs[0].operators if op.flops))
    lines = draw_roofs(axes, derived, ceilings, dtypes, named_at="start")
    for share in filter(_placed, shares):
        _point(axes, derived, share)
    below = [
        _wrapped(f"{what}: {_shares(left)}")
        for what, left in (
            ("without FLOPs of their own", [s for s in shares if not _placed(s)]),
            ("outside of the view", [s for s in shares if _placed(s) and not _seen(axes, s)]),
        )
        if _shares(left)
    ]
    axes.set_xlabel("\n".join(("operational intensity, FLOP/byte", *map(plain, below))), fontsize=8)
    axes.set_title(
        f"{derived.record.case.id}: {text.seconds(_kernels_s(derived))} of kernels", fontsize=9, color=INK
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: text.scaled(value, "FLOP/s"))
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_locator(LogLocator(subs=next(subs for most, subs in _TICKS if high / low <= most)))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    return lines


def _placed(share: OperatorShare) -> bool:
    """Whether it ran and has a place under a roof."""
    return bool(share.flops and share.bytes and share.device_s)


def _intensity(share: OperatorShare) -> float:
    return share.flops / share.bytes


def _rate(share: OperatorShare) -> float:
    return share.flops / share.device_s


def _colour(derived: Derived) -> str:
    return PRECISION_COLOURS[derived.record.case.precision]


def _limits(axes: Axes, derived: Derived, placed: Sequence[OperatorShare]) -> None:
    """Around the operators that take time, and the roofs above them."""
    seen = [share for share in placed if share.share >= _WORTH_SEEING] or placed
    intensities, rates = [_intensity(share) for share in seen], [_rate(share) for share in seen]
    roofs = derived.roofs
    dtypes = {op.math for op in derived.costs[0].operators if op.flops}
    above = [roofs.attainable(intensity, dtype) for intensity in intensities for dtype in dtypes]
    axes.set_xlim(min(intensities) / _BESIDE, max(intensities) * _BESIDE)
    axes.set_ylim(min(rates) / _ABOVE, max([*rates, *above]) * _ABOVE)


def _seen(axes: Axes, share: OperatorShare) -> bool:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return left < _intensity(share) < right and low < _rate(share) < high


def _point(axes: Axes, derived: Derived, share: OperatorShare) -> None:
    case = derived.record.case
    axes.plot(
        [_intensity(share)],
        [_rate(share)],
        marker=PHASE_MARKERS[case.phase],
        markersize=_LEAST_PT + _WHOLE_PT * math.sqrt(share.share),
        markeredgecolor="white",
        markeredgewidth=0.6,
        color=_colour(derived),
        alpha=0.75,
        gid=f"operator:{case.id}:{share.name}",
        zorder=4,
    )


def _spot(derived: Derived, share: OperatorShare) -> Spot:
    return Spot(
        x=_intensity(share),
        y=_rate(share),
        family=f"{share.name} ",
        detail=text.percent(share.share),
        colour=_colour(derived),
    )


def _shares(shares: Sequence[OperatorShare]) -> str:
    """Names with shares of device time; without those that would read 0.0 %."""
    return ", ".join(f"{s.name} {text.percent(s.share)}" for s in shares if s.share >= NAMED_FROM)


def _wrapped(said: str) -> str:
    """On lines of _WRAP letters, a number beside its unit."""
    bound = said.replace(" %", "\N{NO-BREAK SPACE}%")
    return textwrap.fill(bound, width=_WRAP).replace("\N{NO-BREAK SPACE}", " ")


def _kernels_s(derived: Derived) -> float:
    return median(summed(derived.record.measurement.kernels or ()))
