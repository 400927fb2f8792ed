"""A record at the card's own clock: by hand, where it is left alone, and the limits it keeps to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic import SpecError
from baselines.card_clock import above, at_card_clock, steps_above, streamed_s
from baselines.record import KernelTime, Record
from perf_tests.selftests.records import DECODE, conditions, record

HIGHEST = 1980
# 14.2 GB at 3.35 TB/s.
STREAMED_S = streamed_s(record(DECODE))


def held(
    *steps: tuple[float, float],
    highest_mhz: int | None = HIGHEST,
    kernels: tuple[KernelTime, ...] | None = None,
) -> Record:
    """Steps of so many seconds, each held at so many MHz."""
    found = record(
        DECODE,
        device_s=[device_s for device_s, _ in steps],
        held_clock_mhz=tuple(clock for _, clock in steps),
        seen=conditions(),
        kernels=kernels,
    )
    seen = replace(conditions(), sm_clock_max_mhz=highest_mhz)
    return replace(found, measurement=replace(found.measurement, conditions=seen))


def times(found: Record) -> tuple[float, ...]:
    return at_card_clock(found).measurement.device_s or ()


def test_what_is_not_memorys_follows_the_clock() -> None:
    """4.265 of 8 ms stream whatever the clock; the rest takes 1 % more without 1 % of it."""
    assert pytest.approx(4.265e-3, abs=1e-6) == STREAMED_S
    assert times(held((0.008, 1.01 * HIGHEST))) == (pytest.approx(STREAMED_S + 1.01 * (0.008 - STREAMED_S)),)


def test_each_step_by_its_own_clock_and_its_kernels_alike() -> None:
    kernels = (
        KernelTime(operator="q_proj", name="gemv", launches=32, device_s=(0.006, 0.005)),
        KernelTime(operator="norms", name="reduce", launches=65, device_s=(0.002, 0.003)),
    )
    found = at_card_clock(held((0.008, 1979.6), (0.008, 1.01 * HIGHEST), kernels=kernels)).measurement
    scale = 1 + 0.01 * (1 - STREAMED_S / 0.008)

    assert found.device_s == (0.008, pytest.approx(0.008 * scale))
    assert found.kernels is not None
    assert [k.device_s for k in found.kernels] == [
        (0.006, pytest.approx(0.005 * scale)),
        (0.002, pytest.approx(0.003 * scale)),
    ]
    assert sum(k.device_s[1] for k in found.kernels) == pytest.approx((found.device_s or ())[1])
    assert found.held_clock_mhz == (1979.6, HIGHEST)


def test_once_is_enough() -> None:
    once = at_card_clock(held((0.008, 1994.5), (0.008, 2009.4)))

    assert at_card_clock(once) is once


@pytest.mark.parametrize("clock_mhz", [300.0, 1410.2, 1965.3, 1979.6, 1980.3, 1985.0])
def test_at_or_below_its_clock_it_is_left_alone(clock_mhz: float) -> None:
    """Below it the code's own power may be why."""
    found = held((0.008, clock_mhz))

    assert at_card_clock(found) is found
    assert steps_above(found.measurement) == 0


@pytest.mark.parametrize("clock_mhz", [1994.5, 2009.4])
def test_a_notch_is_above(clock_mhz: float) -> None:
    assert above(clock_mhz, HIGHEST)
    assert steps_above(held((0.008, clock_mhz), (0.008, 1979.6)).measurement) == 1


def test_what_is_not_known_changes_nothing() -> None:
    unknown = held((0.008, 1994.5), highest_mhz=None)
    unheld = record(DECODE, device_s=0.008, seen=conditions())
    without_nvml = record(DECODE, device_s=0.008, held_clock_mhz=(1994.5,) * 3)

    for found in (unknown, unheld, without_nvml, record(DECODE)):
        assert at_card_clock(found) is found


def test_a_step_faster_than_memory_allows_is_left_to_be_called_impossible() -> None:
    assert times(held((0.003, 1994.5))) == (0.003,)


def test_a_clock_that_no_gpu_has_scales_nothing() -> None:
    assert times(held((0.008, 2080.0), (0.008, 1994.5)))[0] == 0.008


def test_kernels_of_other_steps_are_refused() -> None:
    kernel = KernelTime(operator="q_proj", name="gemv", launches=32, device_s=(0.001,) * 3)

    with pytest.raises(SpecError, match="3 times of 'gemv' in 1 profiled steps"):
        at_card_clock(held((0.008, 1994.5), kernels=(kernel,)))


def test_a_gpu_that_is_no_longer_known_is_refused() -> None:
    with pytest.raises(SpecError, match="no-such-gpu"):
        at_card_clock(replace(held((0.008, 1994.5)), gpu="no-such-gpu"))


@given(device_s=st.floats(1e-4, 1.0), clock_mhz=st.floats(100.0, 3000.0))
def test_it_never_gets_faster_nor_slower_by_more_than_the_clock(device_s: float, clock_mhz: float) -> None:
    (found,) = times(held((device_s, clock_mhz)))

    assert device_s <= found <= device_s * max(1.0, clock_mhz / HIGHEST) * (1 + 1e-12)
