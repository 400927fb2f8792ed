"""Names of points, placed so that they do not cover one another: beside each, or in a column."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from reports.palette import FAINT

# Points of one family nearer than this (in points, 1/72 inch) share one name.
CLUSTER_PT = 28.0

# From a name in a column to the next, and from the axes to the column, in points.
_LINE_PT, _COLUMN_PT = 11.0, 14.0

# What a marker takes up, and the air around a name, in points.
_MARKER_PT, _AIR_PT = 7.0, 3.0

# Where a name may go, in points from its marker: the nearest free place wins.
_PLACES = tuple(
    (dx * reach, dy * reach)
    for reach in (1.0, 1.8, 2.8, 4.0, 5.5)
    for dx, dy in ((9, 0), (-9, 0), (9, -10), (-9, -10), (9, 10), (-9, 10), (0, -15), (0, 15))
)

Side = Literal["left", "center", "right"]

# Left, bottom, right and top in pixels. Plain numbers: places are tried by the ten
# thousand, and matplotlib's own boxes are arrays.
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A point in data coordinates and what to call it: points of one `family`
    and colour may share a name, and `detail` tells them apart."""

    x: float
    y: float
    family: str
    detail: str
    colour: str


def place_labels(axes: Axes, spots: Sequence[Spot], *, obstacles: Sequence[tuple[float, float]]) -> None:
    """Names every spot. `obstacles` are other points, in data coordinates, that
    a name should not cover. Needs the final limits and layout: call it last."""
    frame = _extent(axes.get_window_extent())
    points = [axes.transData.transform(p) for p in (*((s.x, s.y) for s in spots), *obstacles)]
    scale = axes.figure.dpi / 72
    half = _MARKER_PT * scale / 2
    taken = [(x - half, y - half, x + half, y + half) for x, y in points]
    for cluster in _clusters(axes, spots):
        label = _label(axes, cluster)
        size = label.get_window_extent()
        x, y = axes.transData.transform((cluster[0].x, cluster[0].y))
        place, box = _free((x, y), size, taken, frame, scale=scale)
        _move(label, place)
        left, bottom, right, top = box
        air = _AIR_PT * scale
        taken.append((left - air, bottom - air, right + air, top + air))


def list_labels(axes: Axes, spots: Sequence[Spot]) -> None:
    """Names every spot in a column to the right of the axes, the highest at the top, each
    near the height of its spot, with a line to it. Needs the final limits and the
    final height: a layout may still give the column its width."""
    ordered = sorted(spots, key=lambda spot: -spot.y)
    frame, scale = axes.get_window_extent(), axes.figure.dpi / 72
    heights = [(axes.transData.transform((s.x, s.y))[1] - frame.y0) / scale for s in ordered]
    for spot, height in zip(ordered, spread(heights, gap=_LINE_PT, top=frame.height / scale), strict=True):
        axes.annotate(
            f"{spot.family}{spot.detail}",
            (spot.x, spot.y),
            xytext=(1 + _COLUMN_PT * scale / frame.width, height * scale / frame.height),
            textcoords="axes fraction",
            fontsize=7.5,
            color=spot.colour,
            verticalalignment="center",
            arrowprops={
                "arrowstyle": "-",
                "color": spot.colour,
                "linewidth": 0.5,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
            zorder=3,
        )


def spread(heights: Sequence[float], *, gap: float, top: float) -> list[float]:
    """The places nearest to falling `heights` that lie `gap` apart, between 0 and `top`;
    closer together where there is no room for that."""
    gap = min(gap, top / max(1, len(heights) - 1))
    # With the gaps taken out, names that would meet share the mean of their heights.
    blocks: list[list[float]] = []
    for i, height in enumerate(heights):
        blocks.append([height + i * gap])
        while len(blocks) > 1 and fmean(blocks[-1]) > fmean(blocks[-2]):
            last = blocks.pop()
            blocks[-1] += last
    places = [fmean(block) for block in blocks for _ in block]
    least = (len(heights) - 1) * gap
    return [min(max(place, least), top) - i * gap for i, place in enumerate(places)]


def _clusters(axes: Axes, spots: Sequence[Spot]) -> list[list[Spot]]:
    """Points of one family, each near the one before it, in the order given."""
    clusters: list[list[Spot]] = []
    for spot in spots:
        here = axes.transData.transform((spot.x, spot.y))
        for cluster in clusters:
            last = axes.transData.transform((cluster[-1].x, cluster[-1].y))
            if (spot.family, spot.colour) == (cluster[0].family, cluster[0].colour) and (
                max(abs(here - last)) <= CLUSTER_PT * axes.figure.dpi / 72
            ):
                cluster.append(spot)
                break
        else:
            clusters.append([spot])
    return clusters


def _label(axes: Axes, cluster: Sequence[Spot]) -> Annotation:
    first, details = cluster[0], dict.fromkeys(s.detail for s in cluster)
    label = axes.annotate(
        f"{first.family}{', '.join(details)}",
        (first.x, first.y),
        xytext=(0, 0),
        textcoords="offset points",
        fontsize=7,
        color=first.colour,
        verticalalignment="center",
        arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 3},
        zorder=6,
    )
    label.set_in_layout(False)
    return label


def _alignment(place: tuple[float, float]) -> Side:
    if place[0] == 0:
        return "center"
    return "left" if place[0] > 0 else "right"


def _move(label: Annotation, place: tuple[float, float]) -> None:
    label.set_position(place)
    label.set_horizontalalignment(_alignment(place))


def _extent(box: Bbox) -> Box:
    return (box.x0, box.y0, box.x1, box.y1)


def _box(anchor: tuple[float, float], size: Bbox, place: tuple[float, float], *, scale: float) -> Box:
    """Where a text of that size lies, in pixels, when put at `place`
    (points, of `scale` pixels each)."""
    x, y = anchor[0] + place[0] * scale, anchor[1] + place[1] * scale
    x -= {"left": 0.0, "right": size.width, "center": size.width / 2}[_alignment(place)]
    y -= size.height / 2
    return (x, y, x + size.width, y + size.height)


def _free(
    anchor: tuple[float, float], size: Bbox, taken: Sequence[Box], frame: Box, *, scale: float
) -> tuple[tuple[float, float], Box]:
    """The first place at which a text covers nothing, and its box there; without any the
    one at which it covers least."""
    boxes = [_box(anchor, size, place, scale=scale) for place in _PLACES]
    reach = _around(boxes)
    near = [other for other in taken if _common(reach, other)]
    best, least = (_PLACES[0], boxes[0]), math.inf
    for place, box in zip(_PLACES, boxes, strict=True):
        covered = _covered(box, near, frame)
        if covered < least:
            best, least = (place, box), covered
        if not covered:
            break
    return best


def _covered(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """Pixels² of `box` that cover something or leave the frame."""
    outside = _common(box, box) - _common(box, frame)
    return 4 * outside + sum(_common(box, other) for other in taken)


def _around(boxes: Sequence[Box]) -> Box:
    """The least box that holds them all."""
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _common(one: Box, other: Box) -> float:
    """Pixels² that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
