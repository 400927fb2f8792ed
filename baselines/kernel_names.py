"""Names of kernels, short enough to read and still told apart.

The profiler gives a C++ name of up to a thousand characters, of which a functor's
name and a few numbers say which kernel it is.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

# A longer name is cut, and carries a digest of the whole.
LONGEST = 80

_ANONYMOUS = "(anonymous namespace)"
# Around a functor that says it all.
_TRANSPARENT = ("gpu_kernel_impl_nocast", "gpu_kernel_impl", "gpu_index_kernel")
# How an elementwise kernel finds its elements: the same for all that share a functor.
_NOISE = (
    *("array", "TrivialOffsetCalculator", "OffsetCalculator"),
    *("LoadWithoutCast", "StoreWithoutCast", "LoadWithCast", "StoreWithCast"),
)
# Say nothing without what stands before them.
_GENERIC = ("kernel", "Kernel", "device_kernel", "type")


@lru_cache(maxsize=4096)  # a lane's cases run much the same kernels
def short_name(name: str) -> str:
    """The distinguishing part of a kernel's name: its own name, the functor and numbers
    of its template, and the numbers of lambdas, which stand for dtypes. Without
    namespaces, return type, parameters and what the template repeats. What is no C++
    name, or one cut short, is shortened as far as it can be read."""
    if name.startswith(("Memcpy", "Memset")):
        return name
    short, _ = _simplified(_without_return_type(name), 0)
    short = short or name
    if len(short) <= LONGEST:
        return short
    # What tells tiles and layouts apart stands at the end.
    return f"{short[:40]}…{short[-(LONGEST - 47) :]} {_digest(name)}"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """The short name of each name; those that would fall together carry a digest too."""
    shorts = {name: short_name(name) for name in names}
    alike: dict[str, int] = {}
    for short in shorts.values():
        alike[short] = alike.get(short, 0) + 1
    return {n: short if alike[short] == 1 else f"{short} {_digest(n)}" for n, short in shorts.items()}


def _digest(name: str) -> str:
    return "#" + hashlib.sha256(name.encode()).hexdigest()[:4]


def _without_return_type(name: str) -> str:
    """From the last space outside of all brackets on, up to which the return type goes."""
    depth, start = 0, 0
    for i, letter in enumerate(name):
        if depth == 0 and letter == "(" and not name.startswith(_ANONYMOUS, i):
            break
        if letter in "<({":
            depth += 1
        elif letter in ">)}":
            depth -= 1
        elif letter == " " and depth == 0:
            start = i + 1
    return name[start:]


class _Part:
    """A name between two "::": its template's arguments, and the lambdas in it."""

    __slots__ = ("arguments", "lambdas", "text")

    def __init__(self) -> None:
        self.text = ""
        self.arguments: list[str] = []
        self.lambdas: list[str] = []

    @property
    def named(self) -> bool:
        """Not the anonymous part of a lambda, and not the "operator() const" in it."""
        return self.text.strip("&* ").partition(" ")[0] not in ("", "const", "operator")


def _simplified(name: str, i: int) -> tuple[str, int]:
    """One type or function, from `i` up to a comma or a closing bracket: shortened,
    and where it ends."""
    parts = [_Part()]
    while i < len(name) and name[i] not in ",>)":
        if name.startswith("::", i):
            parts.append(_Part())
            i += 2
        elif name[i] == "<":
            parts[-1].arguments, i = _arguments(name, i + 1)
        elif name[i] == "(":
            i = _closed(name, i)
        elif name[i] == "{":
            end = _closed(name, i)
            # "{lambda()#3}" belongs to the function that it stands in.
            owner = next((part for part in reversed(parts) if part.named), parts[-1])
            _, counted, number = name[i:end].rpartition("#")
            owner.lambdas += [number.rstrip("}")] if counted else []
            i = end
        else:
            parts[-1].text = (parts[-1].text + name[i]).lstrip()
            i += 1
    return _written(parts), i


def _arguments(name: str, i: int) -> tuple[list[str], int]:
    found = []
    while i < len(name):
        argument, i = _simplified(name, i)
        found.append(argument)
        i += 1
        if i > len(name) or name[i - 1] == ">":
            break
    return found, i


def _closed(name: str, i: int) -> int:
    """The place after the bracket that closes the one at `i`."""
    depth = 0
    for end in range(i, len(name)):
        depth += (name[end] in "({") - (name[end] in ")}")
        if depth == 0:
            return end + 1
    return len(name)


def _written(parts: Sequence[_Part]) -> str:
    named = [part for part in parts if part.named]
    if not named:
        return ""
    # The function that a lambda stands in, else the last name.
    at = next((i for i, part in enumerate(named) if part.lambdas), len(named) - 1)
    part = named[at]
    text = part.text.strip().removesuffix(" const")
    if text in _TRANSPARENT and part.arguments:
        return part.arguments[0]
    if text in _GENERIC and at:
        text = f"{named[at - 1].text.strip()}::{text}"
    kept: list[str] = []
    for argument in part.arguments:
        if argument and argument not in kept[-1:] and argument.partition("<")[0] not in _NOISE:
            kept.append(argument)
    template = f"<{', '.join(kept)}>" if kept else ""
    return text + template + (f"#{'.'.join(part.lambdas)}" if part.lambdas else "")


def listed(names: Sequence[str], *, most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
