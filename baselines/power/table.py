"""The power table as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from baselines.markdown import table
from baselines.power.kinds import Row, Target
from baselines.power.rivals import RIVALS

_HEADERS = ("noise", "question", "roofgate", "promised", "", *RIVALS)


def power_table(rows: Sequence[Row]) -> str:
    return table(_HEADERS, [_cells(row) for row in rows], left=(0, 1))


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
