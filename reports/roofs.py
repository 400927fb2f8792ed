"""The roofs in a figure: the datasheet's lines, and the measured ones under them."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analytic import Ceilings, Roofs, text
from baselines.derived import CPU, Derived
from reports.palette import FAINT, INK

End = Literal["start", "end"]

# From a point of along() to the next, in points.
_STEP_PT = 5.0


def draw_roofs(
    axes: Axes, derived: Derived, ceilings: Ceilings | None, dtypes: Sequence[str], *, named_at: End
) -> list[Line2D]:
    """The datasheet's lines, where there is a datasheet, and the measured ones, across
    the axes; returned with their numbers as labels. `named_at` is the end of the flat
    part at which their names stand. Needs the final limits.

    Artists carry gids: "roof:fp16", "ridge:fp16", "ceiling:fp16", "ceiling-ridge:fp16".
    """
    drawn = []
    if derived.record.gpu != CPU:
        drawn += [_line(axes, derived.roofs, dtype, named_at, measured=False) for dtype in dtypes]
    if ceilings is not None:
        within = [dtype for dtype in dtypes if dtype in ceilings.gemm_flops_per_s]
        drawn += [_line(axes, ceilings.roofs, dtype, named_at, measured=True) for dtype in within]
    return drawn


def along(axes: Axes, line: Line2D) -> list[tuple[float, float]]:
    """Points of a line in data coordinates, near enough for a name to see it between them."""
    corners = axes.transData.transform(line.get_xydata())
    found: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        steps = int(math.hypot(x1 - x0, y1 - y0) * 72 / axes.figure.dpi / _STEP_PT) + 1
        between = [(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps) for i in range(steps + 1)]
        found += [(float(x), float(y)) for x, y in axes.transData.inverted().transform(between)]
    return found


def _line(axes: Axes, roofs: Roofs, dtype: str, named_at: End, *, measured: bool) -> Line2D:
    """The memory line and a dtype's flat one, which meet in the ridge point, be it
    within the limits or not."""
    kind, source, colour = ("ceiling", "measured", FAINT) if measured else ("roof", "datasheet", INK)
    ridge, peak = roofs.ridge_point(dtype), roofs.peak(dtype)
    left, right = axes.get_xlim()
    start, end = min(left, ridge), max(right, ridge)
    (line,) = axes.plot(
        [start, ridge, end],
        [roofs.attainable(start, dtype), peak, peak],
        color=colour,
        linewidth=1.1 if measured else 1.8,
        linestyle=(0, (5, 3)) if measured else "solid",
        gid=f"{kind}:{dtype}",
        label=(
            f"{dtype} {source}: {text.scaled(peak, 'FLOP/s')} over {text.scaled(roofs.bytes_per_s, 'B/s')}, "
            f"ridge point {ridge:.1f} FLOP/B"
        ),
        zorder=2,
    )
    ridge_gid = f"ceiling-ridge:{dtype}" if measured else f"ridge:{dtype}"
    axes.plot([ridge], [peak], marker="D", markersize=5, color=colour, gid=ridge_gid, zorder=3)
    if ridge < right:
        axes.annotate(
            f"{dtype} {source}",
            (right if named_at == "end" else max(left, ridge), peak),
            xytext=(-4 if named_at == "end" else 6, -3 if measured else 2),
            textcoords="offset points",
            ha="right" if named_at == "end" else "left",
            va="top" if measured else "bottom",
            fontsize=7.5,
            color=colour,
        )
    return line
