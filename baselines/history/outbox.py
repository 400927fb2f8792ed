"""What of the runs on disk a history has: noted in each run's folder, once it is there.

The note spares sending, and nothing rests on it: a run sent twice is kept once.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines import codec
from baselines.codec import FormatError
from baselines.history.entry import Entry, entries_of
from baselines.record import SCHEMA
from baselines.run import CONFIRMATIONS, RunFolder

if TYPE_CHECKING:  # a run that is not sent needs no SQLAlchemy
    from baselines.history.database import Appended, History

NOTE = "history.json"

# Where runs lie, unless an option puts them elsewhere.
RUNS = Path("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one database has of the run, by the id that it carries; `name` is for people."""

    database: str
    name: str
    records: int
    exit_status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Which databases have the run. `withheld`: it is no part of any history, as
    --perf-history=none asked; it is then sent only where its folder is named."""

    schema: int = SCHEMA
    withheld: bool = False
    sent: tuple[Sent, ...] = ()


def read_note(folder: RunFolder) -> Note:
    """An unreadable note is none: the run is sent again, which changes nothing."""
    path = folder.path / NOTE
    try:
        return codec.read(Note, path) if path.is_file() else Note()
    except FormatError:
        return Note()


def withhold(folder: RunFolder) -> None:
    """Raises OSError."""
    codec.write(replace(read_note(folder), withheld=True), folder.path / NOTE)


def send(folder: RunFolder, history: "History") -> "Appended":
    """Appends a run, then notes it in its folder.

    Raises FormatError for a run that cannot be read, and HistoryError where it was not
    appended. A folder that cannot be written to (an artifact of CI) stays without a note.
    """
    entries = entries_of(folder)
    appended = history.append(entries)
    note, sent = read_note(folder), _sent(entries, folder, history)
    others = tuple(s for s in note.sent if s.database != history.id)
    with suppress(OSError):
        codec.write(replace(note, sent=(*others, sent)), folder.path / NOTE)
    return appended


def _sent(entries: tuple[Entry, ...], folder: RunFolder, history: "History") -> Sent:
    # By the entries: a run that went on meanwhile has more records by now.
    ended = entries[0].observation.exit_status if entries else folder.info().exit_status
    return Sent(database=history.id, name=history.name, records=len(entries), exit_status=ended)


def settled(folder: RunFolder, history: "History") -> str | None:
    """Why there is nothing to send, as far as the note tells; None where there is. Raises FormatError."""
    note = read_note(folder)
    if why := folder.disowned:
        return f"{why}: no part of any history"
    if note.withheld:
        return "kept out of every history, as the run asked; name its folder to send it"
    noted = {(s.records, s.exit_status) for s in note.sent if s.database == history.id}
    records = sum(1 for _ in (folder.path / "records").glob("*.json"))
    return "there already" if (records, folder.info().exit_status) in noted else None


def confirmed_run(path: Path) -> Path | None:
    """The run whose suspects were measured again at or around `path`; None elsewhere."""
    whole = path.resolve()
    places = (place for place in (whole, *whole.parents) if place.name == CONFIRMATIONS)
    return next((place.parent for place in places if RunFolder(place.parent).exists()), None)


def run_folders(root: Path) -> list[RunFolder]:
    """Every run's folder at or below `root`, oldest name first. What a run measured again
    of its suspects is no run."""
    return [
        RunFolder(path.parent)
        for path in sorted(root.rglob("run.json"))
        if CONFIRMATIONS not in path.relative_to(root).parts
    ]
