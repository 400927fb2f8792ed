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
from baselines.interval import own_spread, prediction_margin
from baselines.policy import POLICY
from baselines.record import Record
from baselines.refresh import RefreshError
from baselines.run import RunFolder
from baselines.store import session_kernels
from baselines.verdict import Status, Verdict
from perf_tests.proof.expectations import COUNTS, DEVICE, Expectation, Move, find_expectation
from perf_tests.proof.inject import injected
from perf_tests.proof.judged import Sessions, device_alone, device_s, folders, sessions_of, verdicts
from perf_tests.proof.true_size import TrueSize, read_sizes
from perf_tests.proof.work import SLOWDOWNS, find_slowdown
from reports import markdown

# What the gate promises to see: a slowdown of this true share must be found slower.
PROMISE = 0.01
# Device time that must not move, moves by no more than this, or by no more than
# the sessions' own noise where that is wider.
STILL_SHARE = 0.003
# An operator moved if it did by more than this share of the whole step, and by more
# than its own noise (attribution.explain); or if it launched something more or less.
OPERATOR_SHARE = 0.003

# Statuses of a time that was judged; of those without a change in it a warning is
# of something else, such as a missing band.
_CHANGES = {Status.REGRESSED: "regressed", Status.IMPROVED: "improved"}
_JUDGED = (*_CHANGES, Status.WARN, Status.PASS)
_NO_CHANGE = "no change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One slowdown in one case. `base_s` is the sessions' mean device time;
    `status` the gate's verdict of the times alone. `counts` are the differences of
    the counts that moved. `violations` in words."""

    slowdown: str
    case: str
    base_s: float
    device_s: float
    status: Status
    counts: Mapping[str, int]
    moved: tuple[Moved, ...]
    size: TrueSize | None
    true_s: float | None
    violations: tuple[str, ...]

    @property
    def change(self) -> float:
        return self.device_s / self.base_s - 1


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


def _margin(times_s: Sequence[float]) -> float:
    """How far a further session may lie off by chance, in log units; none where
    the times tell no spread."""
    spread = own_spread([math.log(t) for t in times_s]) if min(times_s) > 0 else None
    return prediction_margin(spread, sessions=len(times_s), alpha=POLICY.alpha) if spread else 0.0


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
    times = verdicts(map(device_alone, records), stripped)
    return [
        _seen(
            slowdown,
            record,
            sessions[record.case.id],
            times=times[record.case.id],
            size=sizes.get((slowdown, record.case.id)),
        )
        for record in records
    ]


def _seen(
    slowdown: str,
    record: Record,
    sessions: Sequence[Record],
    *,
    times: Verdict,
    size: TrueSize | None,
) -> Seen:
    base_s = math.exp(fmean(math.log(device_s(session)) for session in sessions))
    true_s = size.added_s if size else None
    launched = _launched(sessions[0])
    if size and size.base_s is not None and true_s is not None and launched:
        # A replay has a gap after each kernel, which a device time has not.
        gap_s = max(0.0, (size.base_s - base_s) / launched)
        true_s -= gap_s * (_launched(record) - launched)
    expected = find_expectation(slowdown).of(record.case)
    seen = Seen(
        slowdown=slowdown,
        case=record.case.id,
        base_s=base_s,
        device_s=device_s(record),
        status=times.status,
        counts=_count_changes(record, sessions),
        moved=moved_operators(record, sessions),
        size=size,
        true_s=true_s,
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
    if record.soft.gpu_uuid not in {session.soft.gpu_uuid for session in sessions}:
        return ["measured on another card than the sessions: its time is not judged"]
    if seen.status not in _JUDGED:
        return [f"device time was not judged: {seen.status}"]
    move = expected.move(DEVICE)
    if move is Move.FREE and seen.true_s is not None and seen.true_s >= PROMISE * seen.base_s:
        move = Move.GROWS
    if move is Move.GROWS and seen.status is not Status.REGRESSED:
        return [
            f"device time must grow; {text.signed_percent(seen.change)} is {_CHANGES.get(seen.status, _NO_CHANGE)}"
        ]
    limit = max(STILL_SHARE, math.expm1(_margin([device_s(session) for session in sessions])))
    if move is Move.STILL and (seen.status is Status.REGRESSED or abs(seen.change) > limit):
        return [
            f"device time must not move; {text.signed_percent(seen.change)} of {text.percent(limit, digits=2)}"
        ]
    return []


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
    return f"{one.name} {signed(one.change_s)}, {one.launches:+d} launches"


HEADERS = (
    "slowdown",
    "case",
    "true size",
    "less gaps",
    "seen",
    "seen share",
    "by its time",
    "counts",
    "moved most",
    "expectation",
)


def table(seen: Sequence[Seen]) -> str:
    """Markdown, one line per slowdown and case."""
    return markdown.table(HEADERS, [_row(one) for one in seen], left=(0, 1, 6, 7, 8, 9))


def _row(one: Seen) -> list[str]:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{text.seconds(value)} ({text.signed_percent(value / one.base_s)})"

    return [
        markdown.code(one.slowdown),
        markdown.code(one.case),
        share(one.size.added_s if one.size else None),
        share(one.true_s),
        text.seconds(one.device_s - one.base_s),
        text.signed_percent(one.change),
        _CHANGES.get(one.status, _NO_CHANGE if one.status in _JUDGED else str(one.status)),
        markdown.escape(", ".join(f"{name} {by:+d}" for name, by in one.counts.items()) or "none"),
        markdown.escape(_moved(one.moved[0])) if one.moved else "none",
        markdown.escape("VIOLATED: " + "; ".join(one.violations)) if one.violations else "met",
    ]


COLUMNS = (
    "slowdown",
    "case",
    "true_replay_s",
    "true_less_gaps_s",
    "base_device_s",
    "device_s",
    "change",
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
        writer.writerow(
            (
                one.slowdown,
                one.case,
                one.size.added_s if one.size else "",
                "" if one.true_s is None else one.true_s,
                one.base_s,
                one.device_s,
                one.change,
                one.status,
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
