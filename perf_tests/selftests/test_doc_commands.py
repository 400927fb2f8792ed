"""Every command that a page shows is run here, or listed with the reason why not.

A new page needs no change here, as long as its commands run at a desk where RUN, A, B,
CONFIG, FOLDER and the like lie around by just these names. What does not run belongs into
NOT_RUN; a placeholder into STANDS_FOR; what ends otherwise than well into EXITS.
"""

import inspect
import runpy
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from baselines.history.keeping import keep
from perf_tests.selftests.doc_commands import PROGRAMS, pages, shown, words
from perf_tests.selftests.histories import a_run, named
from perf_tests.selftests.records import MODEL
from perf_tests.selftests.refreshes import five, refresh
from perf_tests.selftests.tiny import ROOT, Place, write_config

ADOPTED = "test_adopting.py runs it, with the files of its page"
TESTS = "part of make test"

#: Why a command is not run here: the reason, and the commands.
NOT_RUN: dict[str, tuple[str, ...]] = {
    "needs a GPU": (
        "pytest -m gpu",
        "pytest -m gpu --perf-cases=perf_tests/engine_cases.toml",
        "pytest -m gpu --perf-cases=perf_tests/engine_cases.toml -k decode",
        "pytest -m gpu --perf-cases=perf_tests/estimate_cases.toml",
        "pytest -m gpu --perf-engine=eager,my_engine.py --perf-context=512",
        "pytest -m gpu --perf-engine=eager,perf_tests/examples/math_attention.py --perf-prompt=2048",
        "pytest -m gpu --perf-history=postgresql://user@host/database",
        "pytest -m gpu --perf-model=FOLDER",
        "pytest -m gpu --perf-update=missing",
        "ROOFGATE_SLOWDOWN=mlp-2 pytest -p perf_tests.proof.inject -m gpu -k decode-b1-c512",
        "make refresh",
        "python -m baselines refresh --sessions 5 -m gpu",
        "python -m baselines refresh --sessions 5 -m gpu -k decode",
        "python -m baselines refresh --sessions 5 -m gpu --perf-baselines=speed-baselines",
        "python -c 'import torch; p = torch.cuda.get_device_properties(0); print(p.name, p.multi_processor_count)'",
        "python -m perf_tests.dram_counters count",
        "python -m perf_tests.proof.gate --out runs/gate",
        "python -m perf_tests.proof.gate --same 10 --slowed 3",
        "python -m perf_tests.proof.overhead",
        "python -m perf_tests.proof.sessions --count 0 --slowdowns all",
        "python -m perf_tests.proof.sessions --count 10",
        "python -m perf_tests.proof.sessions --count 10 --slowdowns all --out runs/proof",
        "python -m perf_tests.proof.true_size --out runs/proof/sizes.csv",
    ),
    "needs a package index": (
        "pip install 'roofgate[history]'",
        "pip install -e '.[torch]'",
        "pip install -e '/path/to/roofgate[torch]'",
        "pip install -e .",
        "pip install -e /path/to/roofgate",
    ),
    "part of .ci/run": ("make lint", "make long", "make test"),
    TESTS: (
        "pytest",
        "pytest -m analytic",
        "pytest -m analytic perf_tests/bounds/test_gpus.py",
        "pytest -m cpu",
        "pytest perf_tests/selftests/test_expectations.py",
        "pytest perf_tests/selftests/test_plan.py",
    ),
    "measures this machine for a minute; test_own_engine.py and the cpu lane run the same": (
        "make demo",
        "make demo USE_PYTHON=$(which python3)",
        "pytest -m cpu --perf-engine=perf_tests/examples/math_attention.py --perf-batch=1 --perf-context=128",
    ),
    "takes minutes; test_power.py runs it with fewer trials": ("python -m baselines power",),
    "takes minutes; test_flops.py compares what it wrote": ("python -m perf_tests.bounds.count_flops",),
    "rewrites a page; test_errors_page.py compares what it wrote": (
        "python -m perf_tests.bounds.naive_errors --write",
    ),
    "wants the proof's own runs; test_proof.py gives it some": (
        "python -m perf_tests.proof.aa runs/proof/session-* --out runs/proof/aa.csv",
        (
            "python -m perf_tests.proof.slowdowns --baseline runs/proof/session-* --sizes runs/proof/sizes.csv "
            "--runs kv-copy=runs/proof/kv-copy mlp-2=runs/proof/mlp-2 --out runs/proof/slowdowns.csv"
        ),
    ),
    "of another repository; test_foreign_folder.py runs it in one": ("pytest --perf-gpu=t4",),
    ADOPTED: (
        "pytest -m cpu -v",
        "pytest -m cpu --perf-out=runs/broken",
        "pytest -m cpu --perf-out=runs/repaired",
        "python -m baselines refresh --sessions 3 -m cpu --perf-baselines=speed-baselines",
        "python -m baselines show --perf-baselines=speed-baselines",
        "python -m baselines compare speed-baselines runs/broken",
        "python -m baselines compare speed-baselines runs/repaired",
        "python -m baselines trend --metric wall_s --perf-baselines=speed-baselines",
    ),
}

