"""A run's folder: what was planned, what was observed, what was judged.

run.json            when, from which commit, the plan, what was skipped and why
records/<case>.json written as each case ends, so a crash keeps the rest
confirmations/<n>/  what fresh processes measured again of its suspects: a run's folder each
no-session.txt      why it may never be a baseline, where it is no session
verdicts.json       the verdicts that were given
records.csv         one line a case, for spreadsheets
benchmark-device.json  device times as pytest-benchmark's JSON, for trackers; none of a CPU run
operators.csv       one line an operator of every case, where kernels were told apart
kernels.csv         one line a kernel of every case, where kernels were seen
since.json          since when a case fails that does, by the history where the run was measured
ceilings.json       what the machine reached, for `python -m analytic ceilings`; never read here
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analytic import Case, Ceilings, text
from analytic.ceilings_file import NAME as CEILINGS
from analytic.ceilings_file import as_json
from baselines import codec
from baselines.codec import FormatError
from baselines.files import read_bytes, write_text
from baselines.names import require_case, require_model
from baselines.record import SCHEMA, Record, require_not_negative
from baselines.verdict import Shift, Verdict

CONFIRMATIONS = "confirmations"
# Why a run in that folder is no session: a few cases, chosen for being slow.
AGAIN = "a fresh process that measured suspects again"
NO_SESSION = "no-session.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A case that the run set out to measure; `not_run` says why it did not."""

    case: Case
    lane: str
    not_run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known of a run as a whole. `command` is how pytest was called;
    `exit_status` is its exit code, None while it runs and where it was cut off;
    `spent_s` where the harness's time went, in seconds by kind of work."""

    schema: int = SCHEMA
    id: str
    started: str
    commit: str
    dirty: bool
    command: str
    planned: tuple[Planned, ...] = ()
    exit_status: int | None = None
    spent_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_not_negative("spent_s", tuple(self.spent_s.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """The verdicts given at the end of a run, with the policy and the baselines by digest.
    `shift` is what moved all cases together."""

    schema: int = SCHEMA
    policy_digest: str
    verdicts: tuple[Verdict, ...]
    shift: Shift | None = None


class RunFolder:
    """Reads and writes one run's folder. Made on the first write, not before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def exists(self) -> bool:
        return (self.path / "run.json").is_file()

    def info(self) -> RunInfo:
        """Raises FormatError where the folder holds no usable run.json."""
        file = self.path / "run.json"
        if not os.path.lexists(file):
            raise FormatError(f"{self.path}: not a run's folder: it has no run.json; {_instead(self.path)}")
        return codec.read(RunInfo, file)

    def start(self, info: RunInfo) -> None:
        """Claims the folder for a new run. Raises FormatError where there is one
        already, even if another process made it a moment ago, and for a planned case
        whose record could not be kept under its names."""
        for planned in info.planned:
            require_model(planned.case)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            (self.path / "run.json").touch(exist_ok=False)
        except FileExistsError:
            raise FormatError(f"{self.path} already holds a run; name a new folder") from None
        self.write_info(info)

    def write_info(self, info: RunInfo) -> None:
        codec.write(info, self.path / "run.json")

    def note_not_run(self, case: Case, reason: str) -> None:
        """Stores why a planned case was not measured."""
        info = self.info()
        planned = tuple(replace(p, not_run=reason) if p.case.id == case.id else p for p in info.planned)
        self.write_info(replace(info, planned=planned))

    def write_record(self, record: Record) -> Path:
        """Raises FormatError for a record that could not be found, or stored as a
        baseline, under its names."""
        require_case(record.case, gpu=record.gpu)
        path = self.record_path(record.case)
        codec.write(record, path)
        return path

    def record_path(self, case: Case) -> Path:
        return self.path / "records" / f"{case.id}.json"

    def records(self) -> tuple[Record, ...]:
        """Every record, in the order of the plan. Raises FormatError."""
        order = {p.case.id: i for i, p in enumerate(self.info().planned)}
        place = self.path / "records"
        if os.path.lexists(place) and not place.is_dir():
            raise FormatError(f"{place}: no folder; the folder of the run's records is needed")
        read = [_record(p) for p in sorted(place.glob("*.json"))]
        return tuple(sorted(read, key=lambda r: order.get(r.case.id, len(order))))

    def disown(self, why: str) -> None:
        """Says in the folder, and in every copy of it, that it is no session: never a
        baseline, and no part of any history."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(f"{why}\n", self.path / NO_SESSION)

    @property
    def disowned(self) -> str:
        """Why it is no session, by what it was told or by where it lies; empty of one that is."""
        path = self.path / NO_SESSION
        if os.path.lexists(path):
            return read_bytes(path).decode(errors="replace").strip()
        return AGAIN if self.path.resolve().parent.name == CONFIRMATIONS else ""

    def confirmations(self) -> tuple["RunFolder", ...]:
        """The runs in which its suspects were measured again, in their order."""
        place = self.path / CONFIRMATIONS
        numbered = sorted((int(p.name), p) for p in place.glob("*") if p.name.isdecimal())
        return tuple(again for _, path in numbered if (again := RunFolder(path)).exists())

    def next_confirmation(self) -> "RunFolder":
        """The folder of the next one: nothing is there yet."""
        place = self.path / CONFIRMATIONS
        taken = [int(p.name) for p in place.glob("*") if p.name.isdecimal()]
        return RunFolder(place / str(max(taken, default=0) + 1))

    def write_ceilings(self, ceilings: Ceilings) -> None:
        codec.write(as_json(ceilings), self.path / CEILINGS)

    def write_verdicts(self, verdicts: Verdicts) -> None:
        codec.write(verdicts, self.path / "verdicts.json")

    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts given at the end of the run; none where it was not judged."""
        given = self.given()
        return given.verdicts if given else ()

    def given(self) -> Verdicts | None:
        """The verdicts with what was said of the run as a whole; None where it was not judged."""
        path = self.path / "verdicts.json"
        return codec.read(Verdicts, path) if os.path.lexists(path) else None


def given_twice(runs: Sequence[RunFolder]) -> str:
    """The first run that is among them twice, in words; empty where none is."""
    seen: dict[str, Path] = {}
    for run in runs:
        run_id = run.info().id
        if run_id in seen:
            return f"{run.path}: the same run as {seen[run_id]} ({run_id}): that is one session, not two"
        seen[run_id] = run.path
    return ""


def _instead(path: Path) -> str:
    """What to name in the place of what is no run's folder."""
    runs = sorted(p.parent.name for p in path.glob("*/run.json") if p.parent.name.isprintable())
    if path.is_dir() and runs:
        return f"it holds {text.counted(len(runs), 'run')}: name one, such as {path / runs[-1]}"
    return "a run is kept in runs/<time>-<commit>, or where --perf-out said"


def _record(path: Path) -> Record:
    record = codec.read(Record, path)
    if path.stem != record.case.id:
        raise FormatError(f"{path}: holds {record.case.id}; a record's file is named by its case")
    try:
        require_case(record.case, gpu=record.gpu)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    return record


def run_ceilings(records: tuple[Record, ...]) -> Ceilings | None:
    """What the machine ever reached during a run: the ceilings' maximum."""
    highest: Ceilings | None = None
    for record in records:
        if record.ceilings is not None:
            highest = record.ceilings if highest is None else highest.raised(record.ceilings)
    return highest
