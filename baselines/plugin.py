"""pytest's side of records and verdicts: where a run is kept, and how it is judged.

Other rooms meet here through the session's state (`state(config)`): the folder
of the run, the store, and the judgement, made once when it is first asked for.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from analytic import SpecError, text
from baselines.allowed import allowed_changes
from baselines.codec import FormatError
from baselines.expectations import bands
from baselines.history.keeping import check_choice, keep
from baselines.history.place import NO_HISTORY, Place
from baselines.judging import Judged, derive_run, judge_folder, measured_again
from baselines.policy import POLICY
from baselines.provenance import stamped
from baselines.run import RunFolder, Verdicts
from baselines.store import DEFAULT_STORE, Store, baseline_of
from baselines.verdict import Outcome, Status


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("roofgate", "Roofgate: inference speed against physics and history")
    group.addoption(
        "--perf-run",
        metavar="FOLDER",
        help="judge and report the records of an earlier run; nothing is measured, no GPU is needed",
    )
    group.addoption(
        "--perf-out", metavar="FOLDER", help="where this run is kept (default: runs/<time>-<commit>)"
    )
    group.addoption(
        "--perf-baselines",
        metavar="FOLDER",
        help=f"the store of baselines (default: {DEFAULT_STORE} under the root)",
    )
    group.addoption(
        "--perf-update",
        choices=("missing",),
        help="missing: store this session as the baseline of cases that have none, if the run passes",
    )
    group.addoption(
        "--perf-strict",
        action="store_true",
        help="fail also on what could not be judged: suspect, ambiguous, invalid, incomparable, no baseline, not measured",
    )
    group.addoption(
        "--perf-history",
        metavar="URL",
        help="the database that keeps every run (default: ROOFGATE_HISTORY, else the SQLite file "
        "runs/history.sqlite under the root); none: keep none",
    )


# Measures cases again in one fresh process, into a folder; says why it could not.
Remeasure = Callable[[Sequence[str], RunFolder], str]


@dataclass(slots=True)
class PerfState:
    """What a session knows of its run. `stored`: an earlier run that --perf-run
    names; `opened`: this session's own, once its first case is measured.
    `remeasure` is the harness's way to a fresh process, `unconfirmed` why there is
    none. `judged_items` are the cases whose verdict a pytest item has given, `unkept`
    says why the verdicts could not be stored."""

    store: Store
    folder: RunFolder | None
    stored: bool
    history: Place = NO_HISTORY
    opened: bool = False
    remeasure: Remeasure | None = None
    unconfirmed: str = ""
    judged: Judged | None = None
    judged_items: set[str] = field(default_factory=set)
    unkept: str = ""

    @property
    def has_run(self) -> bool:
        return self.stored or self.opened

    def judge(self) -> Judged:
        """Every verdict of the run; the first call makes them, and has suspects measured
        again in fresh processes."""
        if self.folder is None or not self.has_run:
            raise pytest.UsageError(
                "there is no run to judge: measure one in the same session, "
                "or name a run's folder with --perf-run"
            )
        if self.judged is None:
            self.judged = self._confirmed(self.folder)
            # Judging an earlier run again does not rewrite what was said of it.
            if not self.stored:
                given = Verdicts(
                    policy_digest=self.judged.policy_digest,
                    verdicts=self.judged.verdicts,
                    shift=self.judged.shift,
                )
                try:
                    self.folder.write_verdicts(given)
                except OSError as error:  # they are given all the same; the session fails
                    self.unkept = f"the verdicts could not be stored: {error}"
        return self.judged

    def _confirmed(self, folder: RunFolder) -> Judged:
        """The run judged, with one more fresh process for all suspects a round."""
        judged = judge_folder(folder, self.store)
        for _ in range(POLICY.rounds):
            if not judged.suspects or self.remeasure is None:
                break
            self.unconfirmed = self.remeasure(judged.suspects, folder.next_confirmation())
            if self.unconfirmed:
                break
            judged = judge_folder(folder, self.store)
        if judged.suspects and self.unconfirmed:
            judged = judge_folder(folder, self.store, unconfirmed=self.unconfirmed)
        return judged

    def stop_measuring(self, why: str) -> None:
        """From now on suspects stay what they are."""
        self.remeasure, self.unconfirmed = None, why


STATE = pytest.StashKey[PerfState]()


def state(config: pytest.Config) -> PerfState:
    return config.stash[STATE]


def pytest_configure(config: pytest.Config) -> None:
    given, out = config.getoption("--perf-run"), config.getoption("--perf-out")
    if given and out:
        raise pytest.UsageError("--perf-run judges an earlier run, --perf-out keeps a new one: give one")
    if given and config.getoption("--perf-update"):
        raise pytest.UsageError("--perf-run judges an earlier run; --perf-update stores a new one: give one")
    folder = None
    if given:
        folder = RunFolder(Path(given))
        try:
            records = folder.records()
            derive_run(records, of=folder)
            measured_again(folder)
        except (FormatError, SpecError) as error:
            raise pytest.UsageError(f"--perf-run {given}: {error}") from error
        if not records:
            raise pytest.UsageError(f"--perf-run {given}: the run holds no record to judge")
    elif out:
        folder = RunFolder(Path(out))
        if folder.exists():
            raise pytest.UsageError(f"--perf-out {out}: already holds a run; name a new folder")
    try:
        history = check_choice(config.getoption("--perf-history"), root=config.rootpath)
        # What judges is read before anything is measured for it.
        bands(), allowed_changes()
    except (FormatError, SpecError) as error:
        raise pytest.UsageError(str(error)) from error
    root = config.getoption("--perf-baselines")
    store = Store(Path(root) if root else config.rootpath / DEFAULT_STORE)
    config.stash[STATE] = PerfState(store=store, folder=folder, stored=bool(given), history=history)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Verdicts that no item has given still count; then --perf-update. Runs after
    the report's hook, so that the exit status it stores is the run's last word."""
    config = session.config
    perf = state(config)
    if perf.folder is None or not perf.opened:
        return
    strict = bool(config.getoption("--perf-strict"))
    try:
        if unseen := _failing_unseen(perf, strict=strict):
            _fail(session, f"failing verdicts that no test item gave: {', '.join(unseen)}")
    except (FormatError, SpecError, OSError) as error:
        _fail(session, f"not judged: {error}")
    if perf.unkept:
        _fail(session, perf.unkept)
    try:
        if config.getoption("--perf-update") == "missing":
            config.stash[NOTES].append(_store_missing(perf, passed=session.exitstatus == pytest.ExitCode.OK))
    except (FormatError, SpecError, OSError) as error:
        _fail(session, f"--perf-update missing: not stored: {error}")
    try:
        perf.folder.write_info(replace(perf.folder.info(), exit_status=int(session.exitstatus)))
    except (FormatError, OSError) as error:  # a full disk: the records that it took are kept
        _fail(session, f"the end of the run could not be stored: {error}")
    if note := keep(perf.folder, perf.history):
        config.stash[NOTES].append(note)


