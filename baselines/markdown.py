"""Markdown that stays what it is, whatever text is put into it."""

import re
from collections.abc import Sequence

# What Markdown, as GitHub reads it, would take for markup, and nothing else: a path or a
# finding is also read on a terminal. A sign between spaces opens and closes nothing.
_SPECIAL = re.compile(
    r"""
    \|                              # ends a cell
    | `                             # code
    | \\(?=[!-/:-@\[-`{-~]|$)       # an escape of what follows, here or behind the text
    | (?<!\s)[*~] | [*~](?!\s)      # emphasis, struck through
    | (?<![^\W_])_ | _(?![^\W_])    # emphasis; not within a word
    | <(?=[A-Za-z/!?])              # a tag, a link
    | \[(?=.*\][(\[:]) | \[(?=\^)   # a link, a footnote
    | ^\[(?=[ xX]\])                # a box to tick
    | ^[#>+-](?=[#>\s]|$) | ^>      # a heading, a quotation, an item
    | &(?=\#?\w+;)                  # a character's name
    """,
    re.VERBOSE,
)


def printable(text: str) -> str:
    """`text` with what no terminal should be told replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def escape(text: str) -> str:
    """`text` on one line, with nothing left that Markdown would read as markup, or a
    terminal as a command: a reason may hold pipes, a path, an exception's message."""
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", printable(" ".join(text.split())))


def code(text: str) -> str:
    """A name as code, such as a case id; escaped where code could not hold it: a name out
    of a file may be anything."""
    return f"`{text}`" if re.fullmatch(r"[^`|\s]+", text) and text.isprintable() else escape(text)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """A Markdown table padded so that it also reads in a terminal.

    Columns are right-aligned for numbers except those in `left`. Cells are
    taken as they are: what comes from outside goes through escape() first.
    """
    lines = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(headers))]
    rule = ["-" * w if i in left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    padded = [
        [
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in (padded[0], rule, *padded[1:]))
