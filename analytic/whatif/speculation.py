"""Speculative decoding: a small model drafts, one pass of the large one verifies.

With k drafted tokens, each accepted with chance a, a round yields

    (1 - a^(k+1)) / (1 - a)

tokens a sequence (Leviathan, Kalman, Matias 2023, arXiv 2211.17192, equation 1),
and takes one pass of k + 1 new tokens and k draft steps, each a share c of a step
of the large model. The paper found c below 0.05 for drafts a hundredth the size;
under eager execution a draft pays its launches, layer by layer, so a tenth is
assumed unless told. Chances are taken as independent, and a batch's sequences as
advancing each at its own pace.
"""

from dataclasses import dataclass

from analytic.bound import pass_bound
from analytic.case import Phase
from analytic.counting import cost_of
from analytic.errors import SpecError
from analytic.estimate import estimate
from analytic.passes import Pass, case_pass
from analytic.whatif.memory import refusal
from analytic.whatif.option import Option, floored, foretold, impossible
from analytic.whatif.present import Present
from analytic.whatif.run import Run, added, by_bound, scaled

DRAFT_TOKENS, DRAFT_COST = 4, 0.1
# Beyond this a draft is no draft; a round of so many tokens is a prefill.
MOST_DRAFT_TOKENS = 256
_STEPS = 40
# A break-even rate below this is none.
_NEVER_LESS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """`acceptance` is the chance (0 to 1) that a drafted token is accepted, None
    where it is not known; `draft_cost` what a draft step takes of a step. Raises
    SpecError for values out of range."""

    acceptance: float | None = None
    draft_tokens: int = DRAFT_TOKENS
    draft_cost: float = DRAFT_COST

    def __post_init__(self) -> None:
        if self.acceptance is not None and not 0 <= self.acceptance <= 1:
            raise SpecError(f"the acceptance rate is {self.acceptance}; a share from 0 to 1 is needed")
        if not 1 <= self.draft_tokens <= MOST_DRAFT_TOKENS:
            raise SpecError(f"{self.draft_tokens} draft tokens; 1 to {MOST_DRAFT_TOKENS} are needed")
        if not 0 <= self.draft_cost < 1:
            raise SpecError(
                f"a draft step costs {self.draft_cost} of a step; a share of at least 0 and below 1 is needed"
            )


def tokens_per_round(acceptance: float, draft_tokens: int) -> float:
    """Expected tokens of a round, 1 to `draft_tokens` + 1."""
    # The formula's quotient is this sum, which also holds where acceptance is 1.
    return sum(acceptance**i for i in range(draft_tokens + 1))


def speculation(now: Present, plan: Speculation) -> list[Option]:
    """For one decode step; none for other phases."""
    if now.case.phase is not Phase.DECODE:
        return []
    name, drafts = "speculative decoding", plan.draft_tokens
    unfit = refusal(now, now.case)
    if unfit:
        return [impossible(name, None, unfit)]
    round_ = _round(now, plan)
    if plan.acceptance is None:
        even = _break_even(now, round_, drafts)
        when = (
            "at no rate" if even is None else f"from {even:.2f} on" if even >= _NEVER_LESS else "at any rate"
        )
        reason = f"the acceptance rate is not known; {drafts} drafts a round gain {when}"
        return [impossible(name, None, reason)]
    tokens = tokens_per_round(plan.acceptance, drafts)
    run = _yielding(now, round_, tokens)
    reason = (
        f"a round yields {tokens:.2f} tokens a sequence ({drafts} drafts, acceptance {plan.acceptance:g}) for one "
        f"pass of {drafts + 1} new tokens and {drafts} draft steps at {plan.draft_cost:g} of a step{floored(now, run)}"
    )
    return [foretold(now, name, None, run, reason)]


def _yielding(now: Present, round_: Run, tokens: float) -> Run:
    return Run(
        lower_s=round_.lower_s,
        device=round_.device,
        launches=round_.launches,
        tokens=now.case.batch * tokens,
    )


def _round(now: Present, plan: Speculation) -> Run:
    """One verifying pass and its drafts, yielding nothing yet."""
    context = case_pass(now.case).context_len
    # Every position's logits are compared with the draft.
    shape = Pass(batch=now.case.batch, new_tokens=plan.draft_tokens + 1, context_len=context, logits="all")
    cost = cost_of(now.model, shape, now.precision)
    drafting = plan.draft_tokens * plan.draft_cost
    lower_s = pass_bound(cost, now.roofs).lower_s
    total_s = lower_s + drafting * now.run.lower_s
    if now.gpu is None or not now.estimated:
        launches = 1 + drafting
        return Run(lower_s=total_s, device=by_bound(total_s, 0).device, launches=launches, tokens=0)
    found = estimate(now.model, shape, now.precision, now.gpu, ceilings=now.ceilings)
    return Run(
        lower_s=total_s,
        device=added(found.device, scaled(now.run.device, drafting)),
        launches=found.launches + drafting * now.run.launches,
        tokens=0,
    )


def _break_even(now: Present, round_: Run, drafts: int) -> float | None:
    """The acceptance rate from which a round gains, by halving; None where none does."""
    low, high = 0.0, 1.0
    if now.gain(_yielding(now, round_, drafts + 1)) <= 1:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        gains = now.gain(_yielding(now, round_, tokens_per_round(middle, drafts))) > 1
        low, high = (low, middle) if gains else (middle, high)
    return high
