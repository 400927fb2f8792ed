"""Suspects measured again in a fresh process: pytest once more, of their measure items alone.

The process inherits the environment and the GPU's lock; the models of this one are freed
first, for two do not fit into a GPU.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import pytest

from baselines.codec import FormatError
from baselines.history.place import NONE
from baselines.run import AGAIN, RunFolder
from perf_tests.case_options import OTHER_CASES
from perf_tests.collecting import case_of, is_measure

# A fresh process that takes so long hangs: a lane takes minutes.
LIMIT_S = 1800.0


class Confirming:
    """Measures cases of a session again. `free` is called before each process."""

    def __init__(self, session: pytest.Session, *, free: Callable[[], None]) -> None:
        self._config = session.config
        self._items = {
            case.id: item for item in session.items if is_measure(item) and (case := case_of(item))
        }
        self._free = free

    def measure_again(self, cases: Sequence[str], folder: RunFolder) -> str:
        """One process for all of `cases`, kept in `folder`. Returns why none of them was
        measured; empty where one was."""
        self._say(cases)
        self._free()
        said = folder.path / "output.txt"
        try:
            folder.disown(AGAIN)
            with said.open("w", encoding="utf-8") as out:
                done = subprocess.run(
                    self._command(cases, folder),
                    cwd=self._config.invocation_params.dir,
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=LIMIT_S,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return f"the fresh process did not end within {LIMIT_S:.0f} s; see {said}"
        except OSError as error:
            return f"no fresh process could be started: {error}"
        if _measured(folder):
            return ""
        return f"the fresh process ended with exit code {done.returncode} and measured nothing; see {said}"

    def _say(self, cases: Sequence[str]) -> None:
        """What takes the time: the items that are waited for say nothing."""
        plugins = self._config.pluginmanager
        reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
        if reporter is None:
            return
        # An item that is being set up has its output captured, the terminal's own too.
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"roofgate: in a fresh process once more: {', '.join(cases)}")

    def _command(self, cases: Sequence[str], folder: RunFolder) -> list[str]:
        config, given, place = self._config, self._config.getoption, folder.path.resolve()
        command = [sys.executable, "-m", "pytest", *map(self._address, cases), "-v", "--benchmark-quiet"]
        command += [f"--rootdir={config.rootpath}", *(("-c", str(config.inipath)) if config.inipath else ())]
        # The same plugins, but for the one that would report a run of its own.
        for name in (*(given("plugins") or ()), "no:reports.plugin"):
            command += ["-p", name]
        overrides = [*(given("override_ini") or ())]
        if config.pluginmanager.has_plugin("cacheprovider"):
            # What failed last is this session's. Without the plugin --lf would be unknown.
            overrides.append(f"cache_dir={place / 'cache'}")
        for override in overrides:
            command += ["-o", override]
        command.append(f"--import-mode={given('importmode')}")
        if lane := given("markexpr", default=""):
            command += ["-m", lane]
        command += [f"{option}={value}" for option in OTHER_CASES if (value := given(option)) is not None]
        if given("--perf-trust-remote-code"):
            command.append("--perf-trust-remote-code")
        # What the configuration may ask for is written to the run's folder too.
        command.append(f"--junit-xml={place / 'junit.xml'}")
        # It is judged by this session, and not by itself; and a history of the suspects
        # alone, measured because they were slow, would show a slower machine.
        command += [f"--perf-baselines={place / 'no-baselines'}", f"--perf-history={NONE}"]
        return [*command, f"--perf-out={place}"]

    def _address(self, case_id: str) -> str:
        """Of the item, whatever folder pytest was called from."""
        item = self._items[case_id]
        return f"{item.path}::{item.nodeid.partition('::')[2]}"


def _environment() -> dict[str, str]:
    """Without the options that it holds: they are given, or are not for this process."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}


def _measured(folder: RunFolder) -> bool:
    """Whether a process left a record. A run that it could not even begin is taken away:
    no judgement of this run could read past it."""
    try:
        return folder.exists() and bool(folder.records())
    except FormatError:
        (folder.path / "run.json").unlink()
        return False
