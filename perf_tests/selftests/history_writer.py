"""A process that measures nothing and keeps runs: python -m perf_tests.selftests.history_writer NAME RUNS FOLDER URL

It waits for a line on its standard input, so that several begin at once, and prints what
is said of each run.
"""

import sys
from pathlib import Path

from baselines.history.keeping import keep
from perf_tests.selftests.histories import a_run, named


def main() -> None:
    name, runs, root, url = sys.argv[1:]
    # All writers' runs bear the same ids, as those of runners that begin together.
    folders = [
        a_run(Path(root) / f"{name}-{number}", run=f"run-{number}", host=name) for number in range(int(runs))
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    for folder in folders:
        print(f"{folder.path.name}: {keep(folder, named(url))}", flush=True)


if __name__ == "__main__":
    main()
