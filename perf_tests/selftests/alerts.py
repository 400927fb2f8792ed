"""Standings made from plain numbers, and nights one after the other, for tests of alerts."""

from collections.abc import Mapping, Sequence

from baselines.verdict import Status
from reports.alerts import regression
from reports.alerts.action import Action, Issue, Kind
from reports.alerts.ci_page import CiPage
from reports.standing import Problem, Standing

PAGE = CiPage(url="https://github.com/owner/gate/actions/runs/77")
DECODE, PREFILL, LONG = (
    "decode-b1-c512-fp16-eager",
    "prefill-b1-p512-fp16-eager",
    "prefill-b1-p2048-fp16-eager",
)


def problem(
    case: str = DECODE,
    *,
    change: float | None = 0.0105,
    status: Status = Status.REGRESSED,
    counts: Sequence[str] = (),
    operators: Sequence[str] = ("gate +0.040 ms",),
    reasons: Sequence[str] = ("slower",),
) -> Problem:
    return Problem(
        together="",
        case=case,
        status=status,
        metric=None if change is None else "device time",
        change=change,
        then_s=None if change is None else 0.0078,
        now_s=None if change is None else 0.0078 * (1 + change),
        counts=tuple(counts),
        operators=tuple(operators),
        since=None,
        reasons=tuple(reasons),
    )


def standing(
    *problems: Problem,
    night: int = 22,
    settled: Sequence[str] = (),
    unknown: Mapping[str, str] | None = None,
    commit: str = "abc1234",
) -> Standing:
    """After the run of a night in November; `unknown` are cases of which nothing can be said."""
    return Standing(
        gpu="h100-sxm",
        model="mistral-7b-v0.2",
        device="NVIDIA H100 80GB HBM3",
        run=f"run-{night}",
        started=f"2026-11-{night}T03:00:00+00:00",
        commit=commit,
        problems=problems,
        settled=tuple(settled),
        open=unknown or {},
    )


def opened(*problems: Problem, night: int = 22) -> Issue:
    """The issue of a first night."""
    return after(regression.decide(standing(*problems, night=night), None, PAGE))


def after(action: Action) -> Issue:
    """The issue as it stands once an action is done."""
    before = action.issue
    assert action.kind is not Kind.CLOSE
    return Issue(
        number=before.number if before else 7,
        url="https://github.com/owner/gate/issues/7",
        title=action.title or (before.title if before else ""),
        body=action.body or (before.body if before else ""),
    )
