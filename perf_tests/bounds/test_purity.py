"""Imports run one way, and the model needs no more than the standard library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import analytic

pytestmark = pytest.mark.analytic

ROOT = Path(analytic.__file__).parents[1]
ROOMS = ("analytic", "baselines", "reports", "perf_tests")
HEAVY = ("torch", "transformers", "bitsandbytes", "accelerate", "pytest", "pandas", "matplotlib")

IMPORT_ALL = """
import importlib, pkgutil, sys
import analytic
for module in pkgutil.walk_packages(analytic.__path__, "analytic."):
    importlib.import_module(module.name)
print(" ".join(sys.modules))
"""


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "" if node.level else (node.module or "").partition(".")[0]


def test_the_model_imports_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert "analytic.cost" in loaded
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize(
    ("room", "later"), [(room, ROOMS[i + 1 :]) for i, room in enumerate(ROOMS[:-1])], ids=ROOMS[:-1]
)
def test_no_room_imports_a_later_one(room: str, later: tuple[str, ...]) -> None:
    """The order is analytic <- baselines <- reports <- perf_tests."""
    found = {(path.name, name) for path in files(room) for name in imports(path) if name in later}

    assert files(room)
    assert found == set()


@pytest.mark.parametrize("room", ROOMS[:-1])
def test_only_perf_tests_imports_torch(room: str) -> None:
    banned = {"torch", "transformers", "bitsandbytes", "accelerate", "triton"}
    found = {(path.name, name) for path in files(room) for name in imports(path) if name in banned}

    assert found == set()


@pytest.mark.parametrize("room", ROOMS)
def test_imports_name_their_room(room: str) -> None:
    """No relative imports: an import is found by searching for the room's name."""
    assert [path.name for path in files(room) if "" in imports(path)] == []


def test_this_folder_imports_no_torch_at_its_top() -> None:
    """The analytic lane runs where torch is not installed."""
    top = {
        alias.name.partition(".")[0]
        for path in files("perf_tests/bounds")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for path in files("perf_tests/bounds")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
    }

    assert not top & {"torch", "transformers"}
