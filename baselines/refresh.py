"""python -m baselines refresh: new baselines from fresh processes.

Each session is a pytest process of its own through the gate's own code path,
judged against physics and bands, but not against the baselines it replaces.
A run that failed is never stored.
"""

import datetime as dt
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from analytic import text
from baselines.history.place import without_password
from baselines.record import Record
from baselines.run import RunFolder
from baselines.store import Baseline, Store, baseline_of
from baselines.verdict import Status


class RefreshError(RuntimeError):
    """Nothing was stored; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One case's stored baseline, old to new; medians over sessions, in seconds."""

    case: str
    path: Path
    sessions: int
    old_device_s: float | None
    new_device_s: float | None
    old_wall_s: float | None
    new_wall_s: float


def measure_sessions(folder: Path, arguments: Sequence[str], *, sessions: int) -> list[RunFolder]:
    """Runs pytest `sessions` times, each in a fresh process and a folder of its own.

    Raises RefreshError at the first that does not pass.
    """
    given = arguments if "-m" in arguments else ("-m", "gpu", *arguments)
    runs = []
    for number in range(1, sessions + 1):
        run = RunFolder(folder / f"session-{number}")
        # Sessions are not judged by the history that they are to replace.
        nothing = folder / "no-baselines"
        command = [sys.executable, "-m", "pytest", *_joined(given)]
        command += [f"--perf-out={run.path}", f"--perf-baselines={nothing}"]
        print(f"session {number} of {sessions}: {without_password(' '.join(command))}", flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise RefreshError(
                f"session {number} failed with exit code {done.returncode}: nothing was stored; see {run.path}"
            )
        runs.append(run)
    return runs


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--perf-x VALUE` as `--perf-x=VALUE`: a folder that stands alone among the
    arguments would make pytest look for its configuration there."""
    joined: list[str] = []
    for argument in arguments:
        before = joined[-1] if joined else ""
        if before.startswith("--perf-") and "=" not in before and not argument.startswith("-"):
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined


def collect(runs: Sequence[RunFolder]) -> dict[str, list[Record]]:
    """The records of each case, one per session.

    Raises RefreshError for a run that did not pass, and where a case is missing
    or invalid in a session: half a baseline is none.
    """
    by_case: dict[str, list[Record]] = {}
    seen: dict[str, Path] = {}
    for run in runs:
        info = run.info()
        if info.id in seen:
            raise RefreshError(
                f"{run.path}: the same run as {seen[info.id]} ({info.id}): that is one session, not two"
            )
        seen[info.id] = run.path
        if info.exit_status != 0:
            ended = "was cut off" if info.exit_status is None else f"ended with exit code {info.exit_status}"
            raise RefreshError(f"{run.path}: the run {ended}; only a run that passed becomes a baseline")
        invalid = sorted(v.case for v in run.verdicts() if v.status is Status.INVALID)
        if invalid:
            raise RefreshError(f"{run.path}: invalid measurements: {', '.join(invalid)}")
        for record in run.records():
            by_case.setdefault(record.case.id, []).append(record)
    if not by_case:
        raise RefreshError("no session measured any case: nothing was stored")
    for case_id, records in by_case.items():
        if len({r.run for r in records}) != len(runs):
            raise RefreshError(
                f"{case_id} was measured in {len({r.run for r in records})} of {len(runs)} runs "
                "(every session must measure it once): nothing was stored"
            )
    return by_case


def store_sessions(store: Store, runs: Sequence[RunFolder], *, command: str) -> list[Change]:
    """Replaces the baselines of every case in `runs`; all stored files and all
    new sessions are checked before the first is written. No other writer comes between
    the look at the old and the last of the new.

    Raises RefreshError, FormatError, SpecError and OSError; a damaged file is never overwritten.
    """
    by_case = collect(runs)
    written = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    new = {
        case_id: baseline_of(records, written=written, command=command)
        for case_id, records in by_case.items()
    }
    with store.locked():
        old = {case_id: store.load(records[0]) for case_id, records in by_case.items()}
        paths = store.put(list(new.values()))
    return [
        _change(case_id, path, old[case_id], new[case_id]) for case_id, path in zip(new, paths, strict=True)
    ]


def _change(case_id: str, path: Path, old: Baseline | None, new: Baseline) -> Change:
    return Change(
        case=case_id,
        path=path,
        sessions=len(new.sessions),
        old_device_s=_median(old.device_medians_s) if old else None,
        new_device_s=_median(new.device_medians_s),
        old_wall_s=_median(old.wall_medians_s) if old else None,
        new_wall_s=median(new.wall_medians_s),
    )


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def change_table(changes: Sequence[Change]) -> str:
    """Old -> new as Markdown; the pull request's text."""
    lines = [
        "| case | sessions | device old | device new | change | wall old | wall new |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for c in changes:
        change = "new"
        if c.old_device_s is not None and c.new_device_s is not None:
            change = text.signed_percent(c.new_device_s / c.old_device_s - 1)
        elif c.old_wall_s is not None:
            change = f"wall {text.signed_percent(c.new_wall_s / c.old_wall_s - 1)}"
        cells = (c.old_device_s, c.new_device_s, c.old_wall_s, c.new_wall_s)
        old_device, new_device, old_wall, new_wall = (text.seconds(v) for v in cells)
        lines.append(
            f"| `{c.case}` | {c.sessions} | {old_device} | {new_device} | {change} | {old_wall} | {new_wall} |"
        )
    return "\n".join(lines)
