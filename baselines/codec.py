"""Frozen dataclasses to JSON and back, checked field by field.

JSON that does not fit the dataclass is an error that names the field: a record
is either read whole or refused. A file may come from anywhere: whatever it holds,
reading it raises nothing but FormatError, in one line.
"""

import codecs
import json
import math
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from analytic import SpecError
from baselines.files import read_bytes, write_text
from baselines.readers import MisfitError, named, reader
from baselines.record import SCHEMA
from baselines.upgrades import upgraded

T = TypeVar("T")
Json = dict[str, Any]

# No stored integer is longer; the time to read one grows with its length squared.
MOST_DIGITS = 1000

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
        value: T = reader(typing.cast("typing.Hashable", kind))(data)
    except MisfitError as misfit:
        place = f"{where}{misfit.place}" or kind.__name__
        raise FormatError(f"{place}: {misfit}") from misfit.__cause__
    return value


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
        raise FormatError(f"{_place(data, holder)}.{named(key)}: there twice; once is needed")
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
            left += ((f"{where}.{named(key)}", item) for key, item in value.items())
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
