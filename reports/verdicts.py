"""The reasons of a run's verdicts, the same words once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from baselines.markdown import code, escape
from baselines.verdict import Outcome, Status, Verdict
from reports.table import NOT_JUDGED

_OUTCOMES = (Outcome.FAILS, Outcome.SKIPS, Outcome.PASSES)

# Up to so many cases that share a finding are named; the table names the rest.
_NAMED = 4

# Words that so many cases repeat, when they are this long, are said once for all.
_REPEATED, _LONG = 3, 40

# A number of its own, with its unit: not one within a UUID or a version.
_FIGURE = re.compile(r"(?<![\w.-])[-+]?\d[\d.,]*(?: (?:[mµn]?s\b|%))?")

# A status and the words of a reason, whatever its numbers.
_Words = tuple[Status, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repeated:
    """What the reasons of several cases have in common: how they begin, up to the first
    number that differs, and how they end, from after the last one on."""

    cases: tuple[str, ...]
    start: str
    end: str


def verdict_list(verdicts: Sequence[Verdict]) -> str:
    """The count of each status, then the reasons of all but plain passes,
    failures first."""
    if not verdicts:
        return f"The run was {NOT_JUDGED}."
    order = sorted(
        verdicts, key=lambda v: (_OUTCOMES.index(v.outcome(strict=False)), tuple(Status).index(v.status))
    )
    counts: dict[Status, int] = {}
    for v in order:
        counts[v.status] = counts.get(v.status, 0) + 1
    told: dict[tuple[Status, str], list[Verdict]] = {}
    for v in order:
        if v.status not in (Status.PASS, Status.NOT_MEASURED):
            # The same finding on many cases is said once.
            reason = "; ".join(v.reasons).replace(v.case, "this case")
            told.setdefault((v.status, reason), []).append(v)
    repeated = _repeated([group[0] for group in told.values() if len(group) == 1])
    head = ", ".join(f"{n} {status.value}" for status, n in counts.items()) + "."
    findings = [_finding(group, reason, repeated) for (_, reason), group in told.items()]
    parts = [head, "\n".join(findings)]
    if repeated:
        # Without a status: it may be the reason that passed of one that failed.
        parts += [
            "Where a reason above ends with “…”, it goes on:",
            "\n".join(map(_shared, repeated.values())),
        ]
    return "\n\n".join(parts).rstrip()


def _repeated(verdicts: Sequence[Verdict]) -> dict[_Words, _Repeated]:
    """The words that many cases repeat of one another."""
    alike: dict[_Words, list[tuple[Verdict, str]]] = {}
    for v in verdicts:
        for reason in v.reasons:
            alike.setdefault(_words(v, reason), []).append((v, reason))
    found = {}
    for words, group in alike.items():
        start, end = _common([reason for _, reason in group])
        cases = tuple(dict.fromkeys(v.case for v, _ in group))
        if len(cases) >= _REPEATED and len(end) >= _LONG:
            found[words] = _Repeated(cases=cases, start=start, end=end)
    return found


def _words(verdict: Verdict, reason: str) -> _Words:
    return verdict.status, tuple(_FIGURE.split(reason))


def _common(reasons: Sequence[str]) -> tuple[str, str]:
    """The start and the end that reasons of the same words share; all of it is the end
    where they share every number."""
    words, figures = _FIGURE.split(reasons[0]), [_FIGURE.findall(reason) for reason in reasons]
    differing = [i for i, seen in enumerate(zip(*figures, strict=True)) if len(set(seen)) > 1]
    if not differing:
        return "", reasons[0]
    parts = [*chain.from_iterable(zip(words, (*figures[0], ""), strict=True))]
    return "".join(parts[: 2 * differing[0] + 1]), "".join(parts[2 * differing[-1] + 2 :])


def _shared(repeated: _Repeated) -> str:
    cases = repeated.cases
    named = ", ".join(code(case) for case in cases) if len(cases) <= _NAMED else f"{len(cases)} cases"
    said = f"{repeated.start}…{repeated.end}" if repeated.start else repeated.end
    return f"- {named}: {escape(said)}"


def _finding(group: Sequence[Verdict], reason: str, repeated: Mapping[_Words, _Repeated]) -> str:
    first, status = group[0], _status(group[0])
    if len(group) == 1:
        own = "; ".join(_own(first, told, repeated) for told in first.reasons)
        return f"- {status} {code(first.case)}: {escape(own)}"
    if len(group) > _NAMED:
        return f"- {status}, {len(group)} cases: {escape(reason)}"
    return f"- {status} {', '.join(code(v.case) for v in group)}: {escape(reason)}"


def _own(verdict: Verdict, reason: str, repeated: Mapping[_Words, _Repeated]) -> str:
    """A reason without the end that was said for all."""
    one = repeated.get(_words(verdict, reason))
    return reason if one is None else f"{reason.removesuffix(one.end)} …".lstrip()


def _status(verdict: Verdict) -> str:
    return f"**{verdict.status.value}**" if verdict.fails else verdict.status.value
