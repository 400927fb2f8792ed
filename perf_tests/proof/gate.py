"""The whole gate on real runs: python -m perf_tests.proof.gate --out DIR

Measures sessions for a baseline of the four cases (into DIR/sessions and DIR/store, once),
then runs of the same code (DIR/same-1 …), then runs with a slowdown in every model
(DIR/NAME-1 …), each a pytest process as a nightly starts it, with its fresh processes for
suspects. Runs that are there already are read, so that a proof can go on where it ended.

Exit status: 0 the same code raised nothing and every slowed case regressed, 1 not so, 2 bad input.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analytic import SpecError, text
from analytic.gpus import registry
from baselines import markdown
from baselines.allowed import Allowed
from baselines.codec import FormatError
from baselines.counts import WORDS
from baselines.judging import judge_folder
from baselines.refresh.acceptance import Terms
from baselines.refresh.errors import RefreshError
from baselines.refresh.measuring import measure_sessions
from baselines.refresh.storing import store_sessions
from baselines.run import RunFolder
from baselines.store import Store
from baselines.verdict import Status, Verdict
from perf_tests.proof.inject import injected
from perf_tests.proof.sessions import FOUR_CASES, run_pytest
from perf_tests.proof.work import find_slowdown

_ANY_COUNT = tuple(
    Allowed(gpu=gpu.key, model="*", cases="*", count=count, by=2**62, reason="its time alone is asked about")
    for gpu in registry()
    for count in WORDS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """One run of the gate: with which slowdown (None: the same code), what it said, which
    cases regress by their device time alone (a slowdown's launches are counted, and
    would fail it by themselves), how many fresh processes its suspects took, and its
    exit code."""

    name: str
    slowdown: str | None
    verdicts: tuple[Verdict, ...]
    by_time: frozenset[str]
    fresh: int
    exit_status: int | None

    @property
    def alarms(self) -> int:
        """Cases that failed for being slower."""
        return sum(v.status in (Status.REGRESSED, Status.SHIFTED) and v.fails for v in self.verdicts)

    @property
    def as_expected(self) -> bool:
        if self.slowdown is None:
            return self.exit_status == 0 and not self.alarms
        every = {v.case for v in self.verdicts}
        return self.exit_status == 1 and self.alarms == len(every) and self.by_time == every


def read(path: Path, store: Store) -> Gated:
    """A run of the gate, judged once more with every count allowed. Raises FormatError for
    a folder that holds none, SpecError for one that was not judged."""
    folder = RunFolder(path)
    info, verdicts = folder.info(), folder.verdicts()
    if not verdicts:
        raise SpecError(f"{path}: the run was not judged")
    return Gated(
        name=path.name,
        slowdown=injected(path),
        verdicts=verdicts,
        by_time=frozenset(
            v.case
            for v in judge_folder(folder, store, rows=(), allowed=_ANY_COUNT).verdicts
            if v.status is Status.REGRESSED
        ),
        fresh=len(folder.confirmations()),
        exit_status=info.exit_status,
    )


def run_gate(path: Path, store: Path, arguments: Sequence[str], *, slowdown: str | None) -> None:
    """One pytest process of the gate. How it ends is read off its folder."""
    started_s = time.perf_counter()
    with (path.parent / f"{path.name}.txt").open("w", encoding="utf-8") as said:
        ended = run_pytest(path, store, arguments, slowdown=slowdown, out=said)
    took = text.seconds(time.perf_counter() - started_s)
    print(f"{path.name}: exit code {ended} after {took}", flush=True)


def table(runs: Sequence[Gated]) -> str:
    """Markdown, a line a run."""
    cases = list(dict.fromkeys(v.case for run in runs for v in run.verdicts))
    rows = [
        [
            run.name,
            *(_status(run, case) for case in cases),
            str(run.fresh),
            "–" if run.exit_status is None else str(run.exit_status),
            "as expected" if run.as_expected else "NOT AS EXPECTED",
        ]
        for run in runs
    ]
    headers = ("run", *map(markdown.code, cases), "fresh processes", "exit code", "")
    return markdown.table(headers, rows, left=range(len(cases) + 1))


def _status(run: Gated, case: str) -> str:
    status = next((v.status.value for v in run.verdicts if v.case == case), "–")
    return f"{status} by its time" if case in run.by_time else status


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m perf_tests.proof.gate", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs' folders")
    parser.add_argument("--sessions", type=int, default=5, help="of the baseline (default: 5)")
    parser.add_argument("--same", type=int, default=10, help="runs of the same code (default: 10)")
    parser.add_argument("--slowed", type=int, default=10, help="runs with the slowdown (default: 10)")
    parser.add_argument("--slowdown", default="mlp-2", metavar="NAME", help="(default: mlp-2)")
    options, given = parser.parse_known_args(arguments)
    try:
        return _prove(options, given or FOUR_CASES)
    except RefreshError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except (SpecError, FormatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _prove(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    find_slowdown(options.slowdown)
    options.out.mkdir(parents=True, exist_ok=True)
    store = options.out / "store"
    if not store.is_dir():
        sessions = measure_sessions(options.out / "sessions", arguments, sessions=options.sessions)
        # A store of its own, of a copy of the tree, and what it can see is what is proved.
        terms = Terms(allow_dirty=True, accept_blind=True)
        store_sessions(Store(store), sessions, command="perf_tests.proof.gate", terms=terms)
    planned = [(f"same-{n}", None) for n in range(1, options.same + 1)]
    planned += [(f"{options.slowdown}-{n}", options.slowdown) for n in range(1, options.slowed + 1)]
    for name, slowdown in planned:
        if not RunFolder(options.out / name).exists():
            run_gate(options.out / name, store, arguments, slowdown=slowdown)
    runs = [read(options.out / name, Store(store)) for name, _ in planned]
    print(table(runs))
    odd = sum(not run.as_expected for run in runs)
    print(f"\n{len(runs)} runs of the gate, {odd} not as expected")
    return 1 if odd else 0


if __name__ == "__main__":
    raise SystemExit(main())
