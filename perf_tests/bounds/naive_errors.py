"""The tables of analytic/ERRORS.md: python -m perf_tests.bounds.naive_errors [--check | --write]

Every size is computed by calling the model rightly and naively. --check exits 1
where the page differs from what this prints; --write brings it up to date.
"""

import argparse
import re
import sys
from pathlib import Path

import analytic
from perf_tests.bounds import naive_formats, naive_memory, naive_phases, naive_roofs, naive_shapes, naive_work
from perf_tests.bounds.naive_record import NaiveError
from perf_tests.bounds.peers import peer_tables

PAGE = Path(analytic.__file__).parent / "ERRORS.md"
PARTS = (naive_work, naive_shapes, naive_memory, naive_formats, naive_roofs, naive_phases)
HEAD = ("#", "The error", "Seen in", "What is right", "Size: naive for right", "Guarded by")


def all_errors() -> tuple[NaiveError, ...]:
    """By number."""
    return tuple(sorted((e for part in PARTS for e in part.errors()), key=lambda e: e.number))


def error_table() -> str:
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for e in all_errors():
        sizes = "<br>".join(size.text for size in e.sizes)
        guards = "<br>".join(f"`{guard}`" for guard in e.guards)
        lines.append(_line([str(e.number), e.error, e.seen_in, e.correct, sizes, guards]))
    return "\n".join(lines)


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def tables() -> dict[str, str]:
    """The page's tables by the name of their markers."""
    return {"errors": error_table(), **peer_tables()}


def filled(page: str) -> str:
    """`page` with each table between its markers. Raises ValueError where a pair is missing."""
    for name, table in tables().items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        new = f"{begin}\n{table}\n{end}"
        page, found = pattern.subn(lambda _, new=new: new, page)
        if found != 1:
            raise ValueError(f"{PAGE.name} has {found} pairs of markers {begin} and {end}; one is needed")
    return page


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m perf_tests.bounds.naive_errors", description=__doc__.partition("\n")[0]
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="exit 1 if the page differs")
    choice.add_argument("--write", action="store_true", help="put the tables into the page")
    options = parser.parse_args(arguments)
    if not (options.check or options.write):
        print("\n\n".join(tables().values()))
        return 0
    page = PAGE.read_text(encoding="utf-8")
    new = filled(page)
    if options.write:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        print(f"{PAGE} differs from what is computed; python -m perf_tests.bounds.naive_errors --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
