"""generate(): prefill and decode steps end to end, as a user waits for them."""

from collections.abc import Callable

import pytest

from analytic import Bound
from baselines.record import Record
from perf_tests.clock import synchronised


@pytest.mark.measures("generate")
@pytest.mark.benchmark(group="generate", timer=synchronised, disable_gc=True)
def test_generate(measure: Callable[[Bound], Record], bound: Bound) -> None:
    record = measure(bound)

    assert min(record.measurement.wall_s) > 0
