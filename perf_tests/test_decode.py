"""Decode: one new token per sequence, on a filled KV cache."""

from collections.abc import Callable

import pytest

from analytic import Bound
from baselines.record import Record
from perf_tests.clock import synchronised


@pytest.mark.measures("decode")
@pytest.mark.benchmark(group="decode", timer=synchronised, disable_gc=True)
def test_decode(measure: Callable[[Bound], Record], bound: Bound) -> None:
    record = measure(bound)

    assert min(record.measurement.wall_s) > 0
