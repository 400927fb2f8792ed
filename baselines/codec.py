"""Frozen dataclasses to JSON and back, checked field by field.

JSON that does not fit the dataclass is an error that names the field: a record
is either read whole or refused.
"""

import json
import math
import os
import tempfile
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from analytic import SpecError
from baselines.record import SCHEMA
from baselines.upgrades import upgraded

T = TypeVar("T")


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
    hints = typing.get_type_hints(kind)
    if not isinstance(data, dict):
        raise FormatError(f"{where or kind.__name__}: an object is needed, not {_shown(data)}")
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    for name in data:
        if name not in names:
            raise FormatError(f"{where}.{name}: no such field in {kind.__name__}")
    for name in names:
        if name not in data:
            raise FormatError(f"{where}.{name}: missing")
    values = {name: _value(hints[name], data[name], f"{where}.{name}") for name in names}
    try:
        return kind(**values)
    except SpecError as error:
        raise FormatError(f"{where}: {error}") from error


def _value(hint: Any, data: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            if type(None) in arguments:
                return None
            raise FormatError(f"{where}: null is not allowed")
        (inner,) = (a for a in arguments if a is not type(None))
        return _value(inner, data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise FormatError(f"{where}: a list is needed, not {_shown(data)}")
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise FormatError(f"{where}: an object is needed, not {_shown(data)}")
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    if is_dataclass(hint):
        return from_json(typing.cast("type", hint), data, where=where)
    return _scalar(hint, data, where)


def _scalar(hint: Any, data: Any, where: str) -> Any:
    if issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError:
            raise FormatError(f"{where}: {_shown(data)} is none of {[e.value for e in hint]}") from None
    if hint is float and isinstance(data, int | float) and not isinstance(data, bool):
        try:
            number = float(data)
        except OverflowError:  # JSON's integers have no end
            number = math.inf
        if not math.isfinite(number):
            raise FormatError(f"{where}: {_shown(data)} is not a finite number")
        return number
    if type(data) is not hint:
        raise FormatError(f"{where}: {hint.__name__} is needed, not {_shown(data)}")
    return data


def _shown(data: Any) -> str:
    return f"{str(data)[:40]!r} ({type(data).__name__})"


def read(kind: type[T], path: Path) -> T:
    """The `kind` that the JSON file at `path` holds, upgraded from an older schema.

    Raises FormatError that names the file: not readable, not JSON, of a newer
    schema, or a field that does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read: {error}") from error
    return parse(kind, text, where=str(path))


def parse(kind: type[T], text: str, *, where: str) -> T:
    """The `kind` that JSON text holds, as read() does; `where` it comes from."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # as json raises for any malformed text
        raise FormatError(f"{where}: not JSON, or cut short: {error}") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int:
        raise FormatError(f"{where}: no schema number; a file of schema {SCHEMA} is needed")
    if schema > SCHEMA:
        raise FormatError(
            f"{where}: schema {schema} is newer than this Roofgate reads ({SCHEMA}): update Roofgate"
        )
    if schema < 1:
        raise FormatError(f"{where}: schema {schema} never existed")
    try:
        return from_json(kind, upgraded(kind, data))
    except (FormatError, SpecError, RecursionError) as error:
        raise FormatError(f"{where}: {error}") from error


def write(value: Any, path: Path) -> None:
    """Stores `value` as sorted JSON at `path`, whole or not at all."""
    text = json.dumps(to_json(value), indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_text(text, path)


def write_text(text: str, path: Path) -> None:
    """Stores `text` at `path`, whole or not at all: beside it, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
