"""Small charts of lines, in the page's own coordinates: drawn by the template, without JavaScript."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The chart's own units, and the room around the plot for its letters.
WIDTH, HEIGHT = 320.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 8.0, 8.0, 18.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points in data coordinates; `kind` is its CSS class, `name` its words in the key."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line at `x`, such as a change point, with its words."""

    x: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A line as drawn: "x,y x,y …", and its points."""

    name: str
    kind: str
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    x: float
    y: float
    anchor: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What the template draws. `words` say what it shows."""

    title: str
    words: str
    strokes: tuple[Stroke, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]

    @property
    def view(self) -> str:
        return f"0 0 {WIDTH:g} {HEIGHT:g}"

    @property
    def floor(self) -> float:
        return HEIGHT - _BOTTOM

    @property
    def roof(self) -> float:
        return _TOP


def chart(
    lines: Sequence[Line],
    *,
    title: str,
    words: str,
    said_x: Callable[[float], str],
    said_y: Callable[[float], str],
    marks: Sequence[Mark] = (),
    logarithmic: bool = True,
) -> Chart:
    """`said_x` and `said_y` put a value into words, for the ends of the axes. Both axes are
    logarithmic, or both linear; a vertical axis starts nowhere in particular, and says where.
    Raises ValueError without any point."""
    scale = math.log if logarithmic else float
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    across = _axis(xs, scale, start=_LEFT, end=WIDTH - _RIGHT)
    up = _axis(ys, scale, start=HEIGHT - _BOTTOM - 4, end=_TOP + 6)
    strokes = tuple(
        Stroke(
            name=line.name,
            kind=line.kind,
            points=(placed := tuple((across(x), up(y)) for x, y in line.points)),
            path=" ".join(f"{x:g},{y:g}" for x, y in placed),
        )
        for line in lines
    )
    labels = (
        Label(x=_LEFT, y=_TOP - 6, anchor="start", words=f"{said_y(max(ys))} at the top"),
        Label(x=WIDTH - _RIGHT, y=_TOP - 6, anchor="end", words=f"{said_y(min(ys))} at the foot"),
        Label(x=across(min(xs)), y=HEIGHT - 6, anchor="start", words=said_x(min(xs))),
        *(
            (Label(x=across(max(xs)), y=HEIGHT - 6, anchor="end", words=said_x(max(xs))),)
            if max(xs) > min(xs)
            else ()
        ),
    )
    placed_marks = tuple(Mark(x=across(mark.x), words=mark.words) for mark in marks)
    return Chart(title=title, words=words, strokes=strokes, marks=placed_marks, labels=labels)


def _axis(
    values: Sequence[float], scale: Callable[[float], float], *, start: float, end: float
) -> Callable[[float], float]:
    """From a value to a coordinate; all in the middle where they are one."""
    low, high = scale(min(values)), scale(max(values))

    def place(value: float) -> float:
        share = (scale(value) - low) / (high - low) if high > low else 0.5
        return round(start + share * (end - start), 2)

    return place
