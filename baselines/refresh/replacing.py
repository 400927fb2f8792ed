"""What new sessions would put in the place of what a store holds. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytic import Roofs
from baselines.allowed import Allowed
from baselines.cards import merged, unmergeable
from baselines.derived import find_roofs
from baselines.pinned import pinned, pinned_alike
from baselines.policy import Policy
from baselines.provenance import stamped
from baselines.record import Record
from baselines.refresh.acceptance import Assessed, Terms, assess
from baselines.refresh.proposal import Proposed
from baselines.refresh.sessions import ByCase
from baselines.refresh.table import Replaced
from baselines.run import run_ceilings
from baselines.store import Baseline, Store
from baselines.suite import Stored, suite_of

#: By case what is stored, None where nothing is.
Old = Mapping[str, Baseline | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacing:
    """The records of each case, one per session, and the baselines that they make. Raises
    FormatError and SpecError where a stored file, or the GPU, cannot be read."""

    store: Store
    by_case: ByCase
    fresh: Mapping[str, Baseline]
    terms: Terms
    policy: Policy
    allowed: Sequence[Allowed]

    def old(self) -> Old:
        return {case_id: self.store.load(records[0]) for case_id, records in self.by_case.items()}

    def unmergeable(self, old: Old) -> list[str]:
        """Why the stored sessions of other cards cannot be kept, where they are to be."""
        if not self.terms.add:
            return []
        pairs = [(then, self.fresh[case_id]) for case_id, then in old.items() if then is not None]
        return [words for then, now in pairs for words in unmergeable(then, now)]

    def changes(self, old: Old) -> tuple[list[Replaced], list[str]]:
        """What would be stored, with its provenance, and what is refused of it, in words."""
        roofs = self._roofs()
        proposals = [self._proposed(case_id, then, roofs) for case_id, then in old.items()]
        like = next(iter(self.by_case.values()))[0]
        suite = suite_of(pinned_alike(self.store, like, roofs))
        assessed = assess(proposals, suite, self.policy, allowed=self.allowed)
        # What is stored already was accepted then.
        refusals = [w for one in assessed if not _is_stored(one) for w in one.refusals(self.terms)]
        return [self._change(one) for one in assessed], refusals

    def _roofs(self) -> Roofs:
        records = tuple(record for records in self.by_case.values() for record in records)
        return find_roofs(records[0], run_ceilings(records))[0]

    def _proposed(self, case_id: str, then: Baseline | None, roofs: Roofs) -> Proposed:
        records, fresh = self.by_case[case_id], self.fresh[case_id]
        first = records[0]
        return Proposed(
            case=first.case,
            old=None if then is None else self._stored(then, first, roofs),
            fresh=self._stored(fresh, first, roofs),
            new=merged(then, fresh) if self.terms.add and then is not None else fresh,
            dirty=any(record.dirty for record in records),
        )

    def _stored(self, baseline: Baseline, record: Record, roofs: Roofs) -> Stored:
        return pinned(baseline, self.store.path(record), model=record.model, roofs=roofs)

    def _change(self, one: Assessed) -> Replaced:
        old = one.proposed.old.baseline if one.proposed.old else None
        path = self.store.path(self.by_case[one.proposed.case.id][0])
        if old is not None and _is_stored(one):
            # As after a kill between two files: who took them, and why, stays as it is.
            return Replaced(path=path, old=old, new=old, comparable=False, note="unchanged")
        reason = self.terms.reason if one.is_worse else None
        notes = [*([f"accepted: {reason}"] if reason else []), *one.notes]
        return Replaced(
            path=path,
            old=old,
            new=stamped(one.proposed.new, old=old, reason=reason),
            comparable=one.proposed.before is not None,
            note="; ".join(notes),
        )


def _is_stored(one: Assessed) -> bool:
    """Whether the new sessions are those that are there."""
    old = one.proposed.old
    return old is not None and old.baseline.sessions == one.proposed.new.sessions
