"""How many bounds a second a sweep computes: python -m perf_tests.bounds.sweep_speed [--json]

One process and no threads: NumPy's element-wise operations use one core. A point
is a batch, a length and a GPU with FLOPs, bytes, three times, the limiter,
tokens/s and whether it fits; FLOPs and bytes are the same on all GPUs and computed
once for them, so the rate is also given for one GPU. Beside it one point at a time
by pass_cost and pass_bound, in the same process.
"""

import argparse
import json
import platform
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

import numpy as np

from analytic import GpuSpec, Phase, find_precision, load_model, pass_bound, pass_cost, registry
from analytic.sweep import sweep

RUNS = 9
MODEL, PRECISION, GPUS = "mistral-7b-v0.1", "int8", 8
BATCHES, LENGTHS = range(1, 257), range(16, 16385, 16)
SINGLES = 200
# A comparison as published, not a measurement of this script.
ELSEWHERE = "LLM-Viewer: 13.8 k points/s, measured elsewhere on two cores"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf_tests.bounds.sweep_speed", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    found = measure()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    low, high = min(found["rates"]), max(found["rates"])
    print(f"{found['points']:,} points: {MODEL}, {PRECISION}, decode, {GPUS} GPUs; {RUNS} runs")
    print(
        f"sweep      {found['points_per_s'] / 1e6:8.1f} M points/s, median ({low / 1e6:.1f} to {high / 1e6:.1f})"
    )
    print(f"one GPU    {found['one_gpu_points_per_s'] / 1e6:8.1f} M points/s, median")
    print(
        f"one by one {found['single_points_per_s'] / 1e3:8.1f} k points/s, median; {found['ratio']:,.0f} times slower"
    )
    print(f"{found['machine']}, Python {found['python']}, NumPy {found['numpy']}, one core")
    print(f"For comparison, {ELSEWHERE}.")


def measure() -> dict:
    """Rates in points a second, median and all runs."""
    model, precision = load_model(MODEL), find_precision(PRECISION)
    gpus = [gpu for gpu in registry() if all(map(gpu.supports, precision.dtypes))][:GPUS]

    def grid(gpus: Sequence[GpuSpec] = gpus) -> None:
        sweep(model, phase=Phase.DECODE, batches=BATCHES, lengths=LENGTHS, gpus=gpus, precision=precision)

    def singles() -> None:
        for context_len in LENGTHS[:SINGLES]:
            cost = pass_cost(model, batch=8, new_tokens=1, context_len=context_len, precision=precision)
            pass_bound(cost, gpus[0].roofs)

    points = len(gpus) * len(BATCHES) * len(LENGTHS)
    rates = [points / each for each in _times(grid)]
    alone = len(BATCHES) * len(LENGTHS) / median(_times(lambda: grid(gpus[:1])))
    single = SINGLES / median(_times(singles))
    return {
        "points": points,
        "points_per_s": median(rates),
        "rates": rates,
        "one_gpu_points_per_s": alone,
        "single_points_per_s": single,
        "ratio": median(rates) / single,
        "cores": 1,
        "elsewhere": ELSEWHERE,
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _times(run: Callable[[], None]) -> list[float]:
    """Seconds of RUNS runs, after one that is not counted."""
    run()
    times = []
    for _ in range(RUNS):
        begun = perf_counter()
        run()
        times.append(perf_counter() - begun)
    return times


if __name__ == "__main__":
    main()
