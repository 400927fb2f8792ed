"""The same code in fresh processes: python -m perf_tests.proof.aa RUN... [--out aa.csv]

Exit status: 0 within the limit, 1 where the device time of a decode or of a
prefill of one sequence varies by more between processes, or where the gate raised
more false alarms than its policy lets chance raise; 2 bad input.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from math import comb
from pathlib import Path
from statistics import fmean, median, stdev

from analytic import Case, Phase, SpecError, text
from baselines import markdown
from baselines.card_clock import steps_above
from baselines.codec import FormatError
from baselines.files import write_text
from baselines.record import Record
from baselines.refresh.errors import RefreshError
from baselines.refresh.sessions import ByCase
from baselines.verdict import Status
from perf_tests.proof.expectations import COUNTS
from perf_tests.proof.judged import (
    ALONE,
    CHANGES,
    JUDGED,
    count,
    device_s,
    folders,
    limits,
    said,
    sessions_of,
    statuses,
)

# What is promised of the between-process CV of device time.
LIMIT = 0.003
# Of so unlikely a number of false alarms chance is not to blame.
RARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """One case over fresh processes: medians in seconds, one a process, in their
    order. `device_s` is at the card's own clock, which the gate judges, `as_run_s` as
    it was measured, `clock_mhz` the SM clock meanwhile, None where it was not
    measured; `steps_above` how many steps ran above the card's own. `unequal` names
    the counts that processes disagree on. `verdicts` are of each process against all
    others; empty where these are too few to judge. `limit` is the relative change
    that the gate would claim against all of them."""

    case: Case
    device_s: tuple[float, ...]
    as_run_s: tuple[float, ...]
    clock_mhz: tuple[float | None, ...]
    steps_above: tuple[int, ...]
    wall_s: tuple[float, ...]
    cards: int
    unequal: tuple[str, ...]
    verdicts: tuple[Status, ...]
    limit: float | None

    @property
    def device_cv(self) -> float:
        return cv(self.device_s)

    @property
    def as_run_cv(self) -> float:
        return cv(self.as_run_s)

    @property
    def above_clock(self) -> int | None:
        """Processes in which a step ran above the card's own clock; None where no clock was measured."""
        return sum(map(bool, self.steps_above)) if any(self.clock_mhz) else None

    @property
    def wall_cv(self) -> float:
        return cv(self.wall_s)

    @property
    def alarms(self) -> int:
        """Verdicts that claim a change where there is none."""
        return sum(status in CHANGES for status in self.verdicts)

    @property
    def judged(self) -> int:
        return sum(status in JUDGED for status in self.verdicts)

    @property
    def promised(self) -> bool:
        return self.case.phase is Phase.DECODE or (self.case.phase is Phase.PREFILL and self.case.batch == 1)

    def holds(self, limit: float) -> bool:
        return not self.promised or self.device_cv <= limit


def cv(values: Sequence[float]) -> float:
    """Between-process SD over the mean."""
    return stdev(values) / fmean(values)


def too_many_alarms(found: Sequence[Same]) -> bool:
    """Whether chance, at the policy's alpha each way, raises so many false alarms in
    less than one set of runs in a hundred."""
    judged, alarms = sum(one.judged for one in found), sum(one.alarms for one in found)
    alpha = 2 * ALONE.claim_alpha
    fewer = sum(comb(judged, k) * alpha**k * (1 - alpha) ** (judged - k) for k in range(alarms))
    return alarms > 0 and 1 - fewer < RARE


