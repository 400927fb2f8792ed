"""The cases of each lane, read from cases.toml."""

import tomllib
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from analytic import Case, Phase

TABLE = Path(__file__).parent / "cases.toml"
LANES = ("cpu", "gpu")


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def default_model(lane: str) -> str:
    return _table()[lane]["model"]


@cache
def lane_cases(lane: str, *, model: str | None = None) -> tuple[Case, ...]:
    """Every case of a lane, on its own model or on the one named."""
    table = _table()[lane]
    return tuple(
        Case(
            model=model or table["model"],
            phase=Phase(block["phase"]),
            batch=batch,
            length=length,
            output_len=block.get("output_len"),
            precision=precision,
            why=block["why"],
        )
        for precision in table["precisions"]
        for block in table["cases"]
        for batch, length in product(block["batches"], block["lengths"])
    )
