"""Suspects measured again in a fresh process: pytest once more, of their measure items alone.

The process inherits the environment and the GPU's lock; the models of this one are freed
first, for two do not fit into a GPU.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from baselines.run import RunFolder
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
        folder.path.mkdir(parents=True)
        said = folder.path / "output.txt"
        try:
            with said.open("w", encoding="utf-8") as out:
                done = subprocess.run(
                    self._command(cases, folder),
                    cwd=self._config.invocation_params.dir,
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
        if folder.exists() and folder.records():
            return ""
        return f"the fresh process ended with exit code {done.returncode} and measured nothing; see {said}"

    def _say(self, cases: Sequence[str]) -> None:
        """What takes the time: the items that are waited for say nothing."""
        if reporter := self._config.pluginmanager.get_plugin("terminalreporter"):
            reporter.ensure_newline()
            reporter.write_line(f"roofgate: in a fresh process once more: {', '.join(cases)}")

    def _command(self, cases: Sequence[str], folder: RunFolder) -> list[str]:
        config, given = self._config, self._config.getoption
        command = [sys.executable, "-m", "pytest", *map(self._address, cases), "-v", "--benchmark-quiet"]
        command += [f"--rootdir={config.rootpath}", *(("-c", str(config.inipath)) if config.inipath else ())]
        # The same plugins, but for those that would write what this session writes.
        for name in (*(given("plugins") or ()), "no:cacheprovider", "no:reports.plugin"):
            command += ["-p", name]
        for override in given("override_ini") or ():
            command += ["-o", override]
        if lane := given("markexpr", default=""):
            command += ["-m", lane]
        command += [f"{option}={value}" for option in OTHER_CASES if (value := given(option)) is not None]
        if given("--perf-trust-remote-code"):
            command.append("--perf-trust-remote-code")
        # What the environment or the configuration may ask for is written to the run's folder too.
        command.append(f"--junit-xml={folder.path.resolve() / 'junit.xml'}")
        # It is judged by this session, and not by itself.
        nothing = folder.path.resolve() / "no-baselines"
        return [*command, f"--perf-out={folder.path.resolve()}", f"--perf-baselines={nothing}"]

    def _address(self, case_id: str) -> str:
        """Of the item, whatever folder pytest was called from."""
        item = self._items[case_id]
        return f"{item.path}::{item.nodeid.partition('::')[2]}"
