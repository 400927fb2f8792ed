"""The shape of a forward pass, and the passes of a case."""

from dataclasses import dataclass

from analytic.case import Case, Phase
from analytic.errors import SpecError
from analytic.layers import Attention

LOGITS = ("last", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The shape of one forward pass. `logits` is "last" (one row per sequence, as
    generate() computes) or "all". Raises SpecError for sizes that make no pass."""

    batch: int
    new_tokens: int
    context_len: int
    logits: str = "last"

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("new_tokens", 1), ("context_len", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{name} is {value!r}; an integer of at least {least} is needed")
        if self.logits not in LOGITS:
            raise SpecError(f"logits is {self.logits!r}; 'last' or 'all' is needed")

    @property
    def tokens(self) -> int:
        return self.batch * self.new_tokens

    @property
    def logit_rows(self) -> int:
        return self.batch if self.logits == "last" else self.tokens

    def attended(self, attention: Attention) -> int:
        """Keys that each query meets when attention is executed in full."""
        return attention.cached_tokens(self.context_len) + self.new_tokens

    def causal_pairs(self, attention: Attention) -> int:
        """(query, key) pairs per sequence that a causal mask and a window leave."""
        q, cached = self.new_tokens, self.context_len
        window = attention.window
        if window is None:
            return q * cached + q * (q + 1) // 2
        # Token i attends to cached + i + 1 keys, until the window holds them all.
        growing = max(0, min(q, window - cached))
        return growing * cached + growing * (growing + 1) // 2 + (q - growing) * window


def case_passes(case: Case) -> tuple[Pass, ...]:
    """The forward passes of a case, in order.

    Prefill and decode are one pass. generate() of n tokens is a prefill, which
    yields the first, and n - 1 decode steps on a growing cache.
    """
    prefill = Pass(batch=case.batch, new_tokens=case.length, context_len=0)
    if case.phase is Phase.PREFILL:
        return (prefill,)
    if case.phase is Phase.DECODE:
        return (Pass(batch=case.batch, new_tokens=1, context_len=case.length),)
    assert case.output_len is not None  # noqa: S101 - Case checks it
    steps = range(case.length, case.length + case.output_len - 1)
    return (prefill, *(Pass(batch=case.batch, new_tokens=1, context_len=n) for n in steps))


def case_pass(case: Case) -> Pass:
    """The one pass of a prefill or decode case."""
    (shape,) = case_passes(case)
    return shape
