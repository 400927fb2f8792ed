"""Cases in a TOML file: per lane a model, precisions, engines, and blocks of cases.

A block spans every combination of its lists. cases.toml is such a file, and so
is the one that --perf-cases names; both are read and refused alike.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from analytic import Case, Phase, Promise, SpecError
from analytic.errors import unknown
from analytic.precision import PRECISIONS
from analytic.small_file import read_small, refuse_unknown, shown
from baselines.policy import POLICY
from perf_tests.engines.registry import engine_named

LANES = ("cpu", "gpu")
WHAT = "cases as TOML (as perf_tests/cases.toml has them)"

_LANE_FIELDS = ("model", "precisions", "engines", "cases")
_BLOCK_FIELDS = ("phase", "batches", "lengths", "output_len", "catches", "why")
_PROMISE_FIELDS = ("device", "wall")
_OPTIONAL = ("output_len", "engines", "catches", *_PROMISE_FIELDS)
#: No batch and no context has a size beyond this.
LARGEST = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCases:
    """A lane's cases on the model that its table names, as it names it: a preset,
    a config.json or its folder."""

    model: str
    cases: tuple[Case, ...]


def read_case_file(path: Path) -> dict[str, LaneCases]:
    """The lanes that the file at `path` has. A lane's `engines` are names, or paths
    from the file on; without them it is eager.

    Raises SpecError that names the file, the place and what would be right: a
    file that is missing, over 1 MB or no TOML; an unknown lane, field, phase,
    precision or engine; a value of the wrong type; a case that is there twice.
    """
    content = read_small(path, what=WHAT)
    try:
        tables = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not TOML: {error}") from error
    if not tables:
        raise SpecError(f"{path} holds no lane; a table out of {', '.join(LANES)} is needed")
    for lane in tables:
        if lane not in LANES:
            raise SpecError(f"{path}: {unknown('lane', lane, LANES)}")
    return {lane: _lane(table, f"{path}: {lane}", base=path.parent) for lane, table in tables.items()}


def _lane(table: object, where: str, *, base: Path) -> LaneCases:
    fields = _fields(table, where, known=_LANE_FIELDS)
    model = _text(fields, "model", where)
    precisions, blocks = _texts(fields, "precisions", where), _list(fields, "cases", where)
    for precision in precisions:
        if precision not in PRECISIONS:
            raise SpecError(f"{where}: {unknown('precision', precision, PRECISIONS)}")
    engines = _engines(fields, where, base=base) if "engines" in fields else ["eager"]
    found: dict[str, Case] = {}
    for precision, engine in product(precisions, engines):
        for number, block in enumerate(blocks):
            place = f"{where}.cases[{number}]"
            for case in _cases(block, place, model=model, precision=precision, engine=engine):
                if case.id in found:
                    raise SpecError(f"{place}: {case.id} is there twice; once is enough")
                found[case.id] = case
    return LaneCases(model=model, cases=tuple(found.values()))


def _engines(fields: Mapping[str, object], where: str, *, base: Path) -> list[str]:
    """The names of a lane's engines; those in files are registered by it."""
    texts = _texts(fields, "engines", where)
    try:
        return [engine_named(text, base=base).name for text in texts]
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error


def _cases(block: object, where: str, *, model: str, precision: str, engine: str) -> Iterator[Case]:
    fields = _fields(block, where, known=_BLOCK_FIELDS)
    phase, why = _text(fields, "phase", where), _text(fields, "why", where)
    if phase not in tuple(Phase):
        raise SpecError(f"{where}: {unknown('phase', phase, tuple(Phase))}")
    output_len = _size("output_len", fields["output_len"], where) if "output_len" in fields else None
    promise = _promise(fields["catches"], f"{where}: catches") if "catches" in fields else Promise()
    batches, lengths = (
        [_size(name, value, where) for value in _list(fields, name, where)] for name in ("batches", "lengths")
    )
    for batch, length in product(batches, lengths):
        try:
            yield Case(
                model=model,
                phase=Phase(phase),
                batch=batch,
                length=length,
                output_len=output_len,
                precision=precision,
                engine=engine,
                promise=promise,
                why=why,
            )
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from error


def _promise(table: object, where: str) -> Promise:
    """What a block's cases promise to catch: { device = 0.01, wall = 0.1 }, either or both."""
    fields = _fields(table, where, known=_PROMISE_FIELDS)
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise _wrong(name, value, where, "a share between 0 and 1 (0.01 is 1 %)")
        if name == "device" and value <= POLICY.min_effect:
            raise _wrong(
                name, value, where, f"more than {POLICY.min_effect}, up to which nothing is claimed,"
            )
    return Promise(**fields)


def _fields(table: object, where: str, *, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(table, dict):
        raise SpecError(f"{where} is {shown(table)}; a table is needed")
    refuse_unknown(table, known, where)
    for name in known:
        if name not in table and name not in _OPTIONAL:
            needed = (n for n in known if n not in _OPTIONAL)
            raise SpecError(f"{where}: {name} is missing; needed are {', '.join(needed)}")
    return table


def _text(fields: Mapping[str, object], name: str, where: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value.strip():
        raise _wrong(name, value, where, "text")
    return value


def _list(fields: Mapping[str, object], name: str, where: str) -> list[object]:
    value = fields[name]
    if not isinstance(value, list) or not value:
        raise _wrong(name, value, where, "a list with something in it")
    return value


def _texts(fields: Mapping[str, object], name: str, where: str) -> list[str]:
    values = _list(fields, name, where)
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(values):
        raise _wrong(name, values, where, f"a list of {name}")
    return texts


def _size(name: str, value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise _wrong(name, value, where, f"a whole number from 1 to {LARGEST:,}")
    return value


def _wrong(name: str, value: object, where: str, needed: str) -> SpecError:
    return SpecError(f"{where}: {name} is {shown(value)}; {needed} is needed")
