"""How large slowdowns truly are: the table that true_size.py writes and slowdowns.py reads."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path

from analytic import SpecError, text
from analytic.small_file import read_small
from baselines import markdown


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueSize:
    """What a slowdown adds to a case's step, in seconds: the median over the rounds
    of slowed less plain, and its quartiles, None where nothing was timed. `base_s` is
    the plain step's replay; None where none was, as `how` says."""

    slowdown: str
    case: str
    base_s: float | None
    added_s: float | None
    low_s: float | None
    high_s: float | None
    how: str

    @property
    def resolved(self) -> bool:
        """Whether it is known, and larger than its own noise if it was timed."""
        return self.added_s is not None and (self.low_s is None or self.low_s > 0)

    @property
    def noise_s(self) -> float:
        """From the median to the farther quartile."""
        if self.added_s is None or self.low_s is None or self.high_s is None:
            return 0.0
        return max(self.added_s - self.low_s, self.high_s - self.added_s)


#: By slowdown and case.
Sizes = Mapping[tuple[str, str], TrueSize]


def as_csv(found: Sequence[TrueSize]) -> str:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [field.name for field in fields(TrueSize)]
    writer.writerow(names)
    for size in found:
        values = (getattr(size, name) for name in names)
        writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def read_sizes(path: Path) -> Sizes:
    """Raises SpecError for a file that is no such table."""
    lines = read_small(path, what="a table of true sizes").splitlines()
    try:
        found = [_read(row) for row in csv.DictReader(lines)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise SpecError(f"{path}: not a table of true sizes: {error!r}") from error
    return {(size.slowdown, size.case): size for size in found}


def _read(row: dict[str, str]) -> TrueSize:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return TrueSize(
        slowdown=row["slowdown"],
        case=row["case"],
        base_s=number("base_s"),
        added_s=number("added_s"),
        low_s=number("low_s"),
        high_s=number("high_s"),
        how=row["how"],
    )


def table(found: Sequence[TrueSize]) -> str:
    headers = ("slowdown", "case", "replay", "added", "of replay", "quartiles", "how")
    rows = []
    for size in found:
        share = size.added_s / size.base_s if size.added_s is not None and size.base_s else None
        middle = "–" if size.low_s is None else f"{text.seconds(size.low_s)} to {text.seconds(size.high_s)}"
        if size.added_s is not None and not size.resolved:
            middle = f"not resolved: {middle}"
        rows.append(
            [
                markdown.code(size.slowdown),
                markdown.code(size.case),
                text.seconds(size.base_s),
                text.seconds(size.added_s),
                text.percent(share, digits=2),
                middle,
                markdown.escape(size.how),
            ]
        )
    return markdown.table(headers, rows, left=(0, 1, 6))
