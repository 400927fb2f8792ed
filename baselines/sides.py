"""What may be compared: a run, sessions of one code, or a store of baselines."""

import re
from dataclasses import dataclass
from pathlib import Path

from baselines.codec import FormatError
from baselines.run import RunFolder, given_twice
from baselines.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Runs of one code, each of a fresh process, in their order; a single run is one."""

    path: Path
    runs: tuple[RunFolder, ...]


def sessions_at(path: Path) -> Sessions:
    """A run's folder, or one of session-* runs as `refresh` makes it.

    Raises FormatError for what is neither, and for a run that is there twice.
    """
    found = _sessions(path)
    if found is None:
        raise FormatError(f"{path}: neither a run's folder (with a run.json) nor one of session-* runs")
    return found


def side_at(path: Path) -> Sessions | Store:
    """As sessions_at, or a store of baselines."""
    found = _sessions(path)
    if found is not None:
        return found
    # A folder of runs has records as deep as a store has baselines.
    if path.is_dir() and any(path.glob("*/*/*.json")) and not any(path.glob("*/run.json")):
        return Store(path)
    raise FormatError(
        f"{path}: neither a run's folder (with a run.json), nor one of session-* runs, "
        "nor a store of baselines (<gpu>/<model>/<case>.json)"
    )


def _sessions(path: Path) -> Sessions | None:
    if RunFolder(path).exists():
        return Sessions(path=path, runs=(RunFolder(path),))
    folders = sorted((p for p in path.glob("session-*") if p.is_dir()), key=_number)
    if not folders:
        return None
    runs = tuple(RunFolder(p) for p in folders)
    if twice := given_twice(runs):
        raise FormatError(twice)
    return Sessions(path=path, runs=runs)


def _number(path: Path) -> tuple[int, str]:
    """session-10 comes after session-9."""
    digits = re.search(r"\d+$", path.name)
    return (int(digits[0]) if digits else 0, path.name)
