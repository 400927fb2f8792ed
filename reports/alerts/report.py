"""The issue of a GPU and model in words: the verdict first, then how it is known."""

from collections.abc import Sequence

from analytic import text
from baselines.markdown import code, table
from baselines.policy import POLICY
from baselines.verdict import Status
from reports.alerts import wording
from reports.alerts.ci_page import CiPage
from reports.alerts.state import Regression, moment
from reports.alerts.wording import safe
from reports.standing import Problem, Standing

# A table of more is no longer read.
_MOST_ROWS = 100

# So many cases are named in a message or a comment.
_MOST_LINES = 20

_SLOWER = (Status.REGRESSED, Status.SHIFTED)


def of(now: Standing) -> str:
    return f"{now.model} on {now.gpu}"


def title(now: Standing) -> str:
    """The worst case by name: "mistral-7b-v0.2 on h100-sxm: 3 cases slower, CASE +1.05 %"."""
    worst = _by_size(now.problems)[0]
    return wording.title(
        f"{of(now)}: {text.counted(len(now.problems), 'case')} {_what(now.problems)}, {worst.case}{_size(worst)}"
    )


def body(now: Standing, hidden: str, state: Regression, *, page: CiPage, carried: Sequence[str] = ()) -> str:
    """`hidden` is what the issue remembers; `carried` are its cases of which tonight says nothing."""
    sections = [_table(now.problems)] if now.problems else []
    if carried:
        sections.append(
            f"Not judged by the last run, so neither recovered nor worse: {_codes(carried)}. "
            "The issue stays open for them."
        )
    sections += [_facts(now, state, page), _accepting(now.problems)]
    sections += [_details("Reasons", [(p.case, "; ".join(p.reasons)) for p in now.problems])]
    sections += [_details("Of these nothing can be said", list(now.open.items()))]
    return wording.fitting(f"{hidden}\n\n{_verdict(now)}", [s for s in sections if s], pointer=page.pointer)


def comment(now: Standing, verdict: str, lines: Sequence[str], page: CiPage) -> str:
    """Of one run: said again it is the same text."""
    found = [f"- {safe(line)}" for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        found.append(f"- and {len(lines) - _MOST_LINES} more")
    ends = f"Run {safe(now.run)}, commit {safe(now.commit)}; {page.words}"
    return wording.fitting(
        f"**{verdict}.**", ["\n".join(found), ends] if found else [ends], pointer=page.pointer
    )


def message(now: Standing, verdict: str, page: CiPage, lines: Sequence[str] | None = None) -> str:
    """For a chat; `lines` are the problems unless they are given."""
    said = [f"{p.case}: {p.words}" for p in _by_size(now.problems)] if lines is None else list(lines)
    more = [f"and {len(said) - _MOST_LINES} more"] if len(said) > _MOST_LINES else []
    return "\n".join(
        (verdict, *said[:_MOST_LINES], *more, f"run {now.run}, commit {now.commit}; {page.words}")
    )


def _verdict(now: Standing) -> str:
    if not now.problems:
        return f"**No case of {safe(of(now))} that was judged fails now, but not all of this issue were.**"
    worst = _by_size(now.problems)[0]
    cases = text.counted(len(now.problems), "case")
    return f"**{cases} of {safe(of(now))} {_what(now.problems)}.** {code(worst.case)}: {safe(worst.words)}."


def _what(problems: Sequence[Problem]) -> str:
    if all(p.status in _SLOWER and _grew(p) for p in problems):
        return "slower"
    found = dict.fromkeys(p.status for p in problems)
    return ", ".join(s.value.replace("_", " ") for s in Status if s in found)


def _by_size(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: p.change if p.change is not None else -1.0, reverse=True)


def _grew(problem: Problem) -> bool:
    """Whether its time did, by more than nothing is claimed of."""
    return problem.change is not None and problem.change > POLICY.min_effect


def _size(problem: Problem) -> str:
    if problem.change is not None and (_grew(problem) or not problem.counts):
        return f" {text.signed_percent(problem.change)}"
    return f" {problem.counts[0]}" if problem.counts else ""


def _table(problems: Sequence[Problem]) -> str:
    rows = [
        (
            code(p.case),
            p.status.value,
            "–" if p.change is None else f"{p.metric} {text.signed_percent(p.change)}",
            "–" if p.change is None else f"{text.seconds(p.then_s)} → {text.seconds(p.now_s)}",
            safe(", ".join((*p.operators, *p.counts))) or "–",
            safe(f"{p.since.night}, {p.since.commits}") if p.since else "–",
        )
        for p in _by_size(problems)
    ]
    shown = table(
        ("case", "status", "change", "from → to", "most in", "since"), rows[:_MOST_ROWS], left=(0, 1, 4, 5)
    )
    more = f"\n\nand {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
    return shown + more


def _facts(now: Standing, state: Regression, page: CiPage) -> str:
    rows = (
        ("GPU", f"{safe(now.gpu)} ({safe(now.device)})"),
        ("model", safe(now.model)),
        ("last run", f"{safe(now.run)}, commit {safe(now.commit)}, began {safe(now.started)}"),
        ("seen", f"in {text.counted(state.nights, 'night')}, first on {moment(state.first).date()}"),
        ("CI", page.words),
    )
    return table(("", ""), rows, left=(0, 1))


def _accepting(problems: Sequence[Problem]) -> str:
    if not any(p.status in _SLOWER for p in problems):
        return ""
    return (
        'If the change is meant: commit it, and refresh the baselines with `--accept-regression "why"`; '
        "the whole command ends each reason. This issue closes itself once every case of it was judged "
        "and none fails."
    )


def _details(summary: str, entries: Sequence[tuple[str, str]]) -> str:
    lines = "\n".join(f"- {code(case)}: {safe(why)}" for case, why in entries)
    return f"<details><summary>{summary}</summary>\n\n{lines}\n\n</details>" if entries else ""


def _codes(cases: Sequence[str]) -> str:
    return ", ".join(code(case) for case in cases)
