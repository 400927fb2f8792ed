"""Sessions measured anew: pytest in fresh processes, one after another."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from baselines.passwords import without_password
from baselines.refresh.errors import RefreshError
from baselines.run import RunFolder


def measure_sessions(folder: Path, arguments: Sequence[str], *, sessions: int) -> list[RunFolder]:
    """Runs pytest `sessions` times, each in a fresh process and a folder of its own.

    Raises RefreshError at the first that does not pass: the others would be no better.
    """
    given = arguments if "-m" in arguments else ("-m", "gpu", *arguments)
    runs = []
    for number in range(1, sessions + 1):
        run = RunFolder(folder / f"session-{number}")
        # By the history that they are to replace they are judged together, once all are there.
        nothing = folder / "no-baselines"
        command = [sys.executable, "-m", "pytest", *_joined(given)]
        command += [f"--perf-out={run.path}", f"--perf-baselines={nothing}"]
        print(f"session {number} of {sessions}: {without_password(' '.join(command))}", flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            see = f"; see {run.path}" if run.exists() else ""
            raise RefreshError(
                f"session {number} failed with exit code {done.returncode}: nothing was stored{see}"
            )
        runs.append(run)
    return runs


# Those of pytest's options of Roofgate that take no value.
_FLAGS = ("--perf-strict", "--perf-trust-remote-code", "--perf-allow-no-gpu")


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--perf-x VALUE` as `--perf-x=VALUE`: a folder that stands alone among the
    arguments would make pytest look for its configuration there."""
    joined: list[str] = []
    for argument in arguments:
        before = joined[-1] if joined else ""
        takes_value = before.startswith("--perf-") and "=" not in before and before not in _FLAGS
        if takes_value and not argument.startswith("-"):
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined
