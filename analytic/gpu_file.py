"""GPUs from files: the registry's table, and a user's own GPU as TOML.

Both have the same columns. A TOML file gives them as keys: torch_names is a
list, numbers are numbers, compute_capability is text ("9.0"). The units are in
the names; memory_gb is the nominal size in decimal GB, usable_gib what a source
says that a model may occupy. l2_mib is the last cache before the memory.
"""

import csv
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from analytic.errors import SpecError
from analytic.gpu_spec import MOST_REPORTED, USABLE_SHARE, GpuSpec
from analytic.small_file import read_small, refuse_unknown, shown

PEAKS = {
    "fp32": "fp32_tflops",
    "fp16": "fp16_tflops",
    "bf16": "bf16_tflops",
    "int8": "int8_tops",
    "fp8": "fp8_tflops",
}

# The most that a number may be, in its unit, far above any machine: what is
# more was given in another unit (bytes for GB).
_MOST = {
    "sm_count": 1e5,
    "memory_gb": 1e5,
    "usable_gib": 1e5,
    "bandwidth_gb_per_s": 1e6,
    "l2_mib": 1e6,
    **dict.fromkeys(PEAKS.values(), 1e6),
}
_TEXTS = ("key", "arch", "compute_capability", "source", "note")
_OPTIONAL = ("usable_gib", "note", *PEAKS.values())
COLUMNS = ("torch_names", *_TEXTS, *_MOST)
_LONGEST_TEXT = 1000


def read_table(path: Path) -> tuple[GpuSpec, ...]:
    """Every row of a CSV table, in its order. An empty cell is a column not given."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(_spec(_typed(row), f"{path.name}, {row['key']}") for row in csv.DictReader(file))


def _typed(row: Mapping[str, str]) -> dict[str, object]:
    typed: dict[str, object] = {}
    for column, cell in row.items():
        if not cell:
            continue
        if column == "torch_names":
            typed[column] = cell.split("|")
        elif column == "sm_count":
            typed[column] = int(cell)
        else:
            typed[column] = float(cell) if column in _MOST else cell
    return typed


def load_gpu(path: str | Path) -> GpuSpec:
    """The GPU that a TOML file describes.

    Raises SpecError that names the file, the field and what would be right.
    """
    path = Path(path)
    content = read_small(path, what="a GPU as TOML (the columns of analytic/gpus.csv)")
    try:
        fields = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not TOML: {error}") from error
    return _spec(fields, str(path))


def _spec(fields: Mapping[str, object], where: str) -> GpuSpec:
    refuse_unknown(fields, COLUMNS, where)
    for name in COLUMNS:
        if name not in fields and name not in _OPTIONAL:
            raise SpecError(f"{where}: {name} is missing; {_right(name)} is needed")
    numbers = {name: _number(name, fields[name], where) for name in _MOST if name in fields}
    texts = {name: _text(name, fields[name], where) for name in _TEXTS if name in fields}
    peaks = {dtype: numbers[column] * 1e12 for dtype, column in PEAKS.items() if column in numbers}
    if not peaks:
        raise SpecError(f"{where}: no peak is given; one of {', '.join(PEAKS.values())} is needed")
    nominal = numbers["memory_gb"] * 1e9
    usable = numbers["usable_gib"] * 2**30 if "usable_gib" in numbers else USABLE_SHARE * nominal
    if usable > MOST_REPORTED * nominal:
        raise SpecError(
            f"{where}: usable_gib is {numbers['usable_gib']:g}, more than the "
            f"{numbers['memory_gb']:g} GB of memory_gb; a part of them is needed"
        )
    major, minor = texts["compute_capability"].split(".")
    return GpuSpec(
        key=texts["key"],
        torch_names=_names(fields["torch_names"], where),
        arch=texts["arch"],
        compute_capability=(int(major), int(minor)),
        sm_count=int(numbers["sm_count"]),
        memory_bytes=nominal,
        usable_bytes=usable,
        bytes_per_s=numbers["bandwidth_gb_per_s"] * 1e9,
        l2_bytes=int(numbers["l2_mib"] * 2**20),
        flops_per_s=peaks,
        source=texts["source"],
        note=texts.get("note", ""),
    )


def _number(name: str, value: object, where: str) -> float:
    kinds = int if name == "sm_count" else int | float
    # NaN compares with nothing, and JSON-like true is an int to Python.
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= _MOST[name]:
        raise _wrong(name, value, where)
    return float(value)


def _text(name: str, value: object, where: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_TEXT:
        raise _wrong(name, value, where)
    if not value.strip() and name not in _OPTIONAL:
        raise _wrong(name, value, where)
    # A key names folders; the pattern keeps it from naming others.
    if name == "key" and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", value):
        raise _wrong(name, value, where)
    if name == "compute_capability" and not re.fullmatch(r"[0-9]{1,2}\.[0-9]{1,2}", value):
        raise _wrong(name, value, where)
    return value


def _names(value: object, where: str) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [None]
    if not all(isinstance(n, str) and n.strip() and n.isprintable() for n in names):
        raise _wrong("torch_names", value, where)
    return tuple(names)


def _right(name: str) -> str:
    if name in _MOST:
        kind = "a whole number" if name == "sm_count" else "a number"
        return f"{kind} above 0 and at most {_MOST[name]:,.0f}, in the unit of its name,"
    return {
        "torch_names": "a list of the names that torch reports",
        "key": "a short name of a-z, 0-9 and hyphens",
        "compute_capability": 'text such as "9.0"',
    }.get(name, f"one line of text of at most {_LONGEST_TEXT} characters")


def _wrong(name: str, value: object, where: str) -> SpecError:
    return SpecError(f"{where}: {name} is {shown(value)}; {_right(name)} is needed")
