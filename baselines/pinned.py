"""Stored baselines with the regime that each was taken in, for those that were measured and for all."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from analytic import Case, ModelSpec, Roofs, SpecError, case_bound, find_gpu, load_model
from baselines.codec import FormatError
from baselines.derived import CPU, regime_of
from baselines.record import Record
from baselines.store import Baseline, Store, digest
from baselines.suite import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedSuite:
    """Every baseline of one GPU and model that can be read, and why others cannot."""

    gpu: str
    model: str
    stored: tuple[Stored, ...]
    damaged: tuple[str, ...]


def pinned(baseline: Baseline, path: Path, *, model: ModelSpec, roofs: Roofs) -> Stored:
    """The regime by the model and roofs of the run that it is to judge. Raises SpecError
    for a case that they cannot bound."""
    case = Case.parse(baseline.case, model=baseline.model)
    return _stored(baseline, path, case_bound(model, case, roofs).limiter)


def _stored(baseline: Baseline, path: Path, limiter: str) -> Stored:
    host_share = None
    if baseline.device_medians_s:
        host_share = 1 - median(baseline.device_medians_s) / median(baseline.wall_medians_s)
    regime = regime_of(limiter, host_share, gpu=baseline.gpu)
    return Stored(baseline=baseline, place=str(path), digest=digest(path), regime=regime)


def pinned_alike(store: Store, record: Record, roofs: Roofs) -> list[Stored]:
    """Every usable baseline of the record's GPU and model under its hard key. One that the
    roofs cannot bound is another's business."""
    found = []
    for path, baseline in store.suite(record):
        with suppress(SpecError):
            if baseline.hard == record.hard:
                found.append(pinned(baseline, path, model=record.model, roofs=roofs))
    return found


def suites(store: Store) -> Iterator[PinnedSuite]:
    """All that a store holds, folder by folder, without a run: the regime by the model's
    and the GPU's names, "memory" where either is not known here."""
    for folder in sorted(p for p in store.root.glob("*/*") if p.is_dir()):
        stored, damaged = [], []
        for path in sorted(folder.glob("*.json")):
            try:
                case = Case.parse(path.stem, model=folder.name)
                baseline = store.find(case, gpu=folder.parent.name)
                if baseline is not None:
                    stored.append(_stored(baseline, path, _limiter(baseline)))
            except FormatError as error:
                damaged.append(str(error))
            except SpecError as error:
                damaged.append(f"{path}: {error}")
        yield PinnedSuite(
            gpu=folder.parent.name, model=folder.name, stored=tuple(stored), damaged=tuple(damaged)
        )


def _limiter(baseline: Baseline) -> str:
    case = Case.parse(baseline.case, model=baseline.model)
    if baseline.gpu == CPU:
        return "memory"
    try:
        return case_bound(load_model(baseline.model), case, find_gpu(baseline.gpu).roofs).limiter
    except SpecError:
        return "memory"
