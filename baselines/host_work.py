"""Does the host do more than before? The counts of a step against the sessions'."""

from collections.abc import Sequence

from baselines.record import Counts
from baselines.store import Baseline
from baselines.verdict import Finding, Status

# What the host does for a step, in the words of a finding.
_WORK = {
    "launches": "launches",
    "aten_ops": "ATen ops",
    "python_calls": "Python calls",
    "copies": "copies",
    "syncs": "syncs",
}


def overstepped(value: int, counted: Sequence[int]) -> int | None:
    """The nearest of the sessions' counts where `value` lies beyond all of them; else
    None, as where there are none."""
    if not counted or min(counted) <= value <= max(counted):
        return None
    return max(counted) if value > max(counted) else min(counted)


def host_work(now: Counts | None, baseline: Baseline) -> list[Finding]:
    """A count beyond what any session counted: a warning where one grew. Counts are
    exact, so that nothing has to be allowed for but the sessions' own differences. Not
    compared is what was not counted, now or in any session."""
    changes = {}
    for name, words in _WORK.items():
        value = getattr(now, name, None)
        then = [getattr(session.counts, name, None) for session in baseline.sessions]
        known = [count for count in then if count is not None]
        if value is None or len(known) < len(then):
            continue
        if (before := overstepped(value, known)) is not None:
            changes[f"{words} {before:,} -> {value:,}"] = value - before
    if not changes:
        return []
    more = any(change > 0 for change in changes.values())
    text = f"the host does {'more' if more else 'less'} for a step: {', '.join(changes)} (shown, not judged)"
    return [Finding(status=Status.WARN if more else Status.PASS, text=text)]
