"""A Mistral of a few hundred kilobytes, and a clean place to run Roofgate in."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import analytic

ROOT = Path(analytic.__file__).parents[1]

CONFIG: dict[str, Any] = {
    "model_type": "mistral",
    "architectures": ["MistralForCausalLM"],
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 1_000_000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


# What no command here needs: a cache, and Hypothesis, which takes half of a start.
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")


class Later:
    """A module that is imported when it is first used, and skips the test where
    it is not installed: collecting tests must not cost torch's import."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # pytest looks for marks of its own while it collects
            raise AttributeError(attribute)
        return getattr(pytest.importorskip(self._name), attribute)


# A module for `-p`: Python then finds none of what the lanes measure with.
NO_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "accelerate", "bitsandbytes")))
"""


def write_config(folder: Path, **changes: Any) -> Path:
    """`folder` with a config.json in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes), encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended, and all that it said."""

    rc: int
    out: str

    def line(self, start: str) -> str:
        """The one line of the output that starts so."""
        found = [line for line in self.out.splitlines() if line.startswith(start)]
        assert len(found) == 1, f"{len(found)} lines start with {start!r} in:\n{self.out}"
        return found[0]


def environment(**changes: str) -> dict[str, str]:
    """The environment of this process without pytest's own variables, and without a
    GPU: these tests expect the same on every machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "GITHUB_"))}
    quiet = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "ROOFGATE_HISTORY": "none",  # what a test measures is no history
        "OMP_NUM_THREADS": "1",  # of a busy machine, threads that wait for each other take the most
    }
    return kept | quiet | changes


def run(*command: str, cwd: Path, env: dict[str, str]) -> Done:
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Done(rc=done.returncode, out=done.stdout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A copy of the checkout at `root`, and a folder `home` beside it."""

    root: Path
    home: Path

    def pytest(self, *arguments: str | Path, **env: str) -> Done:
        """Runs pytest in the copy. Modules in `home` may be named with -p."""
        command = (*PYTEST, *map(str, arguments))
        return run(*command, cwd=self.root, env=environment(PYTHONPATH=str(self.home), **env))

    def plugin(self, name: str, text: str) -> tuple[str, str]:
        """The arguments that load a plugin of that text."""
        (self.home / f"{name}.py").write_text(text, encoding="utf-8")
        return ("-p", name)

    def without_torch(self) -> tuple[str, str]:
        return self.plugin("no_torch", NO_TORCH)

    def files(self) -> set[str]:
        return {str(p.relative_to(self.root)) for p in self.root.rglob("*")}


def copy_checkout(folder: Path) -> Place:
    """What git would hand out of this checkout, but for the stored baselines."""
    root, home = folder / "checkout", folder / "home"
    root.mkdir(parents=True)
    home.mkdir()
    for file in ROOT.iterdir():
        if file.is_file() and file.name != ".git":  # of a worktree it is a file
            shutil.copy(file, root)
    for room in ("analytic", "baselines", "reports", "perf_tests"):
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__", "data", ".*"))
    return Place(root=root, home=home)


@dataclass(frozen=True, slots=True, kw_only=True)
class Junit:
    """A JUnit file: test names in their order, each with what it says."""

    names: tuple[str, ...]
    properties: dict[str, dict[str, str]]
    messages: dict[str, str]
    failures: int


def read_junit(path: Path) -> Junit:
    suite = ET.parse(path).getroot().find("testsuite")  # noqa: S314 - pytest wrote it a moment ago
    assert suite is not None
    cases = {case.attrib["name"]: case for case in suite.findall("testcase")}
    return Junit(
        names=tuple(cases),
        properties={
            name: {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
            for name, case in cases.items()
        },
        messages={
            name: "\n".join(f"{child.attrib.get('message', '')}\n{child.text or ''}" for child in case)
            for name, case in cases.items()
        },
        failures=int(suite.attrib["failures"]),
    )
