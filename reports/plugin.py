"""pytest's side of the reports: after a run, its table and findings on the terminal, its page on disk."""

import pytest

from baselines.plugin import NOTES, state

TABLE = pytest.StashKey[str]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    perf = state(session.config)
    if perf.folder is None or not perf.has_run:
        return
    from analytic import SpecError
    from baselines.codec import FormatError
    from reports.findings import bottlenecks
    from reports.render import render
    from reports.table import results

    try:
        judged = perf.judge()
        if not judged.derived:
            session.config.stash[NOTES].append("no case was measured, so there is no report")
            return
        told = (results(judged.derived, judged.verdicts), bottlenecks(judged.derived))
        session.config.stash[TABLE] = "\n\n".join(filter(None, told))
        if not perf.stored:  # `python -m reports render` redraws an earlier run
            report = render(perf.folder, judged.verdicts, perf.store, history=perf.history)
            session.config.stash[NOTES].append(f"report: {report}")
    except (FormatError, SpecError) as error:
        _without_report(session, f"no report: {error}")
    except OSError as error:  # a full disk, most likely
        _without_report(session, f"report not written: {error}")


def _without_report(session: pytest.Session, note: str) -> None:
    """The records and verdicts are on disk; that the report is not is said, and counts."""
    session.config.stash[NOTES].append(note)
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if table := config.stash.get(TABLE, None):
        terminalreporter.section("roofgate")
        terminalreporter.write_line(table)
