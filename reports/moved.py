"""What moved against the baseline that a verdict was given by: operators, device operations, kernels."""

from collections.abc import Mapping, Sequence

from analytic import text
from baselines.attribution import Moved, explain_against, signed
from baselines.codec import FormatError
from baselines.derived import Derived
from baselines.kernel_names import listed
from baselines.store import Store, digest
from baselines.verdict import Status, Verdict
from reports.markdown import code, escape, table

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

_ROWS, _KERNELS = 8, 3
_HEADERS = ("operator or kernel", "then", "change", "device ops", "kernels")

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
    return "\n\n".join(f"### {code(case_id)}\n\n{_table(moved)}" for case_id, moved in explained.items())


def _table(moved: Sequence[Moved]) -> str:
    rows = [
        (
            escape(one.name),
            text.seconds(one.then_s),
            signed(one.change_s),
            f"{one.device_ops:+d}" if one.device_ops else "",
            escape("; ".join(filter(None, (_kernels("new", one.new), _kernels("gone", one.gone))))),
        )
        for one in moved[:_ROWS]
    ]
    rest = moved[_ROWS:]
    more = f"\n\nand {len(rest)} more, together {signed(sum(one.change_s for one in rest))}" if rest else ""
    return table(_HEADERS, rows, left=(0, 4)) + more


def _kernels(kind: str, names: Sequence[str]) -> str:
    return f"{kind}: {listed(names, most=_KERNELS)}" if names else ""
