"""Does the host do more than before? The counts of a step against the sessions'."""

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


def host_work(now: Counts | None, baseline: Baseline) -> list[Finding]:
    """A count that is not what every session counted: a warning where any grew. Counts
    are exact, so that nothing has to be allowed for; not compared are those that were
    not counted, and those that sessions disagree on."""
    sessions = [session.counts for session in baseline.sessions]
    if now is None or not all(sessions):
        return []
    changes = {}
    for name, words in _WORK.items():
        value, then = getattr(now, name), {getattr(session, name) for session in sessions}
        before = then.pop()
        if then or None in (value, before) or value == before:
            continue
        changes[f"{words} {before:,} -> {value:,}"] = value - before
    if not changes:
        return []
    more = any(change > 0 for change in changes.values())
    text = f"the host does {'more' if more else 'less'} for a step: {', '.join(changes)} (shown, not judged)"
    return [Finding(status=Status.WARN if more else Status.PASS, text=text)]
