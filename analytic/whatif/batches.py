"""More sequences at once, as far as the memory reaches."""

from dataclasses import replace

from analytic import text
from analytic.footprint import largest_batch
from analytic.whatif.memory import memory, refusal
from analytic.whatif.option import Option, floored, foretold, impossible
from analytic.whatif.present import Present

# The batches offered, as multiples of the present one, beside the largest that fits.
BATCH_STEPS = (2, 4, 8)


def batches(now: Present) -> list[Option]:
    """Larger ones; where the present one does not fit, the largest that does."""
    own = now.case.batch
    steps = [own * step for step in BATCH_STEPS]
    if now.gpu is None or not now.gpu.eager_modelled:
        return [batch_option(now, batch) for batch in steps]
    largest = largest_batch(now.model, now.case, now.precision, now.gpu)
    if largest == own or (now.observation is not None and largest < own):
        return [batch_option(now, steps[0])]
    if not largest:
        return [impossible("another batch", None, "not even one sequence fits")]
    fitting = [batch for batch in steps if batch < largest]
    last = batch_option(now, largest)
    return [
        *(batch_option(now, batch) for batch in fitting),
        replace(last, reason=f"{last.reason}, the largest batch that fits"),
    ]


def batch_option(now: Present, batch: int) -> Option:
    """The case at another batch."""
    case, name = replace(now.case, batch=batch), f"batch {batch}"
    refused = refusal(now, case)
    if refused:
        return impossible(name, case, refused)
    run = now.eager(case)
    more, longer = batch / now.case.batch, run.lower_s / now.run.lower_s
    often = f"{more:,.0f}" if more >= 100 else f"{more:.3g}"
    reason = (
        f"{often} times the tokens for {text.ratio(longer)} the bound{floored(now, run)}{memory(now, case)}"
    )
    return foretold(now, name, case, run, reason)
