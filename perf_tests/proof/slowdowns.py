"""Were the slowdowns seen? python -m perf_tests.proof.slowdowns --baseline RUN... --runs NAME=RUN...

Reads stored runs, needs no GPU. Exit status: 0 as expected, 1 an expectation is
violated, 2 bad input.
"""

import argparse
import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from statistics import fmean

from analytic import Phase, SpecError, text
from baselines.attribution import Moved, explain, signed
from baselines.codec import FormatError, write_text
from baselines.record import Record
from baselines.refresh import RefreshError
from baselines.run import RunFolder
from baselines.store import session_kernels
from baselines.verdict import Status
from perf_tests.proof.expectations import COUNTS, DEVICE, Expectation, Move, find_expectation
from perf_tests.proof.inject import injected
from perf_tests.proof.judged import (
    JUDGED,
    Sessions,
    comparable_card,
    device_alone,
    device_s,
    folders,
    limits,
    said,
    sessions_of,
    statuses,
)
from perf_tests.proof.true_size import TrueSize, read_sizes
from perf_tests.proof.work import SLOWDOWNS, find_slowdown
from reports import markdown

# What the gate promises to see: a slowdown of this true share must be found slower.
PROMISE = 0.01
# Device time that must not move, moves by no more than this, or by less than the
# gate would claim against these sessions where that is more.
STILL_SHARE = 0.003
# What is seen may differ from the true size by this share of it, by what the gate
# would not claim, and by this much for each launch that was added: a replay times
# from one kernel's start to the next, CUPTI from a kernel's start to its end.
SIZE_SHARE = 0.25
LAUNCH_S = 1e-6
# An operator moved if it did by more than this share of the whole step, and by more
# than its own noise (attribution.explain); or if it launched something more or less.
OPERATOR_SHARE = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One slowdown in one case. `base_s` is the sessions' mean device time;
    `status` the gate's verdict of the times alone, and `limit` the share from which it
    claims a change. `launched` is how many more launches, copies and fills there
    were, `counts` are the differences of the counts that moved. `violations` in words."""

    slowdown: str
    case: str
    base_s: float
    device_s: float
    status: Status
    limit: float
    launched: int
    counts: Mapping[str, int]
    moved: tuple[Moved, ...]
    size: TrueSize | None
    violations: tuple[str, ...]

    @property
    def added_s(self) -> float:
        return self.device_s - self.base_s

    @property
    def change(self) -> float:
        return self.device_s / self.base_s - 1

    @property
    def promised(self) -> bool | None:
        """Whether its true size is surely what the gate promises to see; None where
        it was not timed."""
        if self.size is None or self.size.low_s is None:
            return None
        return self.size.low_s >= PROMISE * self.base_s


def moved_operators(record: Record, sessions: Sequence[Record]) -> tuple[Moved, ...]:
    """The operators that moved by more than noise and OPERATOR_SHARE, the most first;
    none where kernels were not told apart."""
    then, now = session_kernels(sessions), record.measurement.kernels
    if then is None or now is None:
        return ()
    least_s = OPERATOR_SHARE * fmean(device_s(session) for session in sessions)
    return tuple(one for one in explain(now, then) if one.launches or abs(one.change_s) > least_s)


def _launched(record: Record) -> int:
    """Kernels, copies and fills of a step."""
    return sum(kernel.launches for kernel in record.measurement.kernels or ())


def see(
    slowdown: str,
    records: Sequence[Record],
    sessions: Sessions,
    sizes: Mapping[tuple[str, str], TrueSize],
) -> list[Seen]:
    """A slowed run's records beside the sessions. Raises SpecError for a case that
    the sessions lack."""
    for record in records:
        if record.case.id not in sessions:
            raise SpecError(f"{slowdown}: no baseline session measured {record.case.id}")
    stripped = {case: [device_alone(r) for r in of_case] for case, of_case in sessions.items()}
    times, least = statuses(map(device_alone, records), stripped), limits(stripped)
    return [
        _seen(
            slowdown,
            record,
            sessions[record.case.id],
            status=times[record.case.id],
            limit=least.get(record.case.id, 0.0),
            size=sizes.get((slowdown, record.case.id)),
        )
        for record in records
    ]


def _seen(
    slowdown: str,
    record: Record,
    sessions: Sequence[Record],
    *,
    status: Status,
    limit: float,
    size: TrueSize | None,
) -> Seen:
    expected = find_expectation(slowdown).of(record.case)
    seen = Seen(
        slowdown=slowdown,
        case=record.case.id,
        base_s=math.exp(fmean(math.log(device_s(session)) for session in sessions)),
        device_s=device_s(record),
        status=status,
        limit=limit,
        launched=_launched(record) - _launched(sessions[0]),
        counts=_count_changes(record, sessions),
        moved=moved_operators(record, sessions),
        size=size,
        violations=(),
    )
    found = (
        *_device_violations(seen, record, sessions, expected),
        *_count_violations(record, sessions, expected),
        *_operator_violations(seen, record, sessions, expected),
    )
    return replace(seen, violations=found)


def _count_changes(record: Record, sessions: Sequence[Record]) -> dict[str, int]:
    """By how much each count lies outside of what the sessions counted."""
    changes = {}
    for name in COUNTS:
        now, then = _count(record, name), [_count(session, name) for session in sessions]
        known = [value for value in then if value is not None]
        if now is not None and known and not min(known) <= now <= max(known):
            changes[name] = now - (max(known) if now > max(known) else min(known))
    return changes


def _count(record: Record, name: str) -> int | None:
    counts = record.measurement.counts
    return None if counts is None else getattr(counts, name)


def _device_violations(
    seen: Seen, record: Record, sessions: Sequence[Record], expected: Expectation
) -> list[str]:
    if not comparable_card(record, sessions):
        return ["measured on another card than the sessions: its time is not judged"]
    if seen.status not in JUDGED:
        return [f"device time was not judged: {seen.status}"]
    move, change = expected.move(DEVICE), text.signed_percent(seen.change)
    if move is Move.STILL:
        limit = max(STILL_SHARE, seen.limit)
        moved = seen.status is Status.REGRESSED or abs(seen.change) > limit
        return [f"device time must not move by {text.percent(limit, digits=2)}; {change}"] if moved else []
    # A time that may move must, where its true size is what the gate promises to see;
    # one that must grow need not be claimed where that is less.
    must = seen.promised if seen.promised is not None else move is Move.GROWS
    if must and seen.status is not Status.REGRESSED:
        return [f"device time must grow; {change} is {said(seen.status)}"]
    if move is Move.GROWS and seen.added_s <= 0:
        return [f"device time must grow; it did by {change}"]
    return _size_violations(seen)


def _size_violations(seen: Seen) -> list[str]:
    """Where what was seen is not the true size."""
    size = seen.size
    if size is None or size.added_s is None or size.low_s is None:
        return []
    tolerance_s = (
        max(SIZE_SHARE * abs(size.added_s), seen.limit * seen.base_s)
        + size.noise_s
        + LAUNCH_S * abs(seen.launched)
    )
    if abs(seen.added_s - size.added_s) <= tolerance_s:
        return []
    saw, true, within = (text.seconds(s) for s in (seen.added_s, size.added_s, tolerance_s))
    return [f"saw {saw}, which is not the true {true} (within {within})"]


def _count_violations(record: Record, sessions: Sequence[Record], expected: Expectation) -> list[str]:
    found = []
    for name in COUNTS:
        move = expected.move(name)
        now, then = _count(record, name), {_count(session, name) for session in sessions}
        if move is Move.FREE:
            continue
        if now is None or None in then:
            found.append(f"{name} was not counted, and {move}")
            continue
        known = [value for value in then if value is not None]
        growth = now - max(known)
        if move is Move.STILL and now not in known:
            found.append(f"{name} must not move; {max(known)} -> {now}")
        elif move is Move.GROWS and growth <= 0:
            found.append(f"{name} must grow; {max(known)} -> {now}")
        wanted = expected.per_layer.get(name, 0) * record.model.n_layers
        if move is Move.GROWS and wanted and growth != wanted:
            found.append(f"{name} must grow by {wanted}; it did by {growth}")
    return found


def _operator_violations(
    seen: Seen, record: Record, sessions: Sequence[Record], expected: Expectation
) -> list[str]:
    if any(one.measurement.kernels is None for one in (record, *sessions)):
        return ["kernels were not told apart by operator"]
    found = []
    by_name = {one.name: one for one in seen.moved}
    for name in expected.operators:
        one = by_name.get(name)
        if one is None or min(one.change_s, one.launches) < 0:
            found.append(f"{name} must grow; {_moved(one) if one else 'it did not move'}")
    known = (*expected.operators, *expected.free_operators)
    found += [f"{one.name} must not move; {_moved(one)}" for one in seen.moved if one.name not in known]
    return found


def _moved(one: Moved) -> str:
    return f"{one.name} {signed(one.change_s)}, {one.launches:+d} device ops"


HEADERS = (
    "slowdown",
    "case",
    "true size",
    "seen",
    "seen share",
    "claimed from",
    "by its time",
    "counts",
    "moved most",
    "expectation",
)


def table(seen: Sequence[Seen]) -> str:
    """Markdown, one line per slowdown and case."""
    return markdown.table(HEADERS, [_row(one) for one in seen], left=(0, 1, 6, 7, 8, 9))


def _row(one: Seen) -> list[str]:
    return [
        markdown.code(one.slowdown),
        markdown.code(one.case),
        _true(one),
        text.seconds(one.added_s),
        text.signed_percent(one.change),
        text.percent(one.limit, digits=2),
        said(one.status),
        markdown.escape(", ".join(f"{name} {by:+d}" for name, by in one.counts.items()) or "none"),
        markdown.escape(_moved(one.moved[0])) if one.moved else "none",
        markdown.escape("VIOLATED: " + "; ".join(one.violations)) if one.violations else "met",
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
    "by_its_time",
    *COUNTS,
    "moved_operators",
    "violations",
)


def as_csv(seen: Sequence[Seen]) -> str:
    """Counts are differences, empty where a count did not move."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in seen:
        size = one.size
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
                said(one.status),
                *(one.counts.get(name, "") for name in COUNTS),
                "; ".join(map(_moved, one.moved)),
                "; ".join(one.violations),
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
    seen = [one for name, run in runs for one in see(name, _steps(run), sessions, sizes)]
    print(table(seen))
    if lacking := sorted({s.name for s in SLOWDOWNS} - {one.slowdown for one in seen}):
        print(f"\nnot run: {', '.join(lacking)}")
    violated = [one for one in seen if one.violations]
    print(f"\n{len(seen)} cases slowed, {len(violated)} not as expected")
    if options.out:
        write_text(as_csv(seen), options.out)
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
