"""Were the slowdowns seen? python -m perf_tests.proof.slowdowns --baseline RUN... --runs NAME=RUN...

Reads stored runs, needs no GPU. Exit status: 0 as expected, 1 an expectation is
violated, 2 bad input.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from analytic import Phase, SpecError, text
from baselines import markdown
from baselines.codec import FormatError
from baselines.files import write_text
from baselines.record import Record
from baselines.refresh.errors import RefreshError
from baselines.refresh.sessions import ByCase
from baselines.run import RunFolder
from perf_tests.proof.expectations import COUNTS, find_expectation
from perf_tests.proof.inject import injected
from perf_tests.proof.judged import folders, said, sessions_of
from perf_tests.proof.seen import Seen, see
from perf_tests.proof.sizes import Sizes, read_sizes
from perf_tests.proof.violations import moved_words, must_be_claimed, violations
from perf_tests.proof.work import SLOWDOWNS, find_slowdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was seen of a slowdown in a case, whether the gate must claim it, and where
    it is not as expected, in words."""

    seen: Seen
    must: bool
    violations: tuple[str, ...]


def check(slowdown: str, records: Sequence[Record], sessions: ByCase, sizes: Sizes) -> list[Checked]:
    """A slowed run's records. Raises SpecError for a case that the sessions lack."""
    found = []
    for record, seen in zip(records, see(slowdown, records, sessions, sizes), strict=True):
        expected = find_expectation(slowdown).of(record.case)
        found.append(
            Checked(
                seen=seen,
                must=must_be_claimed(seen, expected),
                violations=violations(seen, record, sessions[record.case.id], expected),
            )
        )
    return found


HEADERS = (
    "slowdown",
    "case",
    "true size",
    "seen",
    "seen share",
    "claimed from",
    "must be claimed",
    "by its time",
    "counts",
    "moved most",
    "expectation",
)


def table(found: Sequence[Checked]) -> str:
    """Markdown, one line per slowdown and case."""
    return markdown.table(HEADERS, [_row(one) for one in found], left=(0, 1, 6, 7, 8, 9, 10))


def _row(checked: Checked) -> list[str]:
    one = checked.seen
    return [
        markdown.code(one.slowdown),
        markdown.code(one.case),
        _true(one),
        text.seconds(one.added_s),
        text.signed_percent(one.change),
        text.percent(one.limit, digits=2),
        "yes" if checked.must else "no",
        said(one.status),
        markdown.escape(", ".join(f"{name} {by:+d}" for name, by in one.counts.items()) or "none"),
        markdown.escape(moved_words(one.moved[0])) if one.moved else "none",
        markdown.escape("VIOLATED: " + "; ".join(checked.violations)) if checked.violations else "met",
    ]


def _true(one: Seen) -> str:
    size = one.size
    if size is None or size.added_s is None:
        return "–"
    words = f"{text.seconds(size.added_s)} ({text.signed_percent(size.added_s / one.base_s)})"
    return words if size.resolved else f"{words}, not resolved"


COLUMNS = (
    "slowdown",
    "case",
    "true_s",
    "true_low_s",
    "true_high_s",
    "base_device_s",
    "device_s",
    "change",
    "limit",
    "must_be_claimed",
    "by_its_time",
    *COUNTS,
    "moved_operators",
    "violations",
)


def as_csv(found: Sequence[Checked]) -> str:
    """Counts are differences, empty where a count did not move."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for checked in found:
        one, size = checked.seen, checked.seen.size
        timed = (size.added_s, size.low_s, size.high_s) if size else (None, None, None)
        writer.writerow(
            (
                one.slowdown,
                one.case,
                *("" if value is None else value for value in timed),
                one.base_s,
                one.device_s,
                one.change,
                one.limit,
                "yes" if checked.must else "no",
                said(one.status),
                *(one.counts.get(name, "") for name in COUNTS),
                "; ".join(map(moved_words, one.moved)),
                "; ".join(checked.violations),
            )
        )
    return out.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m perf_tests.proof.slowdowns", description=__doc__)
    parser.add_argument("--baseline", nargs="+", type=Path, required=True, metavar="RUN", help="A/A runs")
    parser.add_argument("--runs", nargs="+", required=True, metavar="NAME=RUN", help="slowed runs")
    parser.add_argument("--sizes", type=Path, help="what perf_tests.proof.true_size wrote")
    parser.add_argument("--out", type=Path, help="the table to write (CSV)")
    options = parser.parse_args(arguments)
    try:
        return _judge(options)
    except (SpecError, FormatError, RefreshError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _judge(options: argparse.Namespace) -> int:
    sizes = read_sizes(options.sizes) if options.sizes else {}
    runs = [_named_run(given) for given in options.runs]
    sessions = sessions_of(folders(options.baseline))
    found = [one for name, run in runs for one in check(name, _steps(run), sessions, sizes)]
    print(table(found))
    if lacking := sorted({s.name for s in SLOWDOWNS} - {one.seen.slowdown for one in found}):
        print(f"\nnot run: {', '.join(lacking)}")
    violated = [one for one in found if one.violations]
    print(f"\n{len(found)} cases slowed, {len(violated)} not as expected")
    if options.out:
        write_text(as_csv(found), options.out)
    return 1 if violated else 0


def _steps(run: RunFolder) -> list[Record]:
    """The run's records of single steps. Raises SpecError where one that was planned
    is missing: a case that did not run met no expectation."""
    records = [r for r in run.records() if r.case.phase is not Phase.GENERATE]
    measured = {record.case.id for record in records}
    for planned in run.info().planned:
        if planned.case.phase is not Phase.GENERATE and planned.case.id not in measured:
            why = planned.not_run or "it did not finish"
            raise SpecError(f"{run.path} has no {planned.case.id}: {why}")
    if not records:
        raise SpecError(f"{run.path} holds no record of a step")
    return records


def _named_run(given: str) -> tuple[str, RunFolder]:
    """NAME=RUN. Raises SpecError where the run was measured with another slowdown."""
    name, equals, path = given.partition("=")
    if not equals:
        raise SpecError(f"--runs {given}: it should read like kv-copy=runs/FOLDER")
    find_slowdown(name)
    (run,) = folders([Path(path)])
    held = injected(run.path)
    if held != name:
        raise SpecError(f"{path} was measured with {held or 'no slowdown'}, not with {name}")
    return name, run


if __name__ == "__main__":
    raise SystemExit(main())
