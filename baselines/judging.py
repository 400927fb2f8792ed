"""From a run's folder and the store to verdicts: the judgement with its files read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from analytic import Case, case_bound
from baselines.codec import FormatError
from baselines.comparison import Stored, margin, pooled_spreads
from baselines.derived import Derived, derive, regime_of
from baselines.expectations import Band, bands
from baselines.judge import judge
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.run import RunFolder, run_ceilings
from baselines.store import Baseline, Store, digest
from baselines.verdict import Verdict, not_measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run with its verdicts, and the digest of the policy they were given by."""

    derived: tuple[Derived, ...]
    verdicts: tuple[Verdict, ...]
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
            damaged[case_id] = f"{error}; restore it, or delete it and refresh"
            continue
        if baseline is not None:
            stored[case_id] = _stored(baseline, path, d)
    verdicts = judge(
        derived,
        stored=stored,
        damaged=damaged,
        suite=_suite(derived, store),
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
        policy_digest=policy.digest,
    )


def margins(records: Sequence[Record], store: Store, *, policy: Policy = POLICY) -> dict[str, float]:
    """By case, how far device time must lie off the stored sessions, in log units, for
    judge_folder to claim a change; without the cases that it cannot judge. Raises
    FormatError and SpecError."""
    derived = derive_run(tuple(records))
    spreads = pooled_spreads(_suite(derived, store))
    found = {}
    for d in derived:
        baseline = store.load(d.record)
        stored = None if baseline is None else _stored(baseline, store.path(d.record), d)
        if stored and (least := margin(stored, spreads, policy)) is not None:
            found[d.record.case.id] = least
    return found


def _suite(derived: Sequence[Derived], store: Store) -> list[Stored]:
    """Every readable baseline of the run's GPU and model under the run's hard key."""
    if not derived:
        return []
    any_case = derived[0]
    kept = store.suite(any_case.record)
    return [_stored(b, p, any_case) for p, b in kept if b.hard == any_case.record.hard]


def _stored(baseline: Baseline, path: Path, like: Derived) -> Stored:
    """A baseline with the regime it was taken in, by the model and roofs of `like`."""
    case = Case.parse(baseline.case, model=baseline.model)
    limiter = case_bound(like.record.model, case, like.roofs).limiter
    host_share = None
    if baseline.device_medians_s:
        host_share = 1 - median(baseline.device_medians_s) / median(baseline.wall_medians_s)
    return Stored(
        baseline=baseline, place=str(path), digest=digest(path), regime=regime_of(limiter, host_share)
    )
