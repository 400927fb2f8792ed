"""The changes of counts that someone has declared, so that they are no regression."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analytic import Case
from baselines.counts import WORDS, CountChange
from baselines.rows import CaseRow, read_rows

TABLE = Path(__file__).parent / "allowed.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed(CaseRow):
    """A count of some cases may grow by up to `by` a step."""

    count: str
    by: int
    reason: str

    def allows(self, gpu: str, case: Case, change: CountChange) -> bool:
        return self.covers(gpu, case) and change.name == self.count and change.growth <= self.by


def read_allowed(path: Path) -> tuple[Allowed, ...]:
    """Every change that a file declares. Raises FormatError that names the file and the row."""
    return read_rows(Allowed, path, name="allow", check=_wrong)


def _wrong(row: Allowed) -> str:
    if row.count not in WORDS:
        return f"count {row.count!r} is none of {', '.join(WORDS)}"
    if row.by < 1:
        return f"by is {row.by}; a growth of at least 1 a step is needed"
    return "" if row.reason.strip() else "reason is empty; say why the count may grow"


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
    return next((row for row in rows if row.allows(gpu, case, change)), None)
