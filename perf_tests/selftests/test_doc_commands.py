"""Every command that a page shows is run here, or listed with the reason why not.

A new page needs no change here, as long as its commands run at a desk where RUN, A, B,
CONFIG, FOLDER and the like lie around by just these names. What does not is listed in
doc_exceptions.py.
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
from perf_tests.selftests.doc_exceptions import EXITS, NAMED, NOT_RUN, STANDS_FOR
from perf_tests.selftests.histories import a_run, named
from perf_tests.selftests.refreshes import five, refresh
from perf_tests.selftests.tiny import ROOT, Place, write_config

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
    # pytest-benchmark takes it for a warning that there is nothing to save.
    arguments = [word for word in words(command)[1:] if not word.startswith("--benchmark-json")]
    done = place.pytest(*arguments, "--collect-only", "-q", *files)

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
