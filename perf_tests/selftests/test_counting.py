"""What the host does in a step, counted exactly."""

import gc
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from perf_tests.counting import STEPS, count_host_work
from perf_tests.device import CpuDevice
from perf_tests.engines.step import Step


def step(run: Callable[[], object]) -> Step:
    return Step(reset=lambda: None, run=run, tokens=lambda _: pytest.fail("not asked for"))


def work(calls: int) -> None:
    for _ in range(calls):
        len("")


def test_every_call_more_is_seen() -> None:
    fewer, more = (count_host_work(step(lambda n=n: work(n)), CpuDevice()) for n in (10, 13))

    assert len(set(fewer.python_calls)) == 1
    assert more.python_calls[0] - fewer.python_calls[0] == 3
    assert fewer.allocated_bytes is None, "a CPU does not tell its memory"


def test_steps_that_differ_are_seen_to() -> None:
    calls = iter(range(STEPS))

    found = count_host_work(step(lambda: work(next(calls))), CpuDevice())

    assert len(set(found.python_calls)) == len(found.python_calls) == STEPS


def test_bytes_are_those_above_what_was_there() -> None:
    peaks = iter((75, 75))
    device = SimpleNamespace(
        synchronise=lambda: None,
        start_peak=lambda: None,
        resident_bytes=lambda: 50,
        peak_bytes=lambda: next(peaks),
    )

    assert count_host_work(step(lambda: None), device).allocated_bytes == (25, 25)


@pytest.mark.parametrize("raises", [False, True])
def test_nothing_is_left_behind(*, raises: bool) -> None:
    def run() -> None:
        if raises:
            raise ValueError("mine")

    before = sys.getprofile()
    gc.enable()
    try:
        count_host_work(step(run), CpuDevice())
    except ValueError:
        assert raises

    assert sys.getprofile() is before
    assert gc.isenabled()


def test_an_earlier_profiler_is_back_afterwards() -> None:
    def earlier(*_: object) -> None:
        pass

    before = sys.getprofile()
    sys.setprofile(earlier)
    try:
        count_host_work(step(lambda: None), CpuDevice())
        after = sys.getprofile()
    finally:
        sys.setprofile(before)

    assert after is earlier


def test_finalisers_of_a_steps_garbage_are_no_calls_of_it() -> None:
    """So much garbage that it would be collected within the step many times over."""

    class Cycle:
        def __init__(self) -> None:
            self.me = self

    class Finalised(Cycle):
        def __del__(self) -> None:
            pass

    def litter(kind: type[Cycle]) -> None:
        for _ in range(20_000):
            kind()

    gc.enable()
    plain, finalised = (
        count_host_work(step(lambda kind=kind: litter(kind)), CpuDevice()) for kind in (Cycle, Finalised)
    )

    assert finalised.python_calls == plain.python_calls
