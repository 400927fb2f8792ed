"""Whether the store and the tables of cases still belong together."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from analytic import Case, SpecError
from baselines.codec import FormatError
from baselines.derived import CPU
from baselines.run import Planned
from baselines.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A stored file or folder that cannot be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """`orphans` are stored files that no planned case asks for: its case is gone, its
    name is no case id, or it lies where nobody looks. `gaps` are the places of planned
    cases without a baseline, on the GPUs that the store has a folder for and those that
    were measured. What is `damaged` is asked for and cannot be used: it is no orphan, and
    leaves no gap."""

    orphans: tuple[Path, ...]
    gaps: tuple[Path, ...]
    damaged: tuple[Damage, ...]

    def within(self, folder: Path) -> "Coverage":
        """What of it lies in a folder, such as one GPU's and model's."""
        return self.where(lambda path: path.is_relative_to(folder))

    def where(self, wanted: Callable[[Path], bool]) -> "Coverage":
        """What of it is of paths that are wanted."""
        return Coverage(
            orphans=tuple(p for p in self.orphans if wanted(p)),
            gaps=tuple(p for p in self.gaps if wanted(p)),
            damaged=tuple(d for d in self.damaged if wanted(d.path)),
        )


def coverage(store: Store, planned: Iterable[Planned], *, gpus: Iterable[str] = ()) -> Coverage:
    """Compares the store with the cases that the tables plan, whatever model a baseline
    is of; writes nothing. `gpus` were measured, whether the store knows them or not. A
    case that a plan says is not run leaves no gap."""
    plan = tuple(planned)
    files, links = _files(store.root)
    wanted = {p.case.id for p in plan}
    damaged = _as_damage(links)
    orphans = []
    for path in files:
        if path.stem not in wanted or len(path.relative_to(store.root).parts) != 3:
            orphans.append(path)
        elif reason := _damage(store, path):
            damaged.append(Damage(path=path, reason=reason))
    return Coverage(
        orphans=tuple(orphans),
        gaps=tuple(_gaps(store, plan, there=set(files), gpus=set(gpus))),
        damaged=tuple(damaged),
    )


def misplaced(store: Store) -> tuple[Path, ...]:
    """Stored files where nobody looks: orphans whatever the tables plan."""
    return tuple(path for path in _files(store.root)[0] if len(path.relative_to(store.root).parts) != 3)


def linked(store: Store) -> tuple[Damage, ...]:
    """Links in the place of folders: nothing is read, or written, through them."""
    return tuple(_as_damage(_files(store.root)[1]))


def _as_damage(links: Iterable[Path]) -> list[Damage]:
    return [Damage(path=link, reason="a symbolic link; a folder is needed") for link in links]


def _files(root: Path) -> tuple[list[Path], list[Path]]:
    """Every JSON file under the store, and every link that is no such file, as one to a
    folder or to nowhere, sorted. A name that begins with a dot is of a file in the making."""
    files, links = [], []
    for folder, below, names in os.walk(root):
        others = [n for n in names if not n.endswith(".json") and not n.startswith(".")]
        links += [path for path in (Path(folder, name) for name in (*below, *others)) if path.is_symlink()]
        files += [Path(folder, n) for n in names if n.endswith(".json") and not n.startswith(".")]
    return sorted(files), sorted(links)


def _damage(store: Store, path: Path) -> str | None:
    """Why a file in its place cannot be used."""
    gpu, model, _ = path.relative_to(store.root).parts
    try:
        store.find(Case.parse(path.stem, model=model), gpu=gpu)
    except (FormatError, SpecError) as error:
        return str(error).removeprefix(f"{path}: ")
    return None


def _gaps(store: Store, plan: Iterable[Planned], *, there: set[Path], gpus: set[str]) -> list[Path]:
    """A CPU's cases are the cpu lane's, a GPU's the gpu lane's."""
    folders = list(store.root.iterdir()) if store.root.is_dir() else []
    known = {p for p in folders if p.is_dir() and not p.name.startswith(".")} | {store.root / g for g in gpus}
    return [
        path
        for machine in sorted(known)
        if not machine.is_symlink()
        for p in plan
        if (p.lane == CPU) == (machine.name == CPU) and p.not_run is None
        if (path := machine / p.case.model / f"{p.case.id}.json") not in there
    ]
