"""Frozen dataclasses to JSON and back, checked field by field.

JSON that does not fit the dataclass is an error that names the field: a record
is either read whole or refused. A file may come from anywhere: whatever it holds,
reading it raises nothing but FormatError, in one line.
"""

import codecs
import json
import math
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from analytic import SpecError
from baselines.files import read_bytes, write_text
from baselines.record import SCHEMA
from baselines.upgrades import upgraded

T = TypeVar("T")
Json = dict[str, Any]

# No stored integer is longer; the time to read one grows with its length squared.
MOST_DIGITS = 1000
MOST_INTEGER = 2**63 - 1

# What is quoted of a file's own text in a message.
_MESSAGE_CHARS = 500


class FormatError(ValueError):
    """A stored file that cannot be used; the message names the file and why."""


def to_json(value: Any) -> Any:
    """Plain JSON values. Raises FormatError for NaN and infinity."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise FormatError(f"{value} cannot be stored")
    return value


def from_json(kind: type[T], data: Any, *, where: str = "") -> T:
    """`data` as a `kind`. Raises FormatError that names the place."""
    try:
        value: T = _reader(typing.cast("typing.Hashable", kind))(data)
    except _MisfitError as misfit:
        place = f"{where}{misfit.place}" or kind.__name__
        raise FormatError(f"{place}: {misfit}") from misfit.__cause__
    return value


class _MisfitError(Exception):
    """Data that does not fit. Its `place` is named from the inside outwards, on the way up:
    a run holds hundreds of thousands of values, and hardly ever one whose place is asked for."""

    def __init__(self, why: str, *, place: str = "") -> None:
        super().__init__(why)
        self.place = place

    def within(self, outer: str) -> "_MisfitError":
        self.place = f"{outer}{self.place}"
        return self


_Reader = Callable[[Any], Any]


@cache
def _reader(hint: Any) -> _Reader:
    """What reads a value of that type: found once for each type. It raises _MisfitError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not type(None))
        return _optional(_reader(inner)) if type(None) in arguments else _reader(inner)
    if origin is tuple:
        return _tuple(_reader(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*map(_reader, arguments))
    if is_dataclass(hint):
        return _object(typing.cast("type", hint))
    if issubclass(hint, Enum):
        return _enum(hint)
    return {float: _float, int: _int, str: _str}.get(hint) or _exactly(hint)


def _object(kind: type) -> _Reader:
    hints = typing.get_type_hints(kind)
    readers = {f.name: _reader(hints[f.name]) for f in fields(kind)}

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _MisfitError(f"an object is needed, not {_shown(data)}")
        if data.keys() != readers.keys():
            raise _misnamed(kind, data, readers)
        values = {}
        for name, reader in readers.items():
            try:
                values[name] = reader(data[name])
            except _MisfitError as misfit:
                raise misfit.within(f".{name}") from misfit.__cause__
        try:
            return kind(**values)
        except SpecError as error:
            raise _MisfitError(str(error)) from error

    return read


def _misnamed(kind: type, data: Json, names: Iterable[str]) -> _MisfitError:
    for name in data:
        if name not in names:
            return _MisfitError(f"no such field in {kind.__name__}", place=f".{_key(name)}")
    return _MisfitError("missing", place=f".{next(name for name in names if name not in data)}")


def _optional(inner: _Reader) -> _Reader:
    return lambda data: None if data is None else inner(data)


def _tuple(inner: _Reader) -> _Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, list):
            raise _MisfitError(f"a list is needed, not {_shown(data)}")
        values = []
        for item in data:
            try:
                values.append(inner(item))
            except _MisfitError as misfit:
                raise misfit.within(f"[{len(values)}]") from misfit.__cause__
        return tuple(values)

    return read


def _mapping(of_key: _Reader, of_item: _Reader) -> _Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _MisfitError(f"an object is needed, not {_shown(data)}")
        values = {}
        for key, item in data.items():
            try:
                values[of_key(key)] = of_item(item)
            except _MisfitError as misfit:
                raise misfit.within(f".{_key(key)}") from misfit.__cause__
        return values

    return read


def _enum(kind: type[Enum]) -> _Reader:
    def read(data: Any) -> Any:
        try:
            return kind(data)
        except ValueError:
            raise _MisfitError(f"{_shown(data)} is none of {[e.value for e in kind]}") from None

    return read


def _float(data: Any) -> float:
    if not isinstance(data, int | float) or isinstance(data, bool):
        raise _MisfitError(f"float is needed, not {_shown(data)}")
    try:
        number = float(data)
    except OverflowError:  # JSON's integers have no end
        number = math.inf
    if not math.isfinite(number):
        raise _MisfitError(f"{_shown(data)} is not a finite number")
    return number


