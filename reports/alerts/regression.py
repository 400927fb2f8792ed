"""What to do about a GPU and model after a run, given the issue that is open. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analytic import text
from reports.alerts import report
from reports.alerts.action import Action, Issue, Kind
from reports.alerts.ci_page import CiPage
from reports.alerts.state import Key, Regression, Said, hidden, moment, nights_after, read
from reports.standing import Problem, Standing

# A size has moved once it differs from what was last said by more than half a point, or
# a quarter of it: what fresh processes of one night say of one change differs by less.
LEAST_MOVE, MOVE_SHARE = 0.005, 0.25


def key_of(now: Standing) -> Key:
    return Key(subject="regression", names=(now.gpu, now.model))


def decide(now: Standing, issue: Issue | None, page: CiPage) -> Action:
    """A case that was not judged neither recovers nor gets worse."""
    nothing = Action(kind=Kind.NOTHING, key=key_of(now), issue=issue, why="")
    if not now.judged:
        return replace(nothing, why=f"{report.of(now)}: nothing was judged")
    if issue is None:
        if not now.problems:
            return replace(nothing, why=f"{report.of(now)}: nothing fails")
        return _opened(now, page)
    state = read(Regression, issue.body)
    if state is None:
        return _unknown(now, issue, page)
    if moment(now.started) < moment(state.last):
        return replace(nothing, why=f"{report.of(now)}: a later run has been told of")
    return _followed(now, issue, state, page)


def _opened(now: Standing, page: CiPage) -> Action:
    state = _fresh(now)
    return Action(
        kind=Kind.OPEN,
        key=key_of(now),
        why=report.title(now),
        title=report.title(now),
        body=report.body(now, hidden(key_of(now), state), state, page=page),
        message=report.message(now, report.title(now), page),
        began=now.started,
    )


def _unknown(now: Standing, issue: Issue, page: CiPage) -> Action:
    """Of an issue whose state was lost: it is closed only where every case says so."""
    if not now.problems and now.open:
        why = f"{report.of(now)}: what the issue is about cannot be read, and not every case was judged"
        return Action(kind=Kind.NOTHING, key=key_of(now), issue=issue, why=why)
    if not now.problems:
        return _closed(now, issue, page, recovered=())
    opened = _opened(now, page)
    return replace(opened, kind=Kind.UPDATE, issue=issue, message="")


def _followed(now: Standing, issue: Issue, state: Regression, page: CiPage) -> Action:
    failing = {p.case: _said(p) for p in now.problems}
    recovered = [case for case in state.cases if case in now.settled]
    carried = {c: s for c, s in state.cases.items() if c not in failing and c not in recovered}
    if not failing and not carried:
        return _closed(now, issue, page, recovered=recovered)
    movement = dict(_movement(state, failing, recovered))
    moved = tuple(f"{case}: {what}" for case, what in movement.items())
    title = report.title(now) if failing else issue.title
    kept = {case: said if case in movement else state.cases[case] for case, said in failing.items()}
    after = replace(
        state,
        last=now.started,
        nights=nights_after(state, now.started) if failing else state.nights,
        cases={**carried, **kept},
    )
    body = report.body(now, hidden(key_of(now), after), after, page=page, carried=tuple(carried))
    if not moved and (title, body) == (issue.title, issue.body.replace("\r\n", "\n")):
        why = f"{report.of(now)}: the issue says so already"
        return Action(kind=Kind.NOTHING, key=key_of(now), issue=issue, why=why)
    return Action(
        kind=Kind.MOVE if moved else Kind.UPDATE,
        key=key_of(now),
        issue=issue,
        why=f"{title} ({'; '.join(moved) or 'as before'})",
        title=title,
        body=body,
        comment=report.comment(now, "It moved", moved, page) if moved else "",
        message=report.message(now, f"It moved: {title}", page, moved) if moved else "",
    )


def _closed(now: Standing, issue: Issue, page: CiPage, *, recovered: Sequence[str]) -> Action:
    cases = f"{text.counted(len(recovered), 'case')} recovered" if recovered else "no case fails"
    why = f"{report.of(now)}: {cases}"
    lines = tuple(f"{case}: as it should be" for case in recovered)
    return Action(
        kind=Kind.CLOSE,
        key=key_of(now),
        issue=issue,
        why=why,
        comment=report.comment(
            now, "Recovered: every case of this issue was judged and none fails", lines, page
        ),
        message=report.message(now, f"Recovered: {why}", page, ()),
    )


def _movement(
    state: Regression, failing: Mapping[str, Said], recovered: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The cases of which something is to be said aloud, and what."""
    for case, now in failing.items():
        said = state.cases.get(case)
        if said is None:
            yield case, f"fails too, {_size(now)}"
        elif now.status != said.status:
            yield case, f"{said.status} → {now.status}"
        elif now.counts != said.counts or _moved(said.change, now.change):
            yield case, f"{_size(said)} → {_size(now)}"
    for case in recovered:
        yield case, "recovered"


def _moved(said: float | None, now: float | None) -> bool:
    if said is None or now is None:
        return said is not now
    return abs(now - said) > max(LEAST_MOVE, MOVE_SHARE * abs(said))


def _size(said: Said) -> str:
    change = () if said.change is None else (text.signed_percent(said.change),)
    return ", ".join((*change, *said.counts)) or said.status


def _fresh(now: Standing) -> Regression:
    cases = {p.case: _said(p) for p in now.problems}
    return Regression(first=now.started, last=now.started, nights=1, cases=cases)


def _said(problem: Problem) -> Said:
    return Said(status=problem.status.value, change=problem.change, counts=problem.counts)
