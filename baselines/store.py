"""The store of baselines: one JSON file per case, its sessions inside."""

import datetime as dt
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median, median_low

from analytic import Case, Ceilings, SpecError
from baselines import codec
from baselines.card_clock import at_card_clock
from baselines.codec import FormatError
from baselines.files import is_leftover, write_texts
from baselines.locking import locked
from baselines.names import require_case
from baselines.record import SCHEMA, Counts, HardKey, KernelTime, Kind, Record, SoftKey, require_times

DEFAULT_STORE = Path("baselines") / "data"

#: The operator of a kernel, where it is known, and its name.
KernelKey = tuple[str | None, str]


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

    def change_since(self, then: "Accepted") -> tuple[str, float]:
        """The metric that gates, of those that both have, and by what share it has grown."""
        if self.device_s is not None and then.device_s is not None:
            return "device", self.device_s / then.device_s - 1
        return "wall", self.wall_s / then.wall_s - 1


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
    def kind(self) -> Kind:
        return self.gpu, self.model, self.hard

    @property
    def newest_started(self) -> dt.datetime | None:
        """When the newest session did; None where no session's start is a date."""
        return max((when for s in self.sessions if (when := _moment(s.started))), default=None)

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

    @property
    def drift(self) -> float | None:
        """By what share the time that gates has grown since the anchor; None of what is
        itself the first."""
        return None if self.anchor is None else self.accepted.change_since(self.anchor)[1]


def session_of(record: Record) -> Session:
    return Session(
        run=record.run,
        started=record.started,
        commit=record.tree,
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
    return united_kernels(
        [
            {(k.operator, k.name): (k.launches, median(k.device_s)) for k in r.measurement.kernels or ()}
            for r in records
        ]
    )


def united_kernels(by_session: Sequence[Mapping[KernelKey, tuple[int, float]]]) -> tuple[KernelTime, ...]:
    """Every kernel of the sessions, in their order: of each its launches and its time."""
    found = []
    for key in dict.fromkeys(key for kernels in by_session for key in kernels):
        seen = [kernels.get(key, (0, 0.0)) for kernels in by_session]
        operator, name = key
        found.append(
            KernelTime(
                operator=operator,
                name=name,
                launches=median_low([launches for launches, _ in seen]),
                device_s=tuple(device_s for _, device_s in seen),
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
    """A folder <gpu>/<model>/<case-id>.json. Makes nothing until it writes.

    Who reads needs no lock: each file is replaced whole. Who writes holds it from the
    first look at what is stored until the last file is (`locked`, `put`).
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, record: Record) -> Path:
        """Raises FormatError for names that would not lie in the store."""
        return self.place(record.case, gpu=record.gpu)

    def place(self, case: Case, *, gpu: str) -> Path:
        require_case(case, gpu=gpu)
        return self.root / gpu / case.model / f"{case.id}.json"

    def load(self, record: Record) -> Baseline | None:
        """The baseline of a record's case; None where none is stored.

        Raises FormatError for a file that cannot be used; it is never overwritten.
        """
        return self.find(record.case, gpu=record.gpu)

    def find(self, case: Case, *, gpu: str) -> Baseline | None:
        """As `load`, for a case on a GPU."""
        path = self.place(case, gpu=gpu)
        for folder in (path.parent.parent, path.parent):
            if folder.is_symlink():
                raise FormatError(f"{path}: {folder} is a symbolic link; a folder in the store is needed")
        # A link that leads nowhere is no baseline, and is not nothing either.
        if not os.path.lexists(path):
            return None
        baseline = codec.read(Baseline, path)
        held, wanted = (baseline.case, baseline.model, baseline.gpu), (case.id, case.model, gpu)
        if held != wanted:
            raise FormatError(f"{path}: holds {codec.one_line(' of '.join(held))}, not {' of '.join(wanted)}")
        return baseline

    def suite(self, record: Record) -> list[tuple[Path, Baseline]]:
        """Every baseline of the record's GPU and model that can be read and holds what its
        name says; a damaged one is reported where its own case is judged."""
        found = []
        for path in sorted(self.path(record).parent.glob("*.json")):
            try:
                baseline = self.find(Case.parse(path.stem, model=record.case.model), gpu=record.gpu)
            except (FormatError, SpecError):
                continue
            if baseline is not None:
                found.append((path, baseline))
        return found

    def locked(self) -> AbstractContextManager[None]:
        """Keeps other writers out. Raises FolderBusyError and OSError (locking.py)."""
        return locked(self.root)

    def write(self, records: Sequence[Record], *, written: str, command: str) -> Path:
        """Replaces the baseline of one case by these sessions, as `put` does, under the lock."""
        baseline = baseline_of(records, written=written, command=command)
        with self.locked():
            (path,) = self.put([baseline])
        return path

    def put(self, baselines: Sequence[Baseline]) -> list[Path]:
        """Replaces these baselines, each atomically and all or none as far as a disk
        can (files.py); takes away what killed writers left. To be called under the lock.

        Raises FormatError, and writes nothing, where a stored file is damaged.
        """
        texts = {}
        for baseline in baselines:
            case = Case.parse(baseline.case, model=baseline.model)
            self.find(case, gpu=baseline.gpu)
            texts[self.place(case, gpu=baseline.gpu)] = codec.to_text(baseline)
        self._sweep()
        write_texts(texts)
        return list(texts)

    def _sweep(self) -> None:
        """Takes away what killed writers left: under the lock no file is in the making."""
        for folder, below, names in os.walk(self.root):
            # Baselines lie two folders deep.
            if len(Path(folder).relative_to(self.root).parts) == 2:
                below.clear()
            for path in (Path(folder, name) for name in names):
                if is_leftover(path):
                    # Another user's, in a folder that is not written to either.
                    with suppress(PermissionError):
                        path.unlink(missing_ok=True)


class Snapshot(Store):
    """A store that is read by many and written by none: each file is read once, and stays
    what it was then."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._found: dict[Path, Baseline | None] = {}

    def find(self, case: Case, *, gpu: str) -> Baseline | None:
        path = self.place(case, gpu=gpu)
        if path not in self._found:
            self._found[path] = super().find(case, gpu=gpu)
        return self._found[path]


def _moment(text: str) -> dt.datetime | None:
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def digest(path: Path) -> str | None:
    """A short digest of a stored file; None where there is none."""
    if not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