#: Commands that are named without what they need: their --help must be there.
NAMED = (
    "python -m analytic",
    "python -m analytic bounds | footprint | sweep | whatif | ceilings | gpus | models",
    "python -m baselines COMMAND",
    "python -m baselines refresh",
    "python -m perf_tests.dram_counters",
    "python -m perf_tests.proof.aa",
    "python -m reports heatmap",
    "python -m reports render",
)

#: What stands in a command for something else: words, and whole commands.
STANDS_FOR = {
    "MODEL": MODEL,
    "NAME": MODEL,
    "KEY": "h100-sxm",
    "URL": "sqlite:///history.sqlite",
    "python -m baselines refresh --from RUN RUN RUN": "python -m baselines refresh --from run-0 run-1 run-2",
    "python -m baselines refresh --dry-run …": "python -m baselines refresh --dry-run --from run-0 run-1 run-2",
    "python -m baselines refresh --add …": "python -m baselines refresh --add --from run-0 run-1 run-2",
    "python -m reports heatmap MODEL --gpu KEY …": "python -m reports heatmap MODEL --gpu KEY --phase decode "
    "--batch 1,8 --context 512,2048",
}

#: How a command ends that does not end with 0, and why.
EXITS = {
    "python -m baselines compare A B --strict --perf-baselines FOLDER --json": (
        1,
        "one run a side does not see what its case promises, which --strict refuses",
    ),
}

