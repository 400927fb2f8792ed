"""The comparison that a stored verdict was given by, in numbers again."""

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass

from baselines.allowed import Allowed, allowed_changes, undeclared
from baselines.comparison import Comparison, compare
from baselines.counts import CountChange
from baselines.derived import Derived
from baselines.judging import against, measured_again
from baselines.night import Change, Night, Stand
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.run import RunFolder
from baselines.store import Store
from baselines.suite import alike, suite_of
from baselines.verdict import Verdict

DEVICE, WALL = "device time", "wall time"

# A verdict that was given is not taken back: where no fresh process is there any more, the
# session's own suspicion tells its size.
_SLOWER = (Stand.SLOWER, Stand.SUSPECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One case beside its baseline, and what all that is judged with it shares; `allowed`
    are the changes of counts that are declared."""

    comparison: Comparison
    night: Night
    allowed: Sequence[Allowed]

    @property
    def slower(self) -> tuple[str, Change] | None:
        """The time that has grown by more than noise, by name: device time before a promised
        wall; None where neither has."""
        one = self.comparison
        promised = one.derived.record.case.promise.wall is not None
        for name, change in ((DEVICE, one.device), (WALL, one.wall if promised else None)):
            if change is not None and self.night.stand(change) in _SLOWER:
                return name, change
        return None

    @property
    def grown(self) -> tuple[CountChange, ...]:
        """The counts that grew under the same software, and were not declared to."""
        one, record = self.comparison, self.comparison.derived.record
        if one.software_changed:
            return ()
        return tuple(undeclared(self.allowed, one.counts, gpu=record.gpu, case=record.case))

    @property
    def commit(self) -> str:
        """The baseline's: what was accepted."""
        return self.comparison.stored.baseline.sessions[-1].commit

    @property
    def accepted_at(self) -> dt.datetime | None:
        """When the newest of its sessions started; None where none says so."""
        return self.comparison.stored.baseline.newest_started


def not_there(records: Sequence[Record], verdicts: Sequence[Verdict], store: Store) -> tuple[str, ...]:
    """The cases whose verdict was given by a baseline, and of which the store has none: it
    is another store than theirs, most likely. Raises FormatError."""
    judged = {v.case for v in verdicts if v.baseline_digest is not None}
    return tuple(r.case.id for r in records if r.case.id in judged and not os.path.lexists(store.path(r)))


def comparisons(
    folder: RunFolder,
    derived: Sequence[Derived],
    verdicts: Sequence[Verdict],
    store: Store,
    *,
    policy: Policy = POLICY,
) -> dict[str, Given]:
    """By case; without those whose verdict was given by no baseline, or by one that was
    changed since: today's says nothing of why. Raises FormatError and SpecError."""
    known, again, allowed = against(derived, store), measured_again(folder), allowed_changes()
    given = {v.case: v.baseline_digest for v in verdicts}
    together = {kind: alike(known.suite, kind) for kind in {d.record.kind for d in derived}}
    suites = {kind: suite_of(stored) for kind, stored in together.items()}
    nights = {kind: Night(policy=policy, judged=max(len(stored), 1)) for kind, stored in together.items()}
    found = {}
    for one in derived:
        case_id, stored = one.record.case.id, known.stored.get(one.record.case.id)
        if stored is None or stored.digest is None or stored.digest != given.get(case_id):
            continue
        if stored.baseline.hard != one.record.hard:
            continue
        compared = compare(
            one,
            again.measured.get(case_id, ()),
            stored,
            suites[one.record.kind],
            policy,
            unusable=again.unusable.get(case_id, ()),
        )
        found[case_id] = Given(comparison=compared, night=nights[one.record.kind], allowed=allowed)
    return found
