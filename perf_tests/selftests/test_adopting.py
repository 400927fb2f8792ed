"""ADOPTING.md's walk on a CPU, as a reader goes it: its files, its commands, what it says that one sees."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from perf_tests.selftests.doc_commands import Block, blocks, shown, words
from perf_tests.selftests.doc_exceptions import ADOPTED, NOT_RUN
from perf_tests.selftests.tiny import ROOT, Done, environment, run

PAGE = (ROOT / "perf_tests" / "ADOPTING.md").read_text(encoding="utf-8")
WALK = PAGE.partition("## On a CPU")[2].partition("## On a GPU")[0]

# A file's name, what is said of it, and its text.
_FILE = re.compile(
    r"^`([\w./-]+)`[^`]*?(?:`[^`\n]+`[^`]*?)*:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
FILES = dict(_FILE.findall(WALK))
# The page's three cases take minutes: of the same commands, one of them stands for all.
SHORT = {"pytest.ini": FILES["pytest.ini"].replace("--benchmark-quiet", "--benchmark-quiet -k c128")}


def test_the_page_has_six_files() -> None:
    assert set(FILES) == {
        *("conftest.py", "test_speed.py", "pytest.ini", "speed.toml", "my_engine.py"),
        "tiny-llama/config.json",
    }


def test_every_command_of_the_walk_is_taken() -> None:
    """Those that are said to be run here are run here."""
    assert set(NOT_RUN[ADOPTED]) == set(shown(WALK))


@pytest.mark.long
@pytest.mark.usefixtures("torch_installed")
def test_the_walk_is_what_the_page_says(tmp_path: Path) -> None:
    mine = Walk(tmp_path)
    mine.write(FILES | SHORT | {".gitignore": "runs/\n__pycache__/\n"})
    mine.commit("first")

    first = mine.does("pytest -m cpu -v")
    assert (first.rc, first.out.count("PASSED no_baseline")) == (0, 1)

    refreshed = mine.does("python -m baselines refresh --sessions 3 -m cpu --perf-baselines=speed-baselines")
    assert refreshed.rc == 0
    assert "Stored in speed-baselines: 1. Review the change, then commit it" in refreshed.out
    assert mine.does("python -m baselines show --perf-baselines=speed-baselines").rc == 0
    mine.commit("baselines")

    mine.write({"my_engine.py": broken(FILES["my_engine.py"])})
    mine.commit("broken")
    red = mine.does("pytest -m cpu --perf-out=runs/broken")
    assert red.rc == 1
    # pytest's own summary says it too, in full where it runs in CI.
    regressed = re.findall(r"^regressed: the host does more for a step: ATen ops ", red.out, re.MULTILINE)
    assert len(regressed) == 1
    assert ' --perf-baselines=speed-baselines --accept-regression "why"' in red.out
    assert "1 failed, 1 passed" in red.out

    mine.write(FILES | SHORT)
    mine.commit("repaired")
    assert mine.does("pytest -m cpu --perf-out=runs/repaired").rc == 0

    refused = mine.does("python -m baselines compare speed-baselines runs/broken")
    assert (refused.rc, "counts judged in 1 of 1 case" in refused.out) == (1, True)
    assert mine.does("python -m baselines compare speed-baselines runs/repaired").rc == 0

    trend = mine.does("python -m baselines trend --metric wall_s --perf-baselines=speed-baselines")
    assert trend.rc == 0
    assert len(re.findall(r"hard key \w+: \d+ points ", trend.out)) == 1
    assert mine.left == set()


def broken(engine: str) -> str:
    """The engine with the page's difference in it."""
    (difference,) = (block for block in blocks(WALK) if block.language == "diff")
    kept, added = _sides(difference)
    assert engine.count(kept) == 1
    return engine.replace(kept, added)


def _sides(block: Block) -> tuple[str, str]:
    """What a difference starts from, and what it makes of it."""
    before = [line[1:] for line in block.lines if not line.startswith("+")]
    after = [line[1:] for line in block.lines]
    return "\n".join(before), "\n".join(after)


class Walk:
    """A repository of somebody else's at `root`, and the commands that are still to be run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left = set(NOT_RUN[ADOPTED])
        self._git("init", "-q")

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(self, message: str) -> None:
        self._git("add", "-A")
        self._git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", message)

    def does(self, command: str) -> Done:
        """Runs a command of the page."""
        self.left.remove(command)
        program = {"python": [sys.executable], "pytest": [sys.executable, "-m", "pytest"]}
        first, *arguments = words(command)
        environs = environment(PYTHONPATH=str(ROOT))
        del environs["ROOFGATE_HISTORY"]
        done = run(*program[first], *arguments, cwd=self.root, env=environs)
        print(done.out)
        return done

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True)  # noqa: S607 - git by PATH
