"""The one error that bad input to the model raises."""

from collections.abc import Iterable
from difflib import get_close_matches


class SpecError(ValueError):
    """A name, a number or a file that the model cannot work with.

    The message names the value, where it came from and what would be right.
    Command lines turn it into exit code 2.
    """


def unknown(kind: str, value: str, valid: Iterable[str]) -> SpecError:
    """The error for a `value` that is none of the `valid` names of a `kind`."""
    names = sorted(valid)
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(value.casefold(), folded, n=3, cutoff=0.4)
    hint = f" Nearest: {', '.join(folded[n] for n in near)}." if near else ""
    return SpecError(f"unknown {kind} {value!r}.{hint} Known: {', '.join(names)}.")
