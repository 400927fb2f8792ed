"""By what a comparison of two sides is judged: A's runs as baselines in memory, and where
they are too few to know how far sessions vary, the spread that a store lends them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analytic import text
from baselines.derived import Derived
from baselines.judging import Against, against, derive_run
from baselines.pinned import pinned
from baselines.policy import Policy
from baselines.record import Record
from baselines.sides import Sessions
from baselines.store import Store, baseline_of
from baselines.suite import Stored, Suite, suite_of
from baselines.validity import spoilers
from baselines.yardstick import lent


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """`known` is what B's cases are held against, with the suite that is `pooled`;
    `policies` the rule of each case, for as many processes as measured it; `borrows`
    says that the suite is a store's; `notes` are what is to be known of A."""

    known: Against
    pooled: Suite
    policies: Mapping[str, Policy]
    borrows: bool
    notes: tuple[str, ...]


def footing_of(
    a: Sessions | Store, processes: Mapping[str, Sequence[Derived]], *, store: Store, policy: Policy
) -> Footing:
    """`processes` are B's, by case. Raises FormatError and SpecError."""
    run = [every[0] for every in processes.values()]
    borrows, notes = False, list[str]()
    if isinstance(a, Store):
        known = against(run, a)
    else:
        known, notes = _taken(a, run[0].record)
        if suite := _store_suite(known, run, store, policy):
            borrows, known = True, replace(known, suite=suite)
            notes.append(_said(a, store, baselines=len(suite)))
    pooled = suite_of(known.suite)
    policies = {}
    for case, every in processes.items():
        one = known.stored.get(case)
        few = borrows and one is not None and _spread_known(one, every[0], pooled, policy)
        policies[case] = replace(
            policy, rounds=len(every) - 1, min_sessions=1 if few else policy.min_sessions
        )
    return Footing(known=known, pooled=pooled, policies=policies, borrows=borrows, notes=tuple(notes))


def _taken(a: Sessions, like: Record) -> tuple[Against, list[str]]:
    """A's runs as baselines; what its GPU's state spoilt is left out, and said."""
    by_case: dict[str, list[Derived]] = {}
    left_out = []
    for folder in a.runs:
        for derived in derive_run(folder.records(), of=folder):
            if reasons := spoilers(derived.as_run.measurement):
                left_out.append(f"{folder.path}: {derived.record.case.id} is left out: {'; '.join(reasons)}")
            else:
                by_case.setdefault(derived.record.case.id, []).append(derived)
    stored = {}
    for case, every in by_case.items():
        latest = every[-1]
        baseline = baseline_of(
            [one.as_run for one in every], written=latest.record.started, command=f"runs in {a.path}"
        )
        stored[case] = pinned(baseline, a.path, model=latest.record.model, roofs=latest.roofs)
    alike = [one for one in stored.values() if one.baseline.hard == like.hard]
    return Against(stored=stored, damaged={}, suite=alike), left_out


def _store_suite(known: Against, run: Sequence[Derived], store: Store, policy: Policy) -> Sequence[Stored]:
    """The store's baselines under the run's hard key, where a case of A needs them."""
    needed = any(len(one.baseline.sessions) < policy.min_sessions for one in known.suite)
    return against(run, store).suite if needed else ()


def _said(a: Sessions, store: Store, *, baselines: int) -> str:
    return (
        f"{a.path} holds {text.counted(len(a.runs), 'run')}, too few to know how far sessions vary: "
        f"that is taken from {text.counted(baselines, 'baseline')} in {store.root}"
    )


def _spread_known(one: Stored, derived: Derived, pooled: Suite, policy: Policy) -> bool:
    """Whether the suite can stand in for sessions that are too few, in all that is judged."""
    if len(one.baseline.sessions) >= policy.min_sessions:
        return False
    pool = pooled.pool(one)
    judged = [pool.device] if one.device else []
    if derived.record.case.promise.wall is not None:
        judged.append(pool.wall)
    return bool(judged) and all(lent(priors) is not None for priors in judged)
