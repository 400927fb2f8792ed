"""The runs that the proof rests on: python -m perf_tests.proof.sessions --out DIR

Fresh pytest processes of the same code into DIR/session-1 …, then one for each
slowdown into DIR/NAME. Further arguments go to pytest in place of the four cases.
No run is judged here, for its store of baselines is empty.

Exit status: 0 done, 1 a process failed, 2 bad input.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from analytic import SpecError
from baselines.passwords import without_password
from baselines.refresh.errors import RefreshError
from baselines.refresh.measuring import measure_sessions
from perf_tests.proof.inject import VARIABLE
from perf_tests.proof.work import SLOWDOWNS, find_slowdown

ROOM = Path(__file__).resolve().parents[1]
FOUR_CASES = (
    *(str(ROOM / f"test_{name}.py") for name in ("prefill", "decode", "verdict")),
    "-m",
    "gpu",
    "-k",
    "(b1-p512 or b1-c512) and not generate",
    "-q",
    "--benchmark-quiet",
)


def run_pytest(
    run: Path, store: Path, arguments: Sequence[str], *, slowdown: str | None, out: IO[str] | None = None
) -> int:
    """The exit code of one fresh process that measures into `run`, with a slowdown in its
    models where one is named. It prints into `out`, where that is given."""
    plugin = ("-p", "perf_tests.proof.inject") if slowdown else ()
    command = [sys.executable, "-m", "pytest", *plugin, *arguments]
    command += [f"--perf-out={run}", f"--perf-baselines={store}"]
    print(f"{run.name}: {without_password(' '.join(command))}", flush=True)
    environment = os.environ | ({VARIABLE: slowdown} if slowdown else {})
    return subprocess.run(command, check=False, env=environment, stdout=out, stderr=out).returncode


def measure_slowed(folder: Path, arguments: Sequence[str], *, slowdown: str) -> Path:
    """One fresh process with a slowdown in its models. A verdict may fail there: below
    its band is where a slowdown puts it. Raises RefreshError for any other failure."""
    run = folder / slowdown
    ended = run_pytest(run, folder / "no-baselines", arguments, slowdown=slowdown)
    if ended not in (0, 1) or not (run / "records").is_dir():
        raise RefreshError(f"{slowdown} failed with exit code {ended}; see {run}")
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m perf_tests.proof.sessions", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--count", type=int, default=10, help="runs without a slowdown (default: 10)")
    parser.add_argument("--slowdowns", nargs="*", default=[], metavar="NAME", help="or all")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs' folders")
    options, given = parser.parse_known_args(arguments)
    pytest_arguments = given or FOUR_CASES
    try:
        everything = [s.name for s in SLOWDOWNS]
        names = (
            everything if options.slowdowns == ["all"] else [find_slowdown(n).name for n in options.slowdowns]
        )
        if options.count:
            measure_sessions(options.out, pytest_arguments, sessions=options.count)
        for name in names:
            measure_slowed(options.out, pytest_arguments, slowdown=name)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RefreshError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
