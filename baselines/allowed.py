"""The changes of counts that someone has declared, so that they are no regression."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from analytic import Case
from baselines.codec import FormatError, from_json
from baselines.counts import WORDS, CountChange

TABLE = Path(__file__).parent / "allowed.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A count of some cases may grow by up to `by` a step. `gpu` is a registry key or
    "cpu"; `model` and `cases` are shell patterns over model names and case ids."""

    gpu: str
    model: str
    cases: str
    count: str
    by: int
    reason: str

    def covers(self, gpu: str, case: Case, change: CountChange) -> bool:
        return (
            gpu == self.gpu
            and fnmatchcase(case.model, self.model)
            and fnmatchcase(case.id, self.cases)
            and change.name == self.count
            and change.growth <= self.by
        )


def read_allowed(path: Path) -> tuple[Allowed, ...]:
    """Every change that a file declares. Raises FormatError that names the file and the row."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"{path}: {error}") from error
    rows = table.pop("allow", [])
    if table or not isinstance(rows, list):
        raise FormatError(f"{path}: [[allow]] tables are needed, and nothing else")
    return tuple(_allowed(row, f"{path}: allow {i}") for i, row in enumerate(rows, start=1))


def _allowed(row: Any, where: str) -> Allowed:
    known = {f.name for f in fields(Allowed)}
    if isinstance(row, dict) and (wrong := sorted(set(row) - known)):
        raise FormatError(f"{where}: unknown key {wrong[0]!r}; known: {', '.join(sorted(known))}")
    found = from_json(Allowed, row, where=where)
    if found.count not in WORDS:
        raise FormatError(f"{where}: count {found.count!r} is none of {', '.join(WORDS)}")
    if found.by < 1:
        raise FormatError(f"{where}: by is {found.by}; a growth of at least 1 a step is needed")
    if not found.reason.strip():
        raise FormatError(f"{where}: reason is empty; say why the count may grow")
    return found


@cache
def allowed_changes() -> tuple[Allowed, ...]:
    """Those of allowed.toml."""
    return read_allowed(TABLE)


def undeclared(
    rows: Sequence[Allowed], changes: Sequence[CountChange], *, gpu: str, case: Case
) -> list[CountChange]:
    """The counts that grew, and that nobody has declared."""
    return [c for c in changes if c.growth > 0 and find_allowed(rows, gpu=gpu, case=case, change=c) is None]


def find_allowed(rows: Sequence[Allowed], *, gpu: str, case: Case, change: CountChange) -> Allowed | None:
    return next((row for row in rows if row.covers(gpu, case, change)), None)
