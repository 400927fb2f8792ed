"""What moved against the baseline that a verdict was given by: operators, device operations, kernels."""

from collections.abc import Mapping, Sequence

from baselines.attribution import Moved, explain_against
from baselines.codec import FormatError
from baselines.derived import Derived
from baselines.markdown import code
from baselines.moved_table import moved_table
from baselines.store import Store, digest
from baselines.verdict import Status, Verdict

# What is worth explaining: a pass within its noise is not.
_EXPLAINED = (
    Status.IMPOSSIBLE,
    Status.BELOW_BAND,
    Status.INVALID,
    Status.REGRESSED,
    Status.SUSPECT,
    Status.SHIFTED,
    Status.IMPROVED,
    Status.WARN,
)

Explained = Mapping[str, Sequence[Moved]]


def explanations(
    derived: Sequence[Derived], verdicts: Sequence[Verdict], store: Store
) -> dict[str, tuple[Moved, ...]]:
    """By case what moved, where something did. A baseline that was changed since its
    verdict explains nothing, and one that cannot be read is told with the verdict."""
    cases = {d.record.case.id: d for d in derived}
    found = {}
    for verdict in verdicts:
        one = cases.get(verdict.case)
        if one is None or verdict.status not in _EXPLAINED or verdict.baseline_digest is None:
            continue
        if digest(store.path(one.record)) != verdict.baseline_digest:
            continue
        try:
            baseline = store.load(one.record)
        except FormatError:
            continue
        moved = explain_against(one, baseline) if baseline else ()
        if moved:
            found[verdict.case] = moved
    return found


def moved_tables(explained: Explained) -> str:
    """A ranked table for each case; empty where nothing is known to have moved."""
    return "\n\n".join(f"### {code(case_id)}\n\n{moved_table(moved)}" for case_id, moved in explained.items())
