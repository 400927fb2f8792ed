"""From a run's folder and the store to verdicts: the judgement with its files read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytic import Ceilings, SpecError
from baselines.allowed import Allowed, allowed_changes
from baselines.codec import FormatError
from baselines.derived import Derived, derive
from baselines.expectations import Band, bands
from baselines.judge import judge
from baselines.pinned import pinned, pinned_alike
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.run import RunFolder, run_ceilings
from baselines.store import Store
from baselines.suite import Stored, alike, device_yardstick, suite_of
from baselines.validity import spoilers
from baselines.verdict import Shift, Verdict, not_measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run with its verdicts, what moved all together, the cases that fresh processes are
    still to measure, and the digest of the policy they were given by."""

    derived: tuple[Derived, ...]
    verdicts: tuple[Verdict, ...]
    shift: Shift | None
    suspects: tuple[str, ...]
    policy_digest: str


def derive_run(records: tuple[Record, ...], *, of: RunFolder | None = None) -> tuple[Derived, ...]:
    """Every record beside its bound. Raises SpecError, which names the record's file where
    they are `of` a folder."""
    ceilings = run_ceilings(records)
    return tuple(_derived(record, ceilings, of) for record in records)


def _derived(record: Record, ceilings: Ceilings | None, of: RunFolder | None) -> Derived:
    try:
        return derive(record, ceilings)
    except SpecError as error:
        raise SpecError(f"{of.record_path(record.case)}: {error}" if of else str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a run's cases are judged by: baselines and why others cannot be read, by case,
    and all of the same GPUs and models under the run's hard keys."""

    stored: Mapping[str, Stored]
    damaged: Mapping[str, str]
    suite: Sequence[Stored]


def against(derived: Sequence[Derived], store: Store) -> Against:
    """Out of a store. A damaged baseline spoils only its own case."""
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
            stored[case_id] = pinned(baseline, path, model=d.record.model, roofs=d.roofs)
    return Against(stored=stored, damaged=damaged, suite=_suite(derived, store))


def judge_folder(
    folder: RunFolder,
    store: Store,
    *,
    rows: Sequence[Band] | None = None,
    allowed: Sequence[Allowed] | None = None,
    policy: Policy = POLICY,
    unconfirmed: str = "",
) -> Judged:
    """Judges a run's records by today's store, bands and policy. `unconfirmed` says why
    fresh processes could not measure its suspects again.

    Raises FormatError and SpecError for a folder that cannot be read; a damaged
    baseline spoils only its own case.
    """
    derived = derive_run(folder.records(), of=folder)
    known, again = against(derived, store), measured_again(folder)
    judged = judge(
        derived,
        fresh=again.measured,
        unusable=again.unusable,
        stored=known.stored,
        damaged=known.damaged,
        suite=known.suite,
        bands=bands() if rows is None else rows,
        allowed=allowed_changes() if allowed is None else allowed,
        policy=policy,
        unconfirmed=unconfirmed,
    )
    measured = {d.record.case.id for d in derived}
    missing = tuple(
        not_measured(p.case.id, p.not_run or "the case did not finish; see its measure item")
        for p in folder.info().planned
        if p.case.id not in measured
    )
    return Judged(
        derived=derived,
        verdicts=(*judged.verdicts, *missing),
        shift=judged.shift,
        suspects=judged.suspects,
        policy_digest=policy.digest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """By case what fresh processes measured of a run's suspects, in their order, and why
    others say nothing: their state spoilt the measurement."""

    measured: Mapping[str, Sequence[Derived]]
    unusable: Mapping[str, Sequence[str]]


def measured_again(folder: RunFolder) -> Again:
    """Raises FormatError and SpecError."""
    measured: dict[str, list[Derived]] = {}
    unusable: dict[str, list[str]] = {}
    for again in folder.confirmations():
        for derived in derive_run(again.records(), of=again):
            case_id = derived.record.case.id
            if reasons := spoilers(derived.as_run.measurement):
                unusable.setdefault(case_id, []).append("; ".join(reasons))
            else:
                measured.setdefault(case_id, []).append(derived)
    return Again(measured=measured, unusable=unusable)


def margins(records: Sequence[Record], store: Store, *, policy: Policy = POLICY) -> dict[str, float]:
    """By case, how far one session's device time must lie off the stored ones, in log
    units, for judge_folder to claim a change by it alone; without the cases that it
    cannot judge. Raises FormatError and SpecError."""
    derived, found = derive_run(tuple(records)), {}
    known = against(derived, store)
    together = {kind: alike(known.suite, kind) for kind in {d.record.kind for d in derived}}
    suites = {kind: suite_of(stored) for kind, stored in together.items()}
    for d in derived:
        kind, stored = d.record.kind, known.stored.get(d.record.case.id)
        if stored is None:
            continue
        yardstick = device_yardstick(stored, suites[kind], policy, card=d.record.soft.gpu_uuid)
        if yardstick is not None:
            found[d.record.case.id] = yardstick.claim_margin(policy, tests=len(together[kind]))
    return found


def _suite(derived: Sequence[Derived], store: Store) -> list[Stored]:
    """Every usable baseline of the run's GPUs and models under the run's hard keys."""
    kinds = {d.record.kind: d for d in derived}
    return [one for like in kinds.values() for one in pinned_alike(store, like.record, like.roofs)]