def _int(data: Any) -> int:
    if type(data) is not int:
        raise _MisfitError(f"int is needed, not {_shown(data)}")
    if abs(data) > MOST_INTEGER:
        raise _MisfitError(f"an integer of 64 bits is needed, not {_shown(data)}")
    return data


def _str(data: Any) -> str:
    if type(data) is not str:
        raise _MisfitError(f"str is needed, not {_shown(data)}")
    if not _is_text(data):
        raise _MisfitError(f"{_shown(data)} holds half a surrogate pair; whole characters are needed")
    return data


def _exactly(kind: type) -> _Reader:
    def read(data: Any) -> Any:
        if type(data) is not kind:
            raise _MisfitError(f"{kind.__name__} is needed, not {_shown(data)}")
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


def _key(key: str) -> str:
    """A key as a place names it; quoted and cut where it may be anything."""
    return key if key.isidentifier() and len(key) <= 60 else repr(key[:40])


def read(kind: type[T], path: Path) -> T:
    """The `kind` that the JSON file at `path` holds, upgraded from an older schema.

    Raises FormatError that names the file: a link or no plain file, too large, not
    readable, not JSON, a key twice, of a newer schema, or a field that does not fit.
    """
    try:
        text = _text(path)
    except FormatError as error:
        raise FormatError(f"{path}: {one_line(str(error))}") from error
    return parse(kind, text, where=str(path))


def parse(kind: type[T], text: str, *, where: str) -> T:
    """The `kind` that JSON text holds, as read() does; `where` it comes from."""
    try:
        data = _parsed(text)
        _require_schema(data)
        return from_json(kind, upgraded(kind, data))
    except (FormatError, SpecError, RecursionError) as error:
        raise FormatError(f"{where}: {one_line(str(error))}") from error


def one_line(message: str) -> str:
    """What a file's own text cannot draw out, break in two, or colour."""
    line = message if message.isprintable() else repr(message)[1:-1]
    return line if len(line) <= _MESSAGE_CHARS else f"{line[:_MESSAGE_CHARS]}…"


def _text(path: Path) -> str:
    """The text of a plain file. Raises FormatError, which does not name it."""
    try:
        data = read_bytes(path)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise FormatError(f"cannot be read: {error}") from error
    if data.startswith(codecs.BOM_UTF8):
        raise FormatError("not JSON: it begins with a byte order mark; UTF-8 without one is needed")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"cannot be read: {error}") from error


def _parsed(text: str) -> Any:
    """Raises FormatError for what is no JSON, and for an object with a key twice: of
    the two values JSON does not say which is meant."""
    repeated: list[tuple[Json, str]] = []

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        found = dict(pairs)
        if len(found) < len(pairs):
            ((key, _times),) = Counter(key for key, _ in pairs).most_common(1)
            repeated.append((found, key))
        return found

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_int=_integer)
    except (ValueError, RecursionError) as error:  # as json raises for any malformed text
        raise FormatError(f"not JSON, or cut short: {error}") from error
    if repeated:
        # The last to be closed is in `data`: no other holds it and drops it.
        holder, key = repeated[-1]
        raise FormatError(f"{_place(data, holder)}.{_key(key)}: there twice; once is needed")
    return data


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits; {MOST_DIGITS} are the most")
    return int(digits)


def _place(data: Any, wanted: Json) -> str:
    """Where in parsed JSON that very object is."""
    left: list[tuple[str, Any]] = [("", data)]
    while left:
        where, value = left.pop()
        if value is wanted:
            return where
        if isinstance(value, dict):
            left += ((f"{where}.{_key(key)}", item) for key, item in value.items())
        elif isinstance(value, list):
            left += ((f"{where}[{i}]", item) for i, item in enumerate(value))
    return ""


def _require_schema(data: Any) -> None:
    """Raises FormatError for what is of no schema that can be read."""
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int:
        raise FormatError(f"no schema number; a file of schema {SCHEMA} is needed")
    if schema > SCHEMA:
        raise FormatError(f"schema {schema} is newer than this Roofgate reads ({SCHEMA}): update Roofgate")
    if schema < 1:
        raise FormatError(f"schema {schema} never existed")


def to_text(value: Any) -> str:
    """`value` as a file holds it: sorted JSON that ends in a line."""
    return json.dumps(to_json(value), indent=1, sort_keys=True, allow_nan=False) + "\n"


def write(value: Any, path: Path) -> None:
    """Stores `value` as sorted JSON at `path`, whole or not at all."""
    write_text(to_text(value), path)
