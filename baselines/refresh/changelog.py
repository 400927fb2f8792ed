"""A refresh's line in the CHANGELOG: what it is of, by how much it moved, and why."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from analytic import SpecError, text
from baselines.files import read_bytes, write_text
from baselines.refresh.table import Replaced

UNRELEASED = "## [Unreleased]"
CHANGED = "### Changed"
_WIDTH = 116


def changelog_line(changes: Sequence[Replaced]) -> str:
    """One bullet of Markdown, wrapped."""
    new = changes[0].new
    commits = ", ".join(dict.fromkeys(c.new.sessions[-1].commit for c in changes))
    cases = text.counted(len(changes), "case")
    sessions = ", ".join(str(n) for n in sorted({len(c.new.sessions) for c in changes}))
    said = (
        f"- Baselines of {new.model} on {new.gpu} ({new.hard.device}): {cases}, {sessions} sessions each, at "
        f"{commits}; {_moved(changes)}."
    )
    reasons = [c.new.reason for c in changes if c.new.reason]
    if reasons:
        slower = text.counted(len(reasons), "case is", "cases are")
        said += f" {slower} worse than before, accepted: {'; '.join(dict.fromkeys(reasons))}."
    return textwrap.fill(
        said, width=_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _moved(changes: Sequence[Replaced]) -> str:
    """The middle change of device time, else of the wall, of the cases that were compared."""
    compared = [c.share for c in changes if c.share is not None]
    for metric in ("device", "wall"):
        if shares := [share for name, share in compared if name == metric]:
            of = f" of {len(shares)} compared" if len(shares) < len(changes) else ""
            return f"{metric} time {text.signed_percent(median(shares))} in the middle{of}"
    return "nothing that they could be compared with"


def with_line(path: Path, line: str) -> str:
    """The file's text with `line` as the last under Unreleased, Changed, which is made where
    it is missing. Raises SpecError for a file without Unreleased, OSError where there is none."""
    try:
        lines = read_bytes(path).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: {error}; a changelog in UTF-8 is needed") from error
    if UNRELEASED not in lines:
        raise SpecError(f"{path}: holds no line {UNRELEASED!r}, under which a refresh is noted")
    start = lines.index(UNRELEASED) + 1
    end = next((i for i in range(start, len(lines)) if lines[i].startswith("## ")), len(lines))
    if CHANGED not in lines[start:end]:
        return "\n".join([*lines[:start], "", CHANGED, "", line, *lines[start:]])
    heading = lines.index(CHANGED, start) + 1
    last = next((i for i in range(heading, end) if lines[i].startswith("#")), end)
    while not lines[last - 1].strip() and last > heading:
        last -= 1
    # A heading with nothing below it yet.
    before = [""] if last == heading else []
    return "\n".join([*lines[:last], *before, line, *lines[last:]])


def add_line(path: Path, line: str) -> None:
    """Whole or not at all. Raises as `with_line` does."""
    write_text(with_line(path, line), path)
