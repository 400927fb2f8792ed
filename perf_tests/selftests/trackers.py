"""pytest-benchmark's JSON read as the tools read it that track benchmarks over time: which
fields they take, and what makes them refuse a file.

github-action-benchmark is TypeScript (src/extract.ts, extractPytestResult and
extractResult): JSON.parse, and no check of any field but that there is a benchmark; what
is missing would be drawn as `undefined` and never alert. Bencher is Rust
(lib/bencher_adapter/src/adapters/python/pytest.rs over serde, its
results/adapter_results.rs, lib/bencher_valid for the name): any field that is missing, or
of another type, refuses the whole file, and so does a file without benchmarks.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

# lib/bencher_valid/src/benchmark_name.rs: in bytes; a name that ends so is not tracked.
_MOST_NAME_BYTES = 1024
_IGNORED = ("_bencher_ignore", "BencherIgnore", "-bencher-ignore")
# rust_decimal holds 96 bits; a time is stored in nanoseconds.
_MOST_DECIMAL = 2**96 - 1


class RefusedError(Exception):
    """The tool would not take the file, or would draw nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a tool draws of one benchmark: `higher_is_better`, or a latency. `spread` is
    beside it, in the same unit or in words."""

    name: str
    value: float
    unit: str
    spread: str
    higher_is_better: bool


def parsed(text: str) -> Any:
    """As JSON.parse and serde_json do: neither knows the NaN that Python writes."""

    def refuse(constant: str) -> None:
        raise RefusedError(f"{constant} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise RefusedError(str(error)) from error


def github_action_benchmark(text: str) -> list[Point]:
    """fullname, and of stats: ops, stddev, mean, rounds."""
    data = parsed(text)
    try:
        points = [_github_point(bench["fullname"], bench["stats"]) for bench in data["benchmarks"]]
    except (KeyError, TypeError) as error:
        raise RefusedError(f"undefined: {error}") from error
    return _told_apart(points)


def _told_apart(points: list[Point]) -> list[Point]:
    """Both refuse an empty list, and both keep one of two benchmarks of a name."""
    if not points:
        raise RefusedError("no benchmark was found")
    if len({point.name for point in points}) < len(points):
        raise RefusedError("a name twice: one of them is lost")
    return points


def _github_point(name: Any, stats: dict[str, Any]) -> Point:
    read = [stats["ops"], stats["stddev"], stats["mean"], stats["rounds"]]
    # A quotient of them is compared: not of null, a text, or zero.
    if not isinstance(name, str) or not all(_is_number(value) for value in read) or stats["ops"] <= 0:
        raise RefusedError(f"{name}: {read} draws nothing")
    return Point(
        name=name,
        value=stats["ops"],
        unit="iter/sec",
        spread=f"stddev: {stats['stddev']}",
        higher_is_better=True,
    )


def bencher(text: str, *, average: str = "mean") -> list[Point]:
    """machine_info and commit_info, which must be objects; fullname; and of stats: mean
    and stddev, median and iqr, all four whichever is asked for. In nanoseconds."""
    data = parsed(text)
    try:
        if not all(isinstance(data[key], dict) for key in ("machine_info", "commit_info")):
            raise RefusedError("machine_info and commit_info: objects are needed")
        points = [_bencher_point(bench["fullname"], bench["stats"], average) for bench in data["benchmarks"]]
    except (KeyError, TypeError) as error:
        raise RefusedError(f"missing field: {error}") from error
    return _told_apart(points)


def _bencher_point(name: Any, stats: dict[str, Any], average: str) -> Point:
    if not isinstance(name, str) or not 0 < len(name.encode()) <= _MOST_NAME_BYTES:
        raise RefusedError(f"{name!r} is no name of a benchmark")
    if name.endswith(_IGNORED):
        raise RefusedError(f"{name} would not be tracked")
    read = {key: stats[key] for key in ("mean", "stddev", "median", "iqr")}
    if not all(_is_number(value) and abs(value) <= _MOST_DECIMAL for value in read.values()):
        raise RefusedError(f"{name}: {read}: numbers are needed")
    spread = read[{"mean": "stddev", "median": "iqr"}[average]] * 1e9
    value = read[average] * 1e9
    return Point(
        name=name,
        value=value,
        unit="ns",
        spread=f"{value - spread} to {value + spread}",
        higher_is_better=False,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
