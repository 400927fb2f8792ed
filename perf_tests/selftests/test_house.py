"""What a stranger meets first: the pinned versions, the make targets, the README's figures."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _name(requirement: str) -> str:
    return re.split(r"[<>=~!\[ ;]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("pin", PINS)
def test_a_pin_is_a_version_of_the_public_index(pin: str) -> None:
    """No local suffix such as +cpu, no address, no range."""
    assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9]+(\.[0-9]+)*(\.post[0-9]+)?", pin)


def test_every_dependency_is_pinned() -> None:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = {_name(requirement) for group in groups for requirement in group}

    assert wanted - {_name(pin) for pin in PINS} == set()


def _make(*arguments: str) -> str:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), *arguments],  # noqa: S607 - make by PATH
        # The make that runs this test hands on what it was given.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_help_lists_the_targets() -> None:
    listed = re.findall(r"^make ([a-z]+) ", _make(), flags=re.MULTILINE)

    targets = [
        "help",
        "demo",
        "analytic",
        "test",
        "long",
        "lint",
        "ci",
        "nightly",
        "alert",
        "watch",
        "refresh",
    ]
    targets += ["take", "propose", "venv", "clean"]
    # What follows are examples, of targets with variables.
    assert listed[: len(targets)] == targets
    assert set(listed[len(targets) :]) <= set(targets)


@pytest.mark.parametrize(
    "target", ["demo", "analytic", "test", "long", "nightly", "alert", "watch", "refresh"]
)
def test_a_given_python_is_used_as_it_is(target: str) -> None:
    """An offline GPU machine installs nothing."""
    planned = _make("--dry-run", target, f"USE_PYTHON={sys.executable}")

    assert "pip" not in planned
    assert "venv .venv" not in planned
    assert re.search(rf"{re.escape(sys.executable)} -m (pytest|reports|baselines)", planned)


def test_a_changed_dependency_is_installed(tmp_path: Path) -> None:
    """The environment is older than pyproject.toml, so make builds it again."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    ready = tmp_path / ".venv" / ".ready-torch,dev"
    ready.parent.mkdir()
    ready.touch()
    fresh = _make("--dry-run", "-C", str(tmp_path), "test")
    (tmp_path / "pyproject.toml").write_text(f"{(ROOT / 'pyproject.toml').read_text()}\n", encoding="utf-8")
    os.utime(ready, (0, 0))

    assert "pip install" not in fresh
    assert "pip install" in _make("--dry-run", "-C", str(tmp_path), "test")


def test_the_packages_and_their_data_are_listed() -> None:
    """A flat layout is not discovered: what is imported must be named, folder by
    folder. Tests are no part of what is installed."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {p.parent.relative_to(ROOT) for p in ROOT.glob("*/**/__init__.py")}
    tests = {Path("perf_tests/bounds"), Path("perf_tests/selftests")}
    packages = {".".join(folder.parts) for folder in folders - tests if not folder.parts[0].startswith(".")}

    assert set(settings["packages"]) == packages
    for package, patterns in settings["package-data"].items():
        for pattern in patterns:
            assert any((ROOT / package).glob(pattern)), f"{package}/{pattern} matches no file"


def test_what_the_model_reads_is_installed_with_it() -> None:
    """Every file of the rooms that is no code, no text and no test."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    installed = {
        path
        for package, patterns in settings["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package).glob(pattern)
    }
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "analytic", "baselines", "reports"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    if not listed:
        pytest.skip("this is no git checkout")
    data = {ROOT / name for name in listed if not name.endswith((".py", ".md", ".png"))}

    assert {path for path in data if path.exists()} <= installed
