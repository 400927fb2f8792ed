"""What to do about nights without a result, given the issue that is open. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analytic import text
from baselines.markdown import table
from baselines.verdict import Status
from reports.alerts import wording
from reports.alerts.action import Action, Issue, Kind
from reports.alerts.ci_page import CiPage
from reports.alerts.state import Key, Silence, hidden, moment, nights_after, read
from reports.alerts.wording import safe

UNMEASURED, MISSING = "nothing was measured or judged", "none arrived in time"

# So many reasons are listed.
_MOST_REASONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A night without a result: `what` is lacking (MISSING, UNMEASURED, or `unmeasured` of some
    models) in words of ours, why in the run's own, at the time `at`. A run that began after
    `after` ends it; any, where that is None."""

    name: str
    what: str
    reasons: tuple[str, ...]
    at: str
    after: str | None


def unmeasured(models: int) -> str:
    """Where others were judged."""
    return f"of {text.counted(models, 'model')} {UNMEASURED}"


def key_of(name: str) -> Key:
    return Key(subject="silence", names=(name,))


def grouped(reasons: Sequence[str]) -> tuple[str, ...]:
    """By what they begin with, which is a status mostly: how many cases it is of, and one
    reason for all; the commonest first."""
    by_start: dict[str, list[str]] = {}
    for why in reasons:
        by_start.setdefault(why.partition(":")[0], []).append(why)
    groups = sorted(by_start.values(), key=len, reverse=True)
    said = [
        f"{group[0]} ({text.counted(len(group), 'case')}{' like this' if len(set(group)) > 1 else ''})"
        for group in groups[:_MOST_REASONS]
    ]
    if any(start == Status.NO_BASELINE for start in by_start):
        said.append("make refresh stores baselines of what has none")
    return (*said, f"and {len(groups) - _MOST_REASONS} more") if len(groups) > _MOST_REASONS else tuple(said)


def decide(silent: Silent, issue: Issue | None, page: CiPage) -> Action:
    """Opens the issue, or keeps it true; people are told again where something else is lacking."""
    state = None if issue is None else read(Silence, issue.body)
    key, title = key_of(silent.name), wording.title(f"No {silent.name} result: {silent.what}")
    if state and silent.what != MISSING and _earlier(silent.after, state.after):
        why = f"{title}: a later night has been told of"
        return Action(kind=Kind.NOTHING, key=key, issue=issue, why=why)
    after = _after(silent, state)
    body = _body(silent, after, page)
    told = "\n".join((title, *silent.reasons, page.words))
    action = Action(kind=Kind.OPEN, key=key, issue=issue, why=title, title=title, body=body, message=told)
    if issue is None:
        return action
    if (title, body) == (issue.title, issue.body.replace("\r\n", "\n")):
        return replace(action, kind=Kind.NOTHING, why=f"{title}: the issue says so already", message="")
    if state is None or state.what == silent.what:
        return replace(action, kind=Kind.UPDATE, message="")
    comment = (
        f"**Now {silent.what}**, before: {safe(state.what)}.\n\n{_listed(silent.reasons)}\n\n{page.words}"
    )
    return replace(action, kind=Kind.MOVE, comment=wording.fitting(comment, [], pointer=page.pointer))


def decide_heard(name: str, issue: Issue | None, page: CiPage, *, run: str, started: str) -> Action:
    """Of a run that judged something of all that it planned."""
    key = key_of(name)
    if issue is None:
        return Action(kind=Kind.NOTHING, key=key, why=f"{name}: a result is there")
    state = read(Silence, issue.body)
    if state is not None and _earlier(started, state.after):
        why = f"{name}: this run is older than what is missed"
        return Action(kind=Kind.NOTHING, key=key, issue=issue, why=why)
    why = f"{name}: a result is there again, run {run}"
    return Action(
        kind=Kind.CLOSE,
        key=key,
        issue=issue,
        why=why,
        comment=f"**A result is there again**: run {safe(run)}; {page.words}",
        message=f"{why}; {page.words}",
    )


def _after(silent: Silent, state: Silence | None) -> Silence:
    if state is None:
        return Silence(what=silent.what, after=silent.after, first=silent.at, last=silent.at, nights=1)
    after = state.after if _earlier(silent.after, state.after) else silent.after
    last = state.last if _earlier(silent.at, state.last) else silent.at
    return replace(state, what=silent.what, after=after, last=last, nights=nights_after(state, silent.at))


def _earlier(one: str | None, other: str | None) -> bool:
    return other is not None and (one is None or moment(one) < moment(other))


def _body(silent: Silent, state: Silence, page: CiPage) -> str:
    seen = f"{text.counted(state.nights, 'night')}, first on {moment(state.first).date()}"
    rows = (("lasts", seen), ("last seen", safe(silent.at)), ("CI", page.words))
    head = f"{hidden(key_of(silent.name), state)}\n\n**No result of {safe(silent.name)}: {silent.what}.**"
    sections = [
        _listed(silent.reasons),
        table(("", ""), rows, left=(0, 1)),
        "Whether it became slower is not known. The next run that judges something of all it planned closes this.",
    ]
    return wording.fitting(head, sections, pointer=page.pointer)


def _listed(reasons: Sequence[str]) -> str:
    return "\n".join(f"- {safe(why)}" for why in reasons)
