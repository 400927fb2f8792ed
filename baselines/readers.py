"""Parsed JSON to the values of a type, checked field by field.

JSON that does not fit is an error that names the place, from the type's root.
"""

import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from analytic import SpecError

MOST_INTEGER = 2**63 - 1


class MisfitError(Exception):
    """Data that does not fit. Its `place` is named from the inside outwards, on the way up:
    a run holds hundreds of thousands of values, and hardly ever one whose place is asked for."""

    def __init__(self, why: str, *, place: str = "") -> None:
        super().__init__(why)
        self.place = place

    def lies_in(self, outer: str) -> None:
        self.place = f"{outer}{self.place}"


Reader = Callable[[Any], Any]


@cache
def reader(hint: Any) -> Reader:
    """What reads a value of that type: found once for each type. It raises MisfitError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not type(None))
        return _optional(reader(inner)) if type(None) in arguments else reader(inner)
    if origin is tuple:
        return _tuple(reader(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*map(reader, arguments))
    if is_dataclass(hint):
        return _object(typing.cast("type", hint))
    if issubclass(hint, Enum):
        return _enum(hint)
    return {float: _float, int: _int, str: _str}.get(hint) or _exactly(hint)


def _object(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    readers = {f.name: reader(hints[f.name]) for f in fields(kind)}

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise MisfitError(f"an object is needed, not {_shown(data)}")
        if data.keys() != readers.keys():
            raise _misnamed(kind, data, readers)
        values = {}
        for name, read_field in readers.items():
            try:
                values[name] = read_field(data[name])
            except MisfitError as misfit:
                misfit.lies_in(f".{name}")
                raise
        try:
            return kind(**values)
        except SpecError as error:
            raise MisfitError(str(error)) from error

    return read


def _misnamed(kind: type, data: dict[str, Any], names: Iterable[str]) -> MisfitError:
    for name in data:
        if name not in names:
            return MisfitError(f"no such field in {kind.__name__}", place=f".{named(name)}")
    return MisfitError("missing", place=f".{next(name for name in names if name not in data)}")


def _optional(inner: Reader) -> Reader:
    return lambda data: None if data is None else inner(data)


def _tuple(inner: Reader) -> Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, list):
            raise MisfitError(f"a list is needed, not {_shown(data)}")
        values = []
        for item in data:
            try:
                values.append(inner(item))
            except MisfitError as misfit:
                misfit.lies_in(f"[{len(values)}]")
                raise
        return tuple(values)

    return read


def _mapping(of_key: Reader, of_item: Reader) -> Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise MisfitError(f"an object is needed, not {_shown(data)}")
        values = {}
        for key, item in data.items():
            try:
                values[of_key(key)] = of_item(item)
            except MisfitError as misfit:
                misfit.lies_in(f".{named(key)}")
                raise
        return values

    return read


def _enum(kind: type[Enum]) -> Reader:
    def read(data: Any) -> Any:
        try:
            return kind(data)
        except ValueError:
            raise MisfitError(f"{_shown(data)} is none of {[e.value for e in kind]}") from None

    return read


def _float(data: Any) -> float:
    if not isinstance(data, int | float) or isinstance(data, bool):
        raise MisfitError(f"float is needed, not {_shown(data)}")
    try:
        number = float(data)
    except OverflowError:  # JSON's integers have no end
        number = math.inf
    if not math.isfinite(number):
        raise MisfitError(f"{_shown(data)} is not a finite number")
    return number


def _int(data: Any) -> int:
    if type(data) is not int:
        raise MisfitError(f"int is needed, not {_shown(data)}")
    if abs(data) > MOST_INTEGER:
        raise MisfitError(f"an integer of 64 bits is needed, not {_shown(data)}")
    return data


def _str(data: Any) -> str:
    if type(data) is not str:
        raise MisfitError(f"str is needed, not {_shown(data)}")
    if not _is_text(data):
        raise MisfitError(f"{_shown(data)} holds half a surrogate pair; whole characters are needed")
    return data


def _exactly(kind: type) -> Reader:
    def read(data: Any) -> Any:
        if type(data) is not kind:
            raise MisfitError(f"{kind.__name__} is needed, not {_shown(data)}")
        return data

    return read


def _is_text(data: str) -> bool:
    """Not where an escape in JSON names what is no character."""
    if data.isascii():
        return True
    try:
        data.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(data: Any) -> str:
    return f"{str(data)[:40]!r} ({type(data).__name__})"


def named(key: str) -> str:
    """A key as a place names it; quoted and cut where it may be anything."""
    return key if key.isidentifier() and len(key) <= 60 else repr(key[:40])
