"""From a run's folder and the store to verdicts: the judgement with its files read."""

from collections.abc import Sequence
from dataclasses import dataclass

from baselines.codec import FormatError
from baselines.derived import Derived, derive
from baselines.expectations import Band, bands
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.run import RunFolder, run_ceilings
from baselines.store import Store, digest
from baselines.verdict import Stored, Verdict, judge, not_measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run with its verdicts; `damaged` maps a case to why its baseline is unusable."""

    derived: tuple[Derived, ...]
    verdicts: tuple[Verdict, ...]
    damaged: dict[str, str]
    policy_digest: str


def derive_run(records: tuple[Record, ...]) -> tuple[Derived, ...]:
    """Every record beside its bound. Raises SpecError."""
    ceilings = run_ceilings(records)
    return tuple(derive(record, ceilings) for record in records)


def judge_folder(
    folder: RunFolder,
    store: Store,
    *,
    rows: Sequence[Band] | None = None,
    policy: Policy = POLICY,
) -> Judged:
    """Judges a run's records by today's store, bands and policy.

    Raises FormatError and SpecError for a folder that cannot be read; a damaged
    baseline spoils only its own case.
    """
    derived = derive_run(folder.records())
    stored: dict[str, Stored] = {}
    damaged: dict[str, str] = {}
    for d in derived:
        case_id, path = d.record.case.id, store.path(d.record)
        try:
            baseline = store.load(d.record)
        except FormatError as error:
            damaged[case_id] = str(error)
            continue
        if baseline is not None:
            stored[case_id] = Stored(baseline=baseline, place=str(path), digest=digest(path))
    verdicts = judge(
        derived,
        stored=stored,
        damaged=damaged,
        bands=bands() if rows is None else rows,
        policy=policy,
    )
    measured = {d.record.case.id for d in derived}
    missing = tuple(
        not_measured(p.case.id, p.not_run or "the case did not finish; see its measure item")
        for p in folder.info().planned
        if p.case.id not in measured
    )
    return Judged(
        derived=derived,
        verdicts=(*verdicts, *missing),
        damaged=damaged,
        policy_digest=policy.digest,
    )
