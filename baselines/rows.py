"""The rows of a TOML file that someone writes by hand: tables of one name, nothing else."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from analytic import Case
from baselines.codec import FormatError, from_json

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """What a row is of: `gpu` is a registry key or "cpu"; `model` and `cases` are shell
    patterns over model names and case ids."""

    gpu: str
    model: str
    cases: str

    def covers(self, gpu: str, case: Case) -> bool:
        return gpu == self.gpu and fnmatchcase(case.model, self.model) and fnmatchcase(case.id, self.cases)


def read_rows(
    kind: type[T], path: Path, *, name: str, check: Callable[[T], str], defaults: Mapping[str, Any] = {}
) -> tuple[T, ...]:
    """Every [[name]] table as a `kind`. `check` says in words what is wrong with a row,
    nothing where it is sound. Raises FormatError that names the file and the row."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"{path}: {error}") from error
    rows = table.pop(name, [])
    if table or not isinstance(rows, list):
        raise FormatError(f"{path}: [[{name}]] tables are needed, and nothing else")
    found = []
    for number, row in enumerate(rows, start=1):
        where = f"{path}: {name} {number}"
        one = _row(kind, row, where, defaults)
        if wrong := check(one):
            raise FormatError(f"{where}: {wrong}")
        found.append(one)
    return tuple(found)


def _row(kind: type[T], row: Any, where: str, defaults: Mapping[str, Any]) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if isinstance(row, dict):
        if wrong := sorted(set(row) - known):
            raise FormatError(f"{where}: unknown key {wrong[0]!r}; known: {', '.join(sorted(known))}")
        row = {**defaults, **row}
    return from_json(kind, row, where=where)