SHOWN = tuple(dict.fromkeys(c for page in pages() for c in shown(page.read_text(encoding="utf-8"))))
LISTED = tuple(command for commands in NOT_RUN.values() for command in commands)
RUN = tuple(command for command in SHOWN if command not in (*LISTED, *NAMED))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of, by the names that they use."""
    root = tmp_path_factory.mktemp("desk")
    for folder in ("CONFIG", "path/to"):
        write_config(root / folder)
    runs = five(root)
    for name in ("A", "B", "RUN", "runs/FOLDER", "runs/20261122T120000-abc1234"):
        shutil.copytree(runs[0].path, root / name)
    for store in ("baselines/data", "FOLDER"):
        assert refresh(root / store, runs) == 0
    for night in range(10):
        run = a_run(root / f"night-{night}", started=f"2026-11-{10 + night}T12:00:00+00:00")
        for url in (f"sqlite:///{root}/runs/history.sqlite", f"sqlite:///{root}/history.sqlite"):
            assert keep(run, named(url)) == ""
    return root


@pytest.fixture
def at_desk(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(desk)
    monkeypatch.delenv("ROOFGATE_HISTORY", raising=False)
    return desk


@pytest.mark.parametrize("command", [c for c in RUN if c.startswith("python -m ")])
def test_it_runs(command: str, at_desk: Path, request: pytest.FixtureRequest) -> None:  # noqa: ARG001 - the place
    if "crosscheck" in command:
        request.getfixturevalue("torch_installed")
    module, *arguments = words(meant(command))[2:]

    assert ended(module, arguments) == EXITS.get(command, (0, ""))[0]


@pytest.mark.parametrize("command", [c for c in RUN if c.startswith("pytest ")])
def test_it_runs_in_a_checkout(command: str, place: Place, desk: Path) -> None:
    shutil.copytree(desk / "runs" / "FOLDER", place.root / "runs" / "FOLDER", dirs_exist_ok=True)

    done = place.pytest(*words(meant(command))[1:])

    assert done.rc == EXITS.get(command, (0, ""))[0], done.out


@pytest.mark.parametrize("command", [c for c in SHOWN if c.startswith("make ")])
def test_make_knows_it(command: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        ["bash", "-c", f"{command} --dry-run"],  # noqa: S607 - a shell by PATH, as a reader has it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", NAMED)
def test_what_is_named_has_a_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, *rest = command.removeprefix("python -m ").removesuffix(" COMMAND").split(maxsplit=1)
    commands = rest[0].split(" | ") if rest else [""]

    for one in commands:
        assert ended(module, [*one.split(), "--help"]) == 0
        assert capsys.readouterr().out.startswith("usage: ")


@pytest.mark.long
@pytest.mark.parametrize("command", [c for c in NOT_RUN["needs a GPU"] if c.startswith("pytest ")])
def test_what_needs_a_gpu_is_collected_without(command: str, place: Place) -> None:
    """Its options and files are there."""
    write_config(place.root / "FOLDER")
    (place.root / "my_engine.py").write_bytes((ROOT / "perf_tests/examples/math_attention.py").read_bytes())

    files = [f"perf_tests/test_{phase}.py" for phase in ("prefill", "decode")]
    done = place.pytest(*words(command)[1:], "--collect-only", "-q", *files)

    assert done.rc == 0, done.out


@pytest.mark.parametrize("command", RUN)
def test_a_command_is_one_that_can_be_run_here(command: str) -> None:
    """Else it belongs into NOT_RUN."""
    assert command.startswith(PROGRAMS)
    assert not command.startswith(("pip ", "python -c")), (
        f"list {command!r} with the reason why it is not run"
    )


@pytest.mark.parametrize("command", [*LISTED, *NAMED, *EXITS, *(c for c in STANDS_FOR if " " in c)])
def test_what_is_listed_is_still_shown(command: str) -> None:
    assert command in SHOWN


def test_a_command_is_listed_once() -> None:
    assert len({*LISTED, *NAMED}) == len((*LISTED, *NAMED))


PAGE = """
Run `pytest -m gpu` or `ls`, and `python -m analytic gpus`:

    python -m baselines show [--json]   # indented, an option in brackets
    python -m baselines trend [--json]
                              [--gpu 'h100*']

```
$ make demo   # with a prompt
pytest is what it printed
```

- in a list

  ```
  LANE=cpu pytest perf_tests \\
    -k decode
  what it printed
  ```

```sh
ls -l
```

```python
pytest.skip("no command")
```
"""


def test_commands_are_found_where_pages_show_them() -> None:
    assert sorted(shown(PAGE)) == [
        "LANE=cpu pytest perf_tests -k decode",
        "ls -l",
        "make demo",
        "pytest -m gpu",
        "python -m analytic gpus",
        "python -m baselines show --json",
        "python -m baselines trend --json --gpu 'h100*'",
    ]


def meant(command: str) -> str:
    """The command with what its placeholders stand for."""
    whole = STANDS_FOR.get(command, command)
    return " ".join(STANDS_FOR.get(word, word) for word in whole.split(" "))


def ended(module: str, arguments: list[str]) -> int:
    """The exit code of `python -m module`, in this process."""
    try:
        return int(_called(module, arguments) or 0)
    except SystemExit as exit_:
        return int(exit_.code or 0)


def _called(module: str, arguments: list[str]) -> object:
    found = import_module(module)
    if hasattr(found, "__path__"):
        found = import_module(f"{module}.__main__")
    main = getattr(found, "main", None)
    if main is not None and inspect.signature(main).parameters:
        return main(arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        if main is not None:
            return main()
        runpy.run_path(str(found.__file__), run_name="__main__")  # a script that only prints
    return 0
