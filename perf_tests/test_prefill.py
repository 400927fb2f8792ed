"""Prefill: a whole prompt in one pass, into an empty KV cache."""

from collections.abc import Callable

import pytest

from analytic import Bound
from baselines.record import Record
from perf_tests.clock import synchronised


@pytest.mark.measures("prefill")
@pytest.mark.benchmark(group="prefill", timer=synchronised, disable_gc=True)
def test_prefill(measure: Callable[[Bound], Record], bound: Bound) -> None:
    record = measure(bound)

    assert min(record.measurement.wall_s) > 0
