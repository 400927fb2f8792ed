"""The power table as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from baselines.power.rivals import RIVALS
from baselines.power.scenarios import Row, Target

_HEADERS = ("noise", "question", "roofgate", "promised", "", *RIVALS)


def table(rows: Sequence[Row]) -> str:
    """Markdown, its columns in line."""
    cells = [_HEADERS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(line, widths) for line in cells]
    rule = "| " + " | ".join("-" * (w - 1) + (":" if i > 1 else "-") for i, w in enumerate(widths)) + " |"
    return "\n".join((lines[0], rule, *lines[1:]))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if column > 1 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join(aligned)} |"


def _cells(row: Row) -> tuple[str, ...]:
    verdict = "" if row.target is None else "holds" if row.held else "BROKEN"
    rivals = (_rate(row.rivals.get(name), row) for name in RIVALS)
    return (row.noise, row.question, _rate(row.gate, row), _promise(row.target, row), verdict, *rivals)


def _promise(target: Target | None, row: Row) -> str:
    if target is None:
        return ""
    return f"{'≤' if target.at_most else '≥'} {_rate(target.limit, row)}"


def _rate(value: float | None, row: Row) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.2f} %" if row.share else f"{value:.2f}"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One object a row; rates are shares, or means where `share` is false."""
    return [
        {
            "noise": row.noise,
            "question": row.question,
            "of": row.of,
            "share": row.share,
            "roofgate": row.gate,
            "promised": None
            if row.target is None
            else {"at_most" if row.target.at_most else "at_least": row.target.limit},
            "held": row.held,
            "rivals": dict(row.rivals),
        }
        for row in rows
    ]