def _fail(session: pytest.Session, note: str) -> None:
    """Says it, and lets the session fail; an interrupted one keeps its own exit code."""
    session.config.stash[NOTES].append(note)
    if session.exitstatus != pytest.ExitCode.INTERRUPTED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _failing_unseen(perf: PerfState, *, strict: bool) -> list[str]:
    judged = perf.judge()
    failing = {v.case for v in judged.verdicts if v.outcome(strict=strict) is Outcome.FAILS}
    return sorted(failing - perf.judged_items)


def _store_missing(perf: PerfState, *, passed: bool) -> str:
    """Stores cases that have no baseline; says what it did. A failed run stores nothing."""
    assert perf.folder is not None  # noqa: S101 - the caller has opened it
    if not passed:
        return "--perf-update missing: nothing stored, the run did not pass"
    if perf.folder.info().dirty:
        return (
            "--perf-update missing: nothing stored, the tree has local changes; commit them and measure anew"
        )
    if perf.folder.disowned:
        return f"--perf-update missing: nothing stored, {perf.folder.disowned}"
    judged = perf.judge()
    usable = {v.case for v in judged.verdicts if v.status is not Status.INVALID}
    records = [d.record for d in judged.derived if d.record.case.id in usable]
    when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    with perf.store.locked():
        missing = [
            stamped(baseline_of([record], written=when, command="pytest --perf-update missing"), old=None)
            for record in records
            if perf.store.load(record) is None
        ]
        perf.store.put(missing)
    stored = text.counted(len(missing), "baseline")
    return f"--perf-update missing: stored {stored} in {perf.store.root}"


NOTES = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[NOTES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for note in config.stash.get(NOTES, []):
        terminalreporter.write_line(f"roofgate: {note}")
