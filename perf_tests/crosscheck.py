"""python -m perf_tests.crosscheck CONFIG [--json]: the model against PyTorch's own count.

CONFIG is a preset, a config.json or its folder. transformers builds it on the
meta device (no weights, no GPU), and its parameters and the FLOPs of several
passes are compared with what the model of `analytic` says, operator by
operator. Exit codes: 0 all equal, 1 something differs, 2 bad input.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analytic import ModelSpec, SpecError, find_config, find_precision, load_model, pass_cost
from analytic.config_file import read_file
from perf_tests.flop_count import (
    SYNONYMS,
    build,
    by_operator,
    count_modules,
    count_parameters,
    parameters_by_tensor,
    require_torch,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One pass: tokens per sequence, and which logits it computes."""

    batch: int
    new_tokens: int
    context_len: int
    logits: str

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.new_tokens} new on {self.context_len} cached, {self.logits} logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What the model says of something and what PyTorch counts."""

    name: str
    modelled: int
    counted: int

    @property
    def difference(self) -> int:
        return self.modelled - self.counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """FLOPs of one pass, in all and by operator."""

    point: Point
    flops: Pair
    operators: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crosscheck:
    """A model's comparison; `tensors` are the counted parameters by tensor."""

    model: str
    versions: str
    parameters: Pair
    tensors: dict[str, int]
    passes: tuple[Pass, ...]

    @property
    def differing(self) -> tuple[Pass, ...]:
        return tuple(p for p in self.passes if p.flops.difference or any(op.difference for op in p.operators))

    @property
    def equal(self) -> bool:
        return not (self.parameters.difference or self.differing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares and prints. Bad input prints one line to stderr and returns 2."""
    parser = argparse.ArgumentParser(
        prog="python -m perf_tests.crosscheck", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("config", metavar="CONFIG", help="a preset, a config.json or its folder")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    try:
        result = crosscheck(options.config)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(result), indent=2) if options.json else as_text(result))
    return 0 if result.equal else 1


def crosscheck(config: str) -> Crosscheck:
    """Compares the model of `config`, a preset, a config.json or its folder.

    Raises SpecError where it cannot be read, or transformers cannot build it.
    """
    spec = load_model(config)
    require_torch()
    import torch
    import transformers

    model = build(read_file(find_config(config)))
    return Crosscheck(
        model=spec.name,
        versions=f"torch {torch.__version__}, transformers {transformers.__version__}",
        parameters=Pair(name="parameters", modelled=spec.param_count, counted=count_parameters(model)),
        tensors=parameters_by_tensor(model),
        passes=tuple(compare_pass(spec, model, point) for point in points(model.config)),
    )


def points(config: Any) -> tuple[Point, ...]:
    """Passes that tell the terms apart, within the positions of a transformers
    `config`; with a sliding window also some that reach past it."""
    limit = config.max_position_embeddings
    short = max(2, min(48, limit // 4))
    sizes = [
        (1, min(128, limit), 0, "last"),
        (3, short, 0, "all"),
        (1, 1, min(300, limit - 1), "last"),
        (4, 1, short, "last"),
        (2, short, 2 * short, "last"),
        (1, short, 2 * short, "all"),
    ]
    window = getattr(config, "sliding_window", None)
    if window is not None and window + 16 <= limit:
        sizes += [(1, 1, window - 1, "last"), (2, 1, window + 9, "last")]
        sizes += [(1, window + 9, 0, "last"), (1, 7, window + 9, "last")]
    return tuple(
        Point(batch=batch, new_tokens=new, context_len=cached, logits=logits)
        for batch, new, cached, logits in dict.fromkeys(sizes)
    )


def compare_pass(spec: ModelSpec, model: Any, point: Point) -> Pass:
    """One pass of `spec` against the same pass of transformers' `model`."""
    cost = pass_cost(spec, precision=find_precision("fp16"), **asdict(point))
    modelled: dict[str, int] = {}
    for op in cost.operators:
        name = SYNONYMS.get(op.name, op.name)
        modelled[name] = modelled.get(name, 0) + op.flops
    counted = by_operator(count_modules(model, **asdict(point)))
    return Pass(
        point=point,
        flops=Pair(name="flops", modelled=cost.flops, counted=sum(counted.values())),
        operators=paired(modelled, counted),
    )


def paired(modelled: Mapping[str, int], counted: Mapping[str, int]) -> tuple[Pair, ...]:
    """The FLOPs of both sides by operator, in the order of the model.

    Names that only one side has are matched by their last part ("mlp.c_proj"
    with "c_proj") or by what they are in ("experts.down_proj" with "experts").
    """
    shared = {name for name in modelled if name in counted}
    rest = {
        side: [name for name in names if name not in shared]
        for side, names in (("modelled", modelled), ("counted", counted))
    }
    known = {*rest["modelled"], *rest["counted"]}
    sums: dict[str, list[int]] = {}
    for index, names in enumerate((modelled, counted)):
        for name, flops in names.items():
            key = name if name in shared else _group(name, known)
            sums.setdefault(key, [0, 0])[index] += flops
    return tuple(Pair(name=name, modelled=m, counted=c) for name, (m, c) in sums.items() if m or c)


def _group(name: str, known: set[str]) -> str:
    """What a name that one side lacks is added up under."""
    container, _, last = name.rpartition(".")
    return container if container in known else last


def as_json(result: Crosscheck) -> dict[str, object]:
    """The comparison with a difference (modelled minus counted) in every pair."""

    def pair(pair: Pair) -> dict[str, object]:
        return {**asdict(pair), "difference": pair.difference}

    return {
        "model": result.model,
        "versions": result.versions,
        "equal": result.equal,
        "parameters": pair(result.parameters),
        "parameters_by_tensor": result.tensors,
        "passes": [
            {**asdict(p.point), "flops": pair(p.flops), "operators": [pair(op) for op in p.operators]}
            for p in result.passes
        ],
    }


def as_text(result: Crosscheck) -> str:
    """One line for what is equal; what differs with both numbers, and where."""
    lines = [f"{result.model}: {result.versions}", _line("parameters", result.parameters)]
    if gap := abs(result.parameters.difference):
        lines.append("  counted by tensor, all layers together:")
        lines += [
            f"    {name:<40} {size:>20}{'  <- the difference' if size == gap else ''}"
            for name, size in result.tensors.items()
        ]
    for p in result.passes:
        lines.append(_line(f"FLOPs, {p.point}", p.flops))
        if p in result.differing:
            lines += [f"  {_line(op.name, op)}" for op in p.operators]
    differing = len(result.differing)
    verdict = "equal" if result.equal else f"different: {differing} of {len(result.passes)} passes"
    if result.parameters.difference:
        verdict += ", and the parameters"
    return "\n".join((*lines, verdict))


def _line(label: str, pair: Pair) -> str:
    if not pair.difference:
        return f"{label:<58} {pair.counted:>20}  equal"
    return (
        f"{label:<58} {pair.counted:>20}  DIFFERENT: the model says {pair.modelled}, {pair.difference:+} off"
    )


if __name__ == "__main__":
    sys.exit(main())