def same(sessions: ByCase, *, least: int = 2) -> list[Same]:
    """Raises SpecError for fewer than `least` processes, and for none with a device time."""
    if not sessions:
        raise SpecError("no run holds a device time: there is nothing to compare")
    if (runs := min(map(len, sessions.values()))) < max(2, least):
        raise SpecError(f"{text.counted(runs, 'run')} to compare; at least {max(2, least)} are needed")
    judged, claimed = _left_out(sessions), limits(sessions)
    return [
        Same(
            case=records[0].case,
            device_s=tuple(device_s(r) for r in records),
            as_run_s=tuple(median(r.measurement.device_s or ()) for r in records),
            clock_mhz=tuple(_clock_mhz(r) for r in records),
            steps_above=tuple(steps_above(r.measurement) for r in records),
            wall_s=tuple(median(r.measurement.wall_s) for r in records),
            cards=len({r.soft.gpu_uuid for r in records}),
            unequal=tuple(name for name in COUNTS if len({count(r, name) for r in records}) > 1),
            verdicts=tuple(judged.get(case, ())),
            limit=claimed.get(case),
        )
        for case, records in sessions.items()
    ]


def _clock_mhz(record: Record) -> float | None:
    clocks = record.measurement.held_clock_mhz
    return median(clocks) if clocks else None


def _left_out(sessions: ByCase) -> dict[str, list[Status]]:
    """Each process judged by the gate against all others."""
    found: dict[str, list[Status]] = {}
    runs = len(next(iter(sessions.values())))
    if runs <= ALONE.min_sessions:
        return found
    for left in range(runs):
        others = {case: [*records[:left], *records[left + 1 :]] for case, records in sessions.items()}
        for case, status in statuses([r[left] for r in sessions.values()], others).items():
            found.setdefault(case, []).append(status)
    return found


def table(found: Sequence[Same], limit: float) -> str:
    headers = (
        "case",
        "processes",
        "cards",
        "device",
        "CV",
        "above clock",
        "CV as run",
        "wall",
        "wall's CV",
        "claimed from",
        "false alarms",
        "counts",
        f"limit {text.percent(limit)}",
    )
    rows = [
        [
            markdown.code(one.case.id),
            str(len(one.device_s)),
            str(one.cards),
            text.seconds(fmean(one.device_s)),
            text.percent(one.device_cv, digits=2),
            "–" if one.above_clock is None else str(one.above_clock),
            text.percent(one.as_run_cv, digits=2),
            text.seconds(fmean(one.wall_s)),
            text.percent(one.wall_cv),
            text.percent(one.limit, digits=2),
            f"{one.alarms} of {one.judged}" if one.judged else "–",
            f"differ: {markdown.escape(', '.join(one.unequal))}" if one.unequal else "equal",
            ("holds" if one.holds(limit) else "BROKEN") if one.promised else "not promised",
        ]
        for one in found
    ]
    return markdown.table(headers, rows, left=(0, 11, 12))


def as_csv(found: Sequence[Same]) -> str:
    """One line per case and process; what is of the case stands on each."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            "case",
            "process",
            "device_s",
            "as_run_s",
            "clock_mhz",
            "steps_above",
            "wall_s",
            "by_its_time",
            "device_cv",
            "wall_cv",
            "limit",
            "unequal_counts",
        )
    )
    for one in found:
        claims = [said(status) for status in one.verdicts] or [""] * len(one.device_s)
        of_case = (
            one.device_cv,
            one.wall_cv,
            "" if one.limit is None else one.limit,
            " ".join(one.unequal),
        )
        clocks = ["" if clock is None else clock for clock in one.clock_mhz]
        of_process = zip(one.device_s, one.as_run_s, clocks, one.steps_above, one.wall_s, claims, strict=True)
        for number, values in enumerate(of_process, start=1):
            writer.writerow((one.case.id, number, *values, *of_case))
    return out.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m perf_tests.proof.aa", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="runs of the same code")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"of the CV (default: {LIMIT})")
    parser.add_argument("--least", type=int, default=2, help="runs that there must be (default: 2)")
    parser.add_argument("--out", type=Path, help="the table to write (CSV)")
    options = parser.parse_args(arguments)
    try:
        found = same(sessions_of(folders(options.runs)), least=options.least)
        print(table(found, options.limit))
        if options.out:
            write_text(as_csv(found), options.out)
    except (SpecError, FormatError, RefreshError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if many := too_many_alarms(found):
        print("\nmore false alarms than chance raises at the policy's alpha")
    return 1 if many or not all(one.holds(options.limit) for one in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
