"""Writes flops_truth.csv and params_truth.csv: python -m perf_tests.bounds.count_flops

Every preset and every config of odd_configs.json, as PyTorch counts them. The
first line of each table says with which versions. The numbers should change
with neither; torch and transformers are needed only here, not by the tests.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analytic import find_config, preset_names
from analytic.config_file import read_file
from perf_tests.flop_count import build, count_flops, count_parameters

HERE = Path(__file__).parent
FLOPS, PARAMS = HERE / "flops_truth.csv", HERE / "params_truth.csv"
# Small shapes in which no two widths are equal, so that no two can be swapped,
# and the fields whose absence means something.
ODD = HERE / "odd_configs.json"

# (batch, new tokens, cached tokens, logits), as in the columns of the table.
Point = tuple[int, int, int, str]

POINTS: tuple[Point, ...] = (
    (1, 128, 0, "last"),
    (1, 512, 0, "all"),
    (1, 1, 128, "last"),
    (1, 1, 2048, "last"),
    (1, 64, 512, "last"),  # the second chunk of a prefill
    (1, 64, 512, "all"),
    (4, 1, 512, "last"),
    (3, 96, 0, "last"),
)
ODD_POINTS: tuple[Point, ...] = (
    (2, 5, 0, "last"),
    (2, 5, 0, "all"),
    (2, 1, 5, "last"),
    (1, 1, 20, "last"),  # past the window of 8
    (1, 3, 20, "last"),
    (1, 20, 0, "last"),
)
MEASURED = "mistral-7b-v0.1"
MEASURED_POINTS: tuple[Point, ...] = (
    *((1, n, 0, logits) for n in (128, 512, 2048) for logits in ("last", "all")),
    *((1, 1, cached, "last") for cached in (128, 512, 2048)),
    *((batch, 512, 0, "last") for batch in (4, 8, 16)),
    *((batch, 1, 512, "last") for batch in (4, 8, 16)),
    (1, 128, 512, "last"),
    (1, 8192, 0, "last"),
    (1, 1, 8192, "last"),
)


def window_points(window: int) -> tuple[Point, ...]:
    """Passes that a sliding window of `window` tokens shortens, and one that fills it."""
    past = window + 904
    return (
        (1, 1, window - 1, "last"),
        (1, 1, window, "last"),
        (1, 1, past, "last"),
        (1, past, 0, "last"),
        (2, 64, past, "last"),
    )


def configs() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, config) of every model of the tables."""
    for name in preset_names():
        yield name, read_file(find_config(name))
    yield from json.loads(ODD.read_text(encoding="utf-8")).items()


def points(name: str, model: Any) -> tuple[Point, ...]:
    """The passes counted of a model, no longer than its learned positions."""
    if name.startswith("odd-"):
        return ODD_POINTS
    window = getattr(model.config, "sliding_window", None)
    limit = model.config.max_position_embeddings
    chosen = (*POINTS, *(MEASURED_POINTS if name == MEASURED else ()))
    if window is not None and 2 * window <= limit:
        chosen += window_points(window)
    return tuple(
        dict.fromkeys((batch, new, min(cached, limit - new), logits) for batch, new, cached, logits in chosen)
    )


def main() -> None:
    flops: list[Sequence[object]] = []
    params: list[Sequence[object]] = []
    for name, config in configs():
        model = build(config)
        params.append((name, count_parameters(model)))
        for batch, new, cached, logits in points(name, model):
            count = count_flops(model, batch=batch, new_tokens=new, context_len=cached, logits=logits)
            flops.append((name, batch, new, cached, logits, count))
        print(f"{name}: {params[-1][1]} parameters, {flops[-1][-1]} FLOPs in the last pass")
    write(FLOPS, ("model", "batch", "new_tokens", "context_len", "logits", "flops"), flops)
    write(PARAMS, ("model", "parameters"), params)


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table whose first line, a comment, says what counted it."""
    import torch
    import transformers

    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"# python -m perf_tests.bounds.count_flops; torch {torch.__version__.partition('+')[0]}, "
            f"transformers {transformers.__version__}\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
