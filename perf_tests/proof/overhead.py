"""What the harness adds around a step that does nothing: python -m perf_tests.proof.overhead

pytest-benchmark times an empty step as the lanes time a case: pedantic(), a reset
before each round, a clock that waits for the device first. What it reports is the
harness's own. Exit status: 0 within the limit, 1 beyond it, 2 it could not be timed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from analytic import SpecError, text
from perf_tests.gpu_presence import gpu_problem

LIMIT_S = 64e-6
ROUNDS = 200

# The body of the lanes' measure item, around nothing.
_TEST = """
import pytest
from perf_tests.clock import synchronised
from perf_tests.engines.step import Step

STEP = Step(reset=lambda: None, run=lambda: None, tokens=lambda output: None)

@pytest.mark.benchmark(timer=synchronised, disable_gc=True)
def test_nothing(benchmark):
    {prepare}
    benchmark.pedantic(STEP.run, setup=STEP.reset, rounds={rounds}, iterations=1, warmup_rounds={rounds})
"""
# The clock waits for a GPU only once one is in use.
_PREPARE = {"cuda": "import torch; torch.zeros(1, device='cuda')", "cpu": "pass"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Wall seconds of a step that does nothing, one a round."""

    device: str
    samples_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return median(self.samples_s)

    @property
    def p95_s(self) -> float:
        return quantiles(self.samples_s, n=20)[-1]


def measure(device: str, *, rounds: int = ROUNDS) -> Overhead:
    """In a pytest process of its own. Raises SpecError where that fails."""
    if rounds < 2:
        raise SpecError(f"--rounds is {rounds}; at least 2 are needed")
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as place:
        folder, told = Path(place), Path(place) / "told.json"
        (folder / "test_nothing.py").write_text(
            _TEST.format(prepare=_PREPARE[device], rounds=rounds), encoding="utf-8"
        )
        (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {root}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--benchmark-json={told}", "test_nothing.py"]
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0 or not told.is_file():
            raise SpecError(f"pytest ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        (timed,) = json.loads(told.read_text(encoding="utf-8"))["benchmarks"]
    return Overhead(device=device, samples_s=tuple(timed["stats"]["data"]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m perf_tests.proof.overhead", description=__doc__)
    parser.add_argument("--device", choices=tuple(_PREPARE), default="cpu" if gpu_problem() else "cuda")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--limit-us", type=float, default=LIMIT_S * 1e6, help="of the median (default: 64)")
    options = parser.parse_args(arguments)
    try:
        found = measure(options.device, rounds=options.rounds)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{found.device}: a step that does nothing is reported as {text.seconds(found.median_s)} (median of "
        f"{len(found.samples_s)}), 95th percentile {text.seconds(found.p95_s)}; limit {options.limit_us:g} µs"
    )
    return 0 if found.median_s <= options.limit_us / 1e6 else 1


if __name__ == "__main__":
    raise SystemExit(main())
