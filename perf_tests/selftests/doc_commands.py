"""The commands that the Markdown files of this checkout show, and the pages themselves.

A command stands in a block without a language, or of `console`, `sh` or `bash`; in an indented
block; or in a code span that begins as one of Roofgate's own do.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perf_tests.selftests.tiny import ROOT

#: What a command of Roofgate's own begins with.
PROGRAMS = ("python -m ", "python -c ", "pytest ", "make ", "pip install ")

# Blocks that hold commands, or what they print. In a shell's block every line is one.
_SHELL = ("sh", "bash")
_HELD = ("", "console", *_SHELL)

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+)(?P<language>[\w-]*) *$")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_COMMENT = re.compile(r"\s+#\s.*$")
_VARIABLE = re.compile(r"^(?:[A-Z_]+=\S+\s+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code with its language, empty where none is said, and its lines without
    the indentation of the block."""

    language: str
    lines: tuple[str, ...]


def pages() -> tuple[Path, ...]:
    """Every Markdown file that git hands out, and what is about to be added."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],  # noqa: S607 - git by PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    found = [ROOT / name for name in listed] or [p for p in ROOT.rglob("*.md") if ".venv" not in p.parts]
    return tuple(sorted(path for path in set(found) if path.exists()))


def shown(text: str) -> Iterator[str]:
    """The commands of a page, in one line each, without prompts and comments. Square
    brackets, in which a synopsis puts what may be left out, are taken away."""
    for block in blocks(text):
        if block.language in _HELD:
            yield from _of_block(block)
    for span in _SPAN.findall(prose(text)):
        if _begins(span):
            yield _clean(span)


def blocks(text: str) -> Iterator[Block]:
    """The fenced and the indented blocks of a page."""
    lines = iter(text.splitlines())
    before = ""
    indented: list[str] = []
    for line in lines:
        if opened := _FENCE.match(line):
            width = len(opened["indent"])
            held: list[str] = []
            for inner in lines:
                if inner.strip() == opened["fence"]:
                    break
                held.append(inner[width:] if not inner[:width].strip() else inner)
            yield Block(language=opened["language"], lines=tuple(held))
        elif line.startswith("    ") and (indented or not before.strip()):
            indented.append(line[4:])
        elif indented and line.strip():
            yield Block(language="", lines=tuple(indented))
            indented = []
        before = line
    if indented:
        yield Block(language="", lines=tuple(indented))


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    kept, fence = [], ""
    for line in text.splitlines():
        opened = _FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif opened:
            fence = opened["fence"]
        else:
            kept.append(line)
    return "\n".join(kept)


def words(command: str) -> list[str]:
    """A command as a shell splits it."""
    return shlex.split(command)


def _of_block(block: Block) -> Iterator[str]:
    """Where lines have a prompt, those without are what was printed."""
    lines = list(_whole(block.lines))
    prompted = any(line.startswith("$ ") for line in lines)
    for line in lines:
        if prompted and not line.startswith("$ "):
            continue
        command = line.removeprefix("$ ")
        every = prompted or block.language in _SHELL
        if _begins(command) or (every and command.strip() and not command.lstrip().startswith("#")):
            yield _clean(command)


def _whole(lines: tuple[str, ...]) -> Iterator[str]:
    """Lines with those that they go on in: after a backslash, or with more of a synopsis."""
    held = ""
    for line in lines:
        goes_on = bool(held) and (held.endswith("\\") or re.match(r"\s+\[--", line) is not None)
        if held and not goes_on:
            yield held
        held = f"{held.removesuffix(chr(92)).rstrip()} {line.strip()}" if goes_on else line
    if held:
        yield held


def _begins(text: str) -> bool:
    return f"{_VARIABLE.sub('', text)} ".startswith(PROGRAMS)


def _clean(command: str) -> str:
    bare = _COMMENT.sub("", command)
    if "[--" in bare:
        bare = bare.replace("[", "").replace("]", "")
    return " ".join(bare.split())
