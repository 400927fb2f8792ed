"""generate() as a whole: a prefill and decode steps on a cache that grows."""

from dataclasses import dataclass

from analytic.bound import Bound, pass_bound, sequence_bound
from analytic.case import Case, Phase
from analytic.counting import case_costs
from analytic.errors import SpecError
from analytic.models import ModelSpec
from analytic.precision import Precision
from analytic.roofs import Roofs


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Lower bounds of a generate(), in seconds: the prefill that yields the first
    token, and the steps after it, each on one more cached token than the last."""

    prefill: Bound
    decode: Bound
    steps: int
    batch: int

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first: the mean step."""
        return self.decode.lower_s / self.steps

    @property
    def total_s(self) -> float:
        return self.prefill.lower_s + self.decode.lower_s

    @property
    def tokens_per_s(self) -> float:
        """Tokens of the whole batch after the first, over the time of their steps."""
        return self.batch / self.tpot_s


def generation_bound(
    model: ModelSpec,
    case: Case,
    precision: Precision,
    roofs: Roofs,
    *,
    causal: bool = False,
    absorbed: bool = False,
) -> Generation:
    """The bound of a generate() case, counted as pass_cost does. Raises SpecError for
    another phase."""
    if case.phase is not Phase.GENERATE:
        raise SpecError(f"{case.id} is no generate() case")
    prefill, *steps = case_costs(model, case, precision, causal=causal, absorbed=absorbed)
    return Generation(
        prefill=pass_bound(prefill, roofs),
        decode=sequence_bound(steps, roofs),
        steps=len(steps),
        batch=case.batch,
    )
