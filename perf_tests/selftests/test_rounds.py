"""Rounds through pytest-benchmark, and a second attempt at them."""

import itertools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from perf_tests import rounds
from perf_tests.engines.step import Step
from perf_tests.rounds import time_rounds


@pytest.fixture(autouse=True)
def enabled(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker of xdist pytest-benchmark times nothing."""
    monkeypatch.setattr(benchmark, "disabled", False)


@pytest.fixture
def step() -> tuple[Step, list[str]]:
    done: list[str] = []
    numbers = itertools.count()

    def run() -> int:
        done.append("run")
        return next(numbers)

    return Step(
        reset=lambda: done.append("reset"), run=run, tokens=lambda _: pytest.fail("not asked for")
    ), done


def test_a_first_attempt_is_pedantic_s(benchmark: BenchmarkFixture, step: tuple[Step, list[str]]) -> None:
    seconds, output = time_rounds(benchmark, step[0], 3)

    assert len(seconds) == 3
    assert output == 2
    assert step[1] == ["reset", "run"] * 3


def test_a_second_one_takes_its_place(
    benchmark: BenchmarkFixture, step: tuple[Step, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    time_rounds(benchmark, step[0], 3)
    ticks = iter((10.0, 10.5, 20.0, 20.25))
    monkeypatch.setattr(rounds, "synchronised", lambda: next(ticks))

    seconds, output = time_rounds(benchmark, step[0], 2)

    assert seconds == benchmark.stats.stats.data == [0.5, 0.25]
    assert output == 4
    assert step[1] == ["reset", "run"] * 5
