"""What may be compared: a run, sessions of one code, or a store of baselines; and what each is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.codec import FormatError
from baselines.derived import Derived
from baselines.record import SoftKey
from baselines.run import RunFolder, given_twice
from baselines.store import Store
from baselines.suite import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Runs of one code, each of a fresh process, in their order; a single run is one."""

    path: Path
    runs: tuple[RunFolder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What a side is, as far as its cases were compared: `cards`, `commits` and `drivers`
    are all that there are; `runs` are processes, of a store those that its sessions are of."""

    path: Path
    stored: bool
    gpu: str
    model: str
    cards: int
    commits: tuple[str, ...]
    drivers: tuple[str, ...]
    runs: int


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


def require_alike(
    a: Sessions | Store,
    b: Sessions,
    stored: Mapping[str, Stored],
    processes: Mapping[str, Sequence[Derived]],
) -> None:
    """Raises FormatError for two models or GPUs. A case's id says neither; two models may
    have the same shapes."""
    if isinstance(a, Store):
        return  # looked up by both names
    planned = [p.case for run in a.runs for p in run.info().planned]
    for case, every in processes.items():
        for one in every:
            then, model = stored.get(case), one.record.case.model
            models = {p.model for p in planned if p.id == case} | ({then.baseline.model} if then else set())
            if other := sorted(models - {model}):
                raise FormatError(
                    f"{a.path} is of {', '.join(other)}, {b.path} of {model}: {case} is another"
                )
            if then and then.baseline.gpu != one.record.gpu:
                gpus = f"{a.path} is of {then.baseline.gpu}, {b.path} of {one.record.gpu}"
                raise FormatError(f"{gpus}: times on two GPUs are not judged")


def side_of_a(a: Sessions | Store, stored: Mapping[str, Stored], *, like: Derived) -> Side:
    """`like` is B's: of one GPU and model with A."""
    sessions = [s for one in stored.values() for s in one.baseline.sessions]
    known = [(s.commit, s.soft) for s in sessions]
    if isinstance(a, Store):
        return _side(a.root, like, known, runs=len({s.run for s in sessions}), stored=True)
    return _side(a.path, like, known, runs=len(a.runs), stored=False)


def side_of_b(b: Sessions, processes: Mapping[str, Sequence[Derived]]) -> Side:
    records = [one.record for every in processes.values() for one in every]
    like = next(iter(processes.values()))[0]
    return _side(b.path, like, [(r.tree, r.soft) for r in records], runs=len(b.runs), stored=False)


def _side(
    path: Path, like: Derived, known: Sequence[tuple[str, SoftKey]], *, runs: int, stored: bool
) -> Side:
    return Side(
        path=path,
        stored=stored,
        gpu=like.record.gpu,
        model=like.record.case.model,
        cards=len({soft.gpu_uuid for _, soft in known} - {None}),
        commits=tuple(dict.fromkeys(commit for commit, _ in known)),
        drivers=tuple(dict.fromkeys(soft.driver for _, soft in known if soft.driver)),
        runs=runs,
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
