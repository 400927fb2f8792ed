"""The verdict of a run, first and in few words: what fails and why, and how many cases stand how."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from analytic import text
from baselines.markdown import code, escape
from baselines.run import RunInfo
from baselines.verdict import FAILING, Status, Verdict
from reports.standing import Problem, Standing

# So many failing cases are told in the headline, and so many others named; the list of
# verdicts holds all.
_TOLD, _NAMED = 12, 4


class Stand(StrEnum):
    """How a case stands, in the words of the page; those that ask for something first."""

    FAILED = "failed"
    SHOWN = "shown"
    NOT_JUDGED = "not judged"
    INVALID = "invalid"
    NOT_MEASURED = "not measured"
    PASSED = "passed"


# Those of which a run says nothing.
_UNSAID = (Stand.NOT_JUDGED, Stand.INVALID, Stand.NOT_MEASURED)

# What each asks of who reads it.
MEANINGS = {
    Stand.FAILED: "slower, under its band, impossible, or its baseline is damaged",
    Stand.SHOWN: "judged, and something is to be known",
    Stand.NOT_JUDGED: "no baseline, of another card or hard key, too noisy, or not confirmed",
    Stand.INVALID: "the GPU's state spoilt the measurement",
    Stand.NOT_MEASURED: "planned, and did not run",
    Stand.PASSED: "judged, nothing found",
}

STANDS = {
    **dict.fromkeys(FAILING, Stand.FAILED),
    Status.INVALID: Stand.INVALID,
    Status.SUSPECT: Stand.NOT_JUDGED,
    Status.INCOMPARABLE: Stand.NOT_JUDGED,
    Status.AMBIGUOUS: Stand.NOT_JUDGED,
    Status.NO_BASELINE: Stand.NOT_JUDGED,
    Status.NOT_MEASURED: Stand.NOT_MEASURED,
    Status.SHIFTED: Stand.SHOWN,
    Status.WARN: Stand.SHOWN,
    Status.IMPROVED: Stand.SHOWN,
    Status.PASS: Stand.PASSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The cases of one stand, by their ids; there may be none."""

    stand: Stand
    cases: tuple[str, ...]


def tallies(
    info: RunInfo, measured: Sequence[str], verdicts: Sequence[Verdict], standings: Sequence[Standing]
) -> tuple[Tally, ...]:
    """Every planned, measured or judged case once, under how it stands. What was planned
    and left no record was not measured, whatever else is said of it, unless it fails."""
    given = {v.case: v for v in verdicts}
    unjudged = {case for standing in standings for case in standing.open}
    planned = (p.case.id for p in info.planned)
    found: dict[Stand, list[str]] = {stand: [] for stand in Stand}
    for case_id in dict.fromkeys((*measured, *given, *planned)):
        verdict = given.get(case_id)
        stand = _stand(verdict, unjudged=case_id in unjudged)
        if case_id not in measured and stand is not Stand.FAILED:
            stand = Stand.NOT_MEASURED
        found[stand].append(case_id)
    return tuple(Tally(stand=stand, cases=tuple(cases)) for stand, cases in found.items())


def _stand(verdict: Verdict | None, *, unjudged: bool) -> Stand:
    """Without a verdict nobody judged it; nor does a warning that history had no part in."""
    if verdict is None:
        return Stand.NOT_JUDGED
    if verdict.fails:
        return Stand.FAILED
    if verdict.status is Status.WARN and unjudged:
        return Stand.NOT_JUDGED
    return STANDS[verdict.status]


def sentence(found: Sequence[Tally], standings: Sequence[Standing]) -> str:
    """The verdict on the run as a whole, in one sentence."""
    count = {tally.stand: len(tally.cases) for tally in found}
    every = sum(count.values())
    judged = count[Stand.FAILED] + count[Stand.PASSED] + count[Stand.SHOWN]
    if any(problem.together for standing in standings for problem in standing.problems):
        return f"The cases moved together, and nothing explains it: one failure for the run of {every}."
    if count[Stand.FAILED]:
        fail = text.counted(count[Stand.FAILED], "case fails", "cases fail")
        return f"{fail} of {every}."
    if not judged:
        return f"Nothing was judged: {_listed(found, every)}."
    if judged == count[Stand.PASSED] == every:
        return f"All {text.counted(every, 'case')} passed." if every > 1 else "The one case passed."
    return f"Nothing failed: {_listed(found, every)}."


def _listed(found: Sequence[Tally], every: int) -> str:
    said = ", ".join(f"{len(t.cases)} {t.stand.value}" for t in reversed(found) if t.cases)
    return f"of {text.counted(every, 'case')}, {said}"


def headline(found: Sequence[Tally], standings: Sequence[Standing]) -> str:
    """The sentence, then what asks for something."""
    return "\n\n".join(filter(None, (f"**{sentence(found, standings)}**", asks(found, standings))))


def asks(found: Sequence[Tally], standings: Sequence[Standing]) -> str:
    """A line for each problem: by how much, in which operator, since which commit; then
    which cases were not judged, spoilt or not measured. Empty where all is well."""
    problems = [problem for standing in standings for problem in standing.problems]
    lines = [_line(problem) for problem in problems[:_TOLD]]
    if rest := problems[_TOLD:]:
        lines.append(f"- and {text.counted(len(rest), 'case')} more, under Verdicts")
    lines += [_unsaid(tally) for tally in found if tally.stand in _UNSAID and tally.cases]
    return "\n".join(lines)


def _line(problem: Problem) -> str:
    return f"- **{problem.status.value}** {code(problem.case)}: {escape(problem.words)}"


def _unsaid(tally: Tally) -> str:
    named = ", ".join(map(code, tally.cases[:_NAMED]))
    rest = len(tally.cases) - _NAMED
    more = f" and {text.counted(rest, 'case')} more" if rest > 0 else ""
    where = "Not measured" if tally.stand is Stand.NOT_MEASURED else "Verdicts"
    return f"- **{tally.stand.value}** {named}{more}: see {where}"
