"""The store of baselines: one JSON file per case, its sessions inside."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median, median_low

from analytic import Case, Ceilings, SpecError
from baselines import codec
from baselines.card_clock import at_card_clock
from baselines.codec import FormatError
from baselines.record import SCHEMA, Counts, HardKey, KernelTime, Record, SoftKey, require_times

DEFAULT_STORE = Path("baselines") / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One fresh process's samples of a case, in seconds, device times at the card's own
    clock (card_clock.py); its counts, and what the machine reached in it."""

    run: str
    started: str
    commit: str
    soft: SoftKey
    wall_s: tuple[float, ...]
    device_s: tuple[float, ...] | None
    counts: Counts | None
    ceilings: Ceilings | None

    def __post_init__(self) -> None:
        require_times("wall_s", self.wall_s)
        require_times("device_s", self.device_s)

    @property
    def wall_median_s(self) -> float:
        return median(self.wall_s)

    @property
    def device_median_s(self) -> float | None:
        return median(self.device_s) if self.device_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was once accepted as a baseline: when, of which commit (the last session's),
    and the geometric means of its sessions' medians, in seconds."""

    written: str
    commit: str
    sessions: int
    device_s: float | None
    wall_s: float

    def __post_init__(self) -> None:
        require_times("wall_s", (self.wall_s,))
        require_times("device_s", None if self.device_s is None else (self.device_s,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The sessions of one case under one hard key. `written`, `by` and `command` say
    when, by whom and how they were taken, `reason` why one that is worse than before was
    accepted, `previous` what they replaced, and `anchor` what was accepted first, which
    shows how far the case has drifted; None where nobody knows. `kernels` have one
    median per session, in their order, 0 where a session did not launch the kernel."""

    schema: int = SCHEMA
    case: str
    model: str
    gpu: str
    written: str
    by: str | None = None
    command: str
    reason: str | None = None
    anchor: Accepted | None = None
    previous: Accepted | None = None
    hard: HardKey
    sessions: tuple[Session, ...]
    kernels: tuple[KernelTime, ...] | None

    def __post_init__(self) -> None:
        if not self.sessions:
            raise SpecError("a baseline without a session")
        for kernel in self.kernels or ():
            if len(kernel.device_s) != len(self.sessions):
                raise SpecError(
                    f"{len(kernel.device_s)} times of {kernel.name[:40]!r} in {len(self.sessions)} sessions"
                )

    @property
    def device_medians_s(self) -> tuple[float, ...]:
        return tuple(s.device_median_s for s in self.sessions if s.device_median_s is not None)

    @property
    def wall_medians_s(self) -> tuple[float, ...]:
        return tuple(s.wall_median_s for s in self.sessions)

    @property
    def accepted(self) -> Accepted:
        """Itself in short, for the one that will replace it."""
        device_s = self.device_medians_s
        return Accepted(
            written=self.written,
            commit=self.sessions[-1].commit,
            sessions=len(self.sessions),
            device_s=geometric_mean(device_s) if device_s else None,
            wall_s=geometric_mean(self.wall_medians_s),
        )


def session_of(record: Record) -> Session:
    return Session(
        run=record.run,
        started=record.started,
        commit=record.commit,
        soft=record.soft,
        wall_s=record.measurement.wall_s,
        device_s=record.measurement.device_s,
        counts=record.measurement.counts,
        ceilings=record.ceilings,
    )


def baseline_of(records: Sequence[Record], *, written: str, command: str) -> Baseline:
    """A baseline from one record per session.

    Raises FormatError where the sessions are not of one case under one hard key, and
    SpecError as at_card_clock does.
    """
    records = [at_card_clock(record) for record in records]
    first = records[0]
    for record in records:
        if (record.case.id, record.hard) != (first.case.id, first.hard):
            raise FormatError(
                f"{first.case.id}: session {record.run} has another hard key than {first.run}: "
                f"{', '.join(differing(first.hard, record.hard)) or 'another case'}"
            )
    return Baseline(
        case=first.case.id,
        model=first.case.model,
        gpu=first.gpu,
        written=written,
        command=command,
        hard=first.hard,
        sessions=tuple(session_of(r) for r in records),
        kernels=session_kernels(records),
    )


def session_kernels(records: Sequence[Record]) -> tuple[KernelTime, ...] | None:
    """Every kernel of the sessions, with one median per session; None where a
    session has none. Its launches are those of most sessions."""
    if any(r.measurement.kernels is None for r in records):
        return None
    by_session = [{(k.operator, k.name): k for k in r.measurement.kernels or ()} for r in records]
    names = dict.fromkeys(key for kernels in by_session for key in kernels)
    found = []
    for operator, name in names:
        seen = [kernels.get((operator, name)) for kernels in by_session]
        found.append(
            KernelTime(
                operator=operator,
                name=name,
                launches=median_low([k.launches if k else 0 for k in seen]),
                device_s=tuple(median(k.device_s) if k else 0.0 for k in seen),
            )
        )
    return tuple(found)


def differing(stored: object, measured: object) -> list[str]:
    """The fields of two keys that differ, each with both values."""
    names = getattr(stored, "__slots__", ())
    return [
        f"{n} {getattr(stored, n)!r} -> {getattr(measured, n)!r}"
        for n in names
        if getattr(stored, n) != getattr(measured, n)
    ]


class Store:
    """A folder <gpu>/<model>/<case-id>.json. Makes nothing until it writes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, record: Record) -> Path:
        return self.root / record.gpu / record.case.model / f"{record.case.id}.json"

    def load(self, record: Record) -> Baseline | None:
        """The baseline of a record's case; None where none is stored.

        Raises FormatError for a file that cannot be used; it is never overwritten.
        """
        path = self.path(record)
        if not path.exists():
            return None
        baseline = codec.read(Baseline, path)
        held = (baseline.case, baseline.model, baseline.gpu)
        wanted = (record.case.id, record.case.model, record.gpu)
        if held != wanted:
            raise FormatError(f"{path}: holds {' of '.join(held)}, not {' of '.join(wanted)}")
        return baseline

    def suite(self, record: Record) -> list[tuple[Path, Baseline]]:
        """Every baseline of the record's GPU and model that can be read; a damaged
        one is reported where its own case is judged."""
        found = []
        for path in sorted(self.path(record).parent.glob("*.json")):
            try:
                baseline = codec.read(Baseline, path)
                Case.parse(baseline.case, model=baseline.model)
            except (FormatError, SpecError):
                continue
            found.append((path, baseline))
        return found

    def write(self, records: Sequence[Record], *, written: str, command: str) -> Path:
        """Replaces the baseline of one case by these sessions, atomically.

        Raises FormatError, and writes nothing, where the stored file is damaged.
        """
        self.load(records[0])
        path = self.path(records[0])
        codec.write(baseline_of(records, written=written, command=command), path)
        return path


def digest(path: Path) -> str | None:
    """A short digest of a stored file; None where there is none."""
    if not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
