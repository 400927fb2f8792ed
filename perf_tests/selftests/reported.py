"""The report of a run made from plain records, and its text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from baselines.record import Record
from baselines.store import Store
from baselines.verdict import Verdict
from perf_tests.selftests.records import run_folder
from reports.report import Report, report_of
from reports.summary import summarise


def reported(
    *records: Record, verdicts: Sequence[Verdict] = (), not_run: Mapping[str, str] | None = None
) -> Report:
    """Against an empty store, and without a history."""
    with TemporaryDirectory() as place:
        folder = run_folder(Path(place) / "run", records, verdicts=verdicts or None, not_run=not_run)
        return report_of(folder, verdicts, Store(Path(place) / "store"))


def summary(
    *records: Record, verdicts: Sequence[Verdict] = (), not_run: Mapping[str, str] | None = None
) -> str:
    return summarise(reported(*records, verdicts=verdicts, not_run=not_run), images=())


def section(markdown: str, title: str) -> str:
    return markdown.split(f"## {title}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
