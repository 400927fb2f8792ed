"""What follows from a record, each figure by another road."""

import pytest

from analytic import Ceilings, SpecError
from baselines.derived import derive
from perf_tests.selftests.records import record


def test_mfu_and_mbu_are_shares_of_the_datasheet() -> None:
    """14.4897 GFLOP and 14.2886 GB in 8 ms, of 989.4 TFLOP/s and 3350 GB/s."""
    d = derive(record("decode-b1-c512-fp16-eager", device_s=0.008, wall_s=0.030), None)

    assert d.mfu == pytest.approx(14_489_747_456 / 0.008 / 989.4e12)
    assert d.mbu == pytest.approx(d.bound.bytes / 0.008 / 3350e9)
    assert d.bound.bytes == pytest.approx(14.289e9, rel=1e-4)
    assert d.host_share == pytest.approx(1 - 8 / 30)


def test_without_a_device_clock_the_wall_is_what_counts() -> None:
    d = derive(record("decode-b1-c512-fp16-eager", wall_s=0.030), None)

    assert d.gating_s == 0.030
    assert d.device_fraction is None
    assert d.regime == "unknown"
    assert d.binding == "bound by what was not seen"


def test_a_ceiling_bound_needs_a_ceiling_of_every_dtype() -> None:
    """LLM.int8 multiplies in int8, whose ceiling is not measured."""
    measured = Ceilings(
        device="H100", copy_bytes_per_s=3e12, read_bytes_per_s=2.7e12, gemm_flops_per_s={"fp16": 750e12}
    )
    fp16 = derive(record("prefill-b1-p512-fp16-eager", device_s=0.017), measured)

    assert fp16.ceiling_bound is not None
    assert fp16.ceiling_bound.lower_s == pytest.approx(7_284_526_678_016 / 750e12)
    assert derive(record("prefill-b1-p512-int8-eager", device_s=0.017), measured).ceiling_bound is None


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_ceiling_is_positive(rate: float) -> None:
    with pytest.raises(SpecError, match="a rate is positive"):
        Ceilings(device="x", copy_bytes_per_s=rate, read_bytes_per_s=1.0, gemm_flops_per_s={})
