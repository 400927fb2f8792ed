"""All changes to one case, best first."""

from collections.abc import Iterable

from analytic.whatif.batches import batches
from analytic.whatif.engines import engines
from analytic.whatif.flash import flash
from analytic.whatif.formats import formats
from analytic.whatif.fp8 import fp8
from analytic.whatif.option import Option
from analytic.whatif.present import Present
from analytic.whatif.speculation import Speculation, speculation


def options(now: Present, plan: Speculation | None = None) -> tuple[Option, ...]:
    """Every change that the model can foretell, best gain first; what cannot be
    done or is not known comes last."""
    return ranked(
        [
            *batches(now),
            *formats(now),
            *fp8(now),
            *flash(now),
            *engines(now),
            *speculation(now, plan or Speculation()),
        ]
    )


def ranked(choices: Iterable[Option]) -> tuple[Option, ...]:
    """By gain, best first; those without one last, in the order given."""
    return tuple(sorted(choices, key=lambda o: -1.0 if o.gain is None else o.gain, reverse=True))
