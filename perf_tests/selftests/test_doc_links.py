"""What pages point at is there: files, headings, options, and the numbers that they quote."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from perf_tests.selftests.doc_commands import pages, prose
from perf_tests.selftests.tiny import ROOT

METHODOLOGY = ROOT / "perf_tests" / "METHODOLOGY.md"

_LINK = re.compile(r"(?<!`)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_OPTION = re.compile(r"--perf-[a-z-]*[a-z]")
_NUMBER = re.compile(r"^\| [^|]+ \| ([0-9.]+) \| `([\w.]+)\.(\w+)` \|$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


EVERY_PAGE = pytest.mark.parametrize("page", pages(), ids=name)


def links(page: Path) -> list[str]:
    """The targets of a page that lie in this checkout."""
    found = _LINK.findall(prose(page.read_text(encoding="utf-8")))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page as GitHub names them: lower case, blanks as hyphens, without
    punctuation; the second of a name has -1 after it."""
    seen: dict[str, int] = {}
    found = set()
    for heading in _HEADING.findall(prose(page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if anchor in seen else anchor)
        seen[anchor] = seen.get(anchor, 0) + 1
    return frozenset(found)


@EVERY_PAGE
def test_what_is_linked_is_there(page: Path) -> None:
    lost = []
    for target in links(page):
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and (there.suffix != ".md" or anchor not in anchors(there))):
            lost.append(target)

    assert lost == []


@EVERY_PAGE
def test_options_are_taken(page: Path) -> None:
    """By pytest or by one of the commands."""
    assert set(_OPTION.findall(page.read_text(encoding="utf-8"))) <= options()


@cache
def options() -> frozenset[str]:
    """Those of Roofgate's that a parser knows, as its sources spell them out."""
    rooms = ("baselines", "reports", "perf_tests")
    sources = (p for room in rooms for p in (ROOT / room).rglob("*.py") if "selftests" not in p.parts)
    return frozenset(
        option
        for path in sources
        for option in re.findall(r'"(--perf-[a-z-]+)"', path.read_text(encoding="utf-8"))
    )


def numbers() -> list[tuple[str, str, str]]:
    """What the page on the method quotes: the number, the module or object, and its name there."""
    return _NUMBER.findall(METHODOLOGY.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("quoted", "holder", "constant"), numbers(), ids=lambda text: text)
def test_a_quoted_number_is_the_codes(quoted: str, holder: str, constant: str) -> None:
    if holder.endswith(".POLICY"):
        held = import_module(holder.removesuffix(".POLICY")).POLICY
    else:
        held = import_module(holder)

    assert float(getattr(held, constant)) == float(quoted)


def test_every_row_of_the_numbers_is_read() -> None:
    table = METHODOLOGY.read_text(encoding="utf-8").partition("## The numbers")[2]

    assert len(numbers()) == table.count("\n| ") - 2 >= 25


def test_the_methods_of_a_page_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `word`, and [more](other.md)\n\n## Twice\n\n## Twice\n\n[a\nlink](x.md#y), [out](https://example.org)\n\n"
        "```\n# no heading\n[none](here.md)\n```\n",
        encoding="utf-8",
    )

    assert anchors(page) == {"a-word-and-more", "twice", "twice-1"}
    assert links(page) == ["other.md", "x.md#y"]
