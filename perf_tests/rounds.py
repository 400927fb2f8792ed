"""Timed rounds of a step through pytest-benchmark's own fixture."""

from typing import Any

from perf_tests.clock import synchronised


def time_rounds(benchmark: Any, step: Any, rounds: int) -> tuple[list[float], Any]:
    """Seconds of each round, and what the last one returned. `benchmark` is
    pytest-benchmark's fixture, whose timer is clock.synchronised."""
    if benchmark.stats is not None:
        return _again(benchmark, step, rounds)
    output = benchmark.pedantic(step.run, setup=step.reset, rounds=rounds, iterations=1)
    return list(benchmark.stats.stats.data), output


def _again(benchmark: Any, step: Any, rounds: int) -> tuple[list[float], Any]:
    """A second attempt, timed as pedantic() times the first, which it allows once:
    its samples take the first one's place in pytest-benchmark's figures."""
    seconds, output = [], None
    for _ in range(rounds):
        step.reset()
        start = synchronised()
        output = step.run()
        seconds.append(synchronised() - start)
    benchmark.stats.stats.data[:] = seconds
    return seconds, output
