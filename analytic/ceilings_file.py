"""Measured ceilings in files: a file of their own, a run's record, or a run's folder.

The file of their own is a JSON object {"schema": 1, "device": …,
"copy_bytes_per_s": …, "read_bytes_per_s": …, "gemm_flops_per_s": {"fp16": …},
"launch_gap_s": …, "event_resolution_s": …}; a record holds the same without the
schema under "ceilings", or null. The last two may be null or left out: not measured.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from analytic.errors import SpecError, unknown
from analytic.gpu_file import PEAKS
from analytic.roofs import Ceilings
from analytic.small_file import read_small, refuse_unknown, shown

SCHEMA = 1
NAME = "ceilings.json"
WHAT = f"measured ceilings (a run's folder, its {NAME} or one of its records)"

_RATES = ("copy_bytes_per_s", "read_bytes_per_s")
_TIMES = ("launch_gap_s", "event_resolution_s")
_NEEDED = ("device", *_RATES, "gemm_flops_per_s")
_FIELDS = (*_NEEDED, *_TIMES)
# Far above any machine, in bytes/s or FLOP/s.
_MOST = 1e21
# Far slower than any host launches a kernel or any clock ticks, in seconds.
_LONGEST_S = 1.0


def as_json(ceilings: Ceilings) -> dict[str, object]:
    """The content of a file that `read_ceilings` reads."""
    return {
        "schema": SCHEMA,
        "device": ceilings.device,
        "copy_bytes_per_s": ceilings.copy_bytes_per_s,
        "read_bytes_per_s": ceilings.read_bytes_per_s,
        "gemm_flops_per_s": dict(ceilings.gemm_flops_per_s),
        **{name: getattr(ceilings, name) for name in _TIMES},
    }


def read_ceilings(path: str | Path) -> Ceilings:
    """The ceilings that a file holds; of a run's folder the highest, line by line.

    Raises SpecError that names the file, the field and what would be right,
    also where a folder's files are of several devices.
    """
    path = Path(path)
    if not path.is_dir():
        found = _of_file(path)
        if found is None:
            raise SpecError(f"{path} is of a run without ceilings; {WHAT} is needed")
        return found
    own = path / NAME
    files = [*([own] if own.exists() else []), *sorted((path / "records").glob("[!.]*.json"))]
    highest: Ceilings | None = None
    for found in filter(None, map(_of_file, files)):
        if highest is None:
            highest = found
        elif highest.device != found.device:
            raise SpecError(
                f"{path} holds ceilings of {highest.device!r} and of {found.device!r}; "
                "name one of its files instead"
            )
        else:
            highest = highest.raised(found)
    if highest is None:
        raise SpecError(f"{path} is a folder without measured ceilings; {WHAT} is needed")
    return highest


def _of_file(path: Path) -> Ceilings | None:
    """None for a record whose run measured none."""
    try:
        data = json.loads(read_small(path, what=WHAT), parse_constant=_refuse)
    except SpecError:
        raise
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON, or cut short: {error}; {WHAT} is needed") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path} holds no JSON object; {WHAT} is needed")
    if "ceilings" in data:
        return None if data["ceilings"] is None else _ceilings(data["ceilings"], f"{path}: ceilings")
    schema = data.pop("schema", None)
    if type(schema) is not int or schema != SCHEMA:
        raise SpecError(f"{path}: schema is {shown(schema)}; {SCHEMA} is needed")
    return _ceilings(data, str(path))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _ceilings(data: object, where: str) -> Ceilings:
    if not isinstance(data, dict):
        raise SpecError(f"{where}: {shown(data)} is given; an object is needed")
    refuse_unknown(data, _FIELDS, where)
    for name in _NEEDED:
        if name not in data:
            raise SpecError(f"{where}: {name} is missing; needed are {', '.join(_NEEDED)}")
    device, gemm = data["device"], data["gemm_flops_per_s"]
    if not isinstance(device, str) or not device.strip() or not device.isprintable():
        raise SpecError(f"{where}: device is {shown(device)}; the device's name is needed")
    if not isinstance(gemm, dict) or not gemm:
        raise SpecError(f"{where}: gemm_flops_per_s is {shown(gemm)}; an object of dtypes is needed")
    for dtype in gemm:
        if dtype not in PEAKS:
            raise SpecError(f"{where}: gemm_flops_per_s: {unknown('dtype', dtype, PEAKS)}")
    copied, read = (_rate(data, name, where) for name in _RATES)
    return Ceilings(
        device=device,
        copy_bytes_per_s=copied,
        read_bytes_per_s=read,
        gemm_flops_per_s={dtype: _rate(gemm, dtype, f"{where}: gemm_flops_per_s") for dtype in gemm},
        **{name: _time(data.get(name), name, where) for name in _TIMES},
    )


def _time(value: object, name: str, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_S:
        raise SpecError(
            f"{where}: {name} is {shown(value)}; seconds above 0 and at most {_LONGEST_S:g}, or null, are needed"
        )
    return float(value)


def _rate(data: Mapping[str, object], name: str, where: str) -> float:
    value = data[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST:
        raise SpecError(
            f"{where}: {name} is {shown(value)}; a number above 0 and at most {_MOST:g}, per second, is needed"
        )
    return float(value)
