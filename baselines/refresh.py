"""python -m baselines refresh: new baselines from fresh processes.

Each session is a pytest process of its own through the gate's own code path, judged
against physics and bands. Against the baselines that they replace all sessions are
compared together, by their mean (worse.py), before anything is stored. A run that failed
is never stored, nor is what was picked from beside it.
"""

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from baselines.acceptance import Terms
from baselines.allowed import Allowed, allowed_changes
from baselines.history.place import without_password
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.refresh_table import Change
from baselines.replacing import Old, Replacing
from baselines.run import RunFolder
from baselines.sessions import ByCase, dirty_runs, failed_beside, is_confirmation, unlike
from baselines.store import Store, baseline_of
from baselines.verdict import Outcome, Status


class RefreshError(RuntimeError):
    """Nothing was stored; the message says why, a reason a line."""


class NotAcceptedError(RefreshError):
    """The sessions are sound, and something speaks against storing them: `changes` are
    what would have been stored."""

    def __init__(self, refusals: Sequence[str], changes: Sequence[Change]) -> None:
        super().__init__("\n".join(refusals))
        self.changes = tuple(changes)


def measure_sessions(
    folder: Path,
    arguments: Sequence[str],
    *,
    sessions: int,
    check: Callable[[RunFolder], None] = lambda _: None,
) -> list[RunFolder]:
    """Runs pytest `sessions` times, each in a fresh process and a folder of its own.

    Raises RefreshError at the first that does not pass, and whatever `check` does of the
    first: the others would be no better.
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
            raise RefreshError(
                f"session {number} failed with exit code {done.returncode}: nothing was stored; see {run.path}"
            )
        if number == 1:
            check(run)
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

    Raises RefreshError for a run that did not pass or is a confirmation, and where a case
    is missing or invalid in a session: half a baseline is none.
    """
    by_case: dict[str, list[Record]] = {}
    seen: dict[str, Path] = {}
    for run in runs:
        if is_confirmation(run):
            raise RefreshError(
                f"{run.path}: a fresh process that measured suspects again, not a session: name whole runs"
            )
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


def require_clean(run: RunFolder, *, allow_dirty: bool) -> None:
    """Raises RefreshError where the run's tree was not its commit's, unless told."""
    if run.info().dirty and not allow_dirty:
        raise RefreshError(_dirty(run.info().id))


def _dirty(run_id: str) -> str:
    return (
        f"{run_id}: measured with local changes in the tree; commit them and measure anew, or --allow-dirty"
    )


def store_sessions(
    store: Store,
    runs: Sequence[RunFolder],
    *,
    command: str,
    terms: Terms = Terms(),  # noqa: B008 - frozen
    policy: Policy = POLICY,
    allowed: Sequence[Allowed] | None = None,
) -> list[Change]:
    """Replaces the baselines of every case in `runs`; all stored files and all new sessions
    are checked before the first is written. No other writer comes between the look at the
    old and the last of the new. Under `terms.dry_run` all is checked and nothing written.

    Raises RefreshError, FormatError, SpecError and OSError; a damaged file is never overwritten.
    """
    by_case = collect(runs)
    if faults := _faults(runs, by_case, terms):
        raise RefreshError("\n".join(faults))
    written = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    replacing = Replacing(
        store=store,
        by_case=by_case,
        fresh={
            case_id: baseline_of(records, written=written, command=command)
            for case_id, records in by_case.items()
        },
        terms=terms,
        policy=policy,
        allowed=allowed_changes() if allowed is None else allowed,
    )
    # What is refused makes no folder and no lock.
    old = replacing.old()
    changes = _accepted(replacing, old)
    if terms.dry_run:
        return changes
    with store.locked():
        # Another writer may have come before.
        if (now := replacing.old()) != old:
            changes = _accepted(replacing, now)
        store.put([change.new for change in changes])
    return changes


def _accepted(replacing: Replacing, old: Old) -> list[Change]:
    if faults := replacing.unmergeable(old):
        raise RefreshError("\n".join(f"{words}; refresh without --add, or both cards" for words in faults))
    changes, refusals = replacing.changes(old)
    if refusals:
        raise NotAcceptedError(refusals, changes)
    return changes


def _faults(runs: Sequence[RunFolder], by_case: ByCase, terms: Terms) -> list[str]:
    """Why the runs are no sessions of one baseline, in words."""
    found = [f"{words}; the sessions of a baseline share it: measure anew" for words in unlike(by_case)]
    if any(words.startswith("gpu_uuid") for words in found):
        found.append("two cards were measured: store the one, then add the other with --add")
    found += [words for run in runs for words in _unproved(run, by_case)]
    if not terms.allow_dirty:
        found += map(_dirty, dirty_runs(by_case))
    found += [
        f"{words}; what passed beside it is a retry: measure anew, without --from"
        for words in failed_beside(runs, by_case)
    ]
    return found


def _unproved(run: RunFolder, by_case: ByCase) -> list[str]:
    """What the gate has not said of a run, or has said against it."""
    verdicts = run.verdicts()
    failing = sorted(f"{v.case} {v.status}" for v in verdicts if v.outcome(strict=False) is Outcome.FAILS)
    found = [f"{run.path}: failing verdicts: {', '.join(failing)}"] if failing else []
    if unjudged := sorted(set(by_case) - {v.case for v in verdicts}):
        found.append(
            f"{run.path}: not judged: {', '.join(unjudged)}; only what the gate has judged becomes a baseline"
        )
    return found
