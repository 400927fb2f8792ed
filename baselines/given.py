"""The comparison that a stored verdict was given by, in numbers again."""

from collections.abc import Sequence

from baselines.comparison import Comparison, compare
from baselines.derived import Derived
from baselines.judging import against, measured_again
from baselines.policy import POLICY, Policy
from baselines.run import RunFolder
from baselines.store import Store
from baselines.suite import alike, suite_of
from baselines.verdict import Verdict


def comparisons(
    folder: RunFolder,
    derived: Sequence[Derived],
    verdicts: Sequence[Verdict],
    store: Store,
    *,
    policy: Policy = POLICY,
) -> dict[str, Comparison]:
    """By case; without those whose verdict was given by no baseline, or by one that was
    changed since: today's says nothing of why. Raises FormatError and SpecError."""
    known, again = against(derived, store), measured_again(folder)
    given = {v.case: v.baseline_digest for v in verdicts}
    suites = {kind: suite_of(alike(known.suite, kind)) for kind in {d.record.kind for d in derived}}
    found = {}
    for one in derived:
        case_id, stored = one.record.case.id, known.stored.get(one.record.case.id)
        if stored is None or stored.digest is None or stored.digest != given.get(case_id):
            continue
        if stored.baseline.hard != one.record.hard:
            continue
        found[case_id] = compare(
            one,
            again.measured.get(case_id, ()),
            stored,
            suites[one.record.kind],
            policy,
            unusable=again.unusable.get(case_id, ()),
        )
    return found
