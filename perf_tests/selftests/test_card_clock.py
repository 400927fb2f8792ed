"""Device time at the card's own clock: by hand, where it is left alone, and between what it must lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.card_clock import above, at_card_clock

MAX_MHZ = 1980


def one(
    device_s: float, clock_mhz: float, *, memory_s: float = 0.004, max_mhz: int | None = MAX_MHZ
) -> float:
    (found,) = at_card_clock((device_s,), (clock_mhz,), max_mhz=max_mhz, memory_s=memory_s)
    return found


def test_what_is_not_memorys_follows_the_clock() -> None:
    """4 of 10 ms stream whatever the clock; the other 6 take 1 % more without 1 % of it."""
    assert one(0.010, 1.01 * MAX_MHZ) == pytest.approx(0.004 + 0.006 * 1.01)
    assert one(0.010, 1.01 * MAX_MHZ, memory_s=0.0) == pytest.approx(0.0101)


def test_each_step_by_its_own_clock() -> None:
    found = at_card_clock((0.010, 0.011), (1979.6, 1.01 * MAX_MHZ), max_mhz=MAX_MHZ, memory_s=0.001)

    assert found == (0.010, pytest.approx(0.0111))


@pytest.mark.parametrize("clock_mhz", [300.0, 1410.2, 1965.3, 1979.6, 1980.3, 1985.0])
def test_at_or_below_its_clock_nothing_is_made_of_it(clock_mhz: float) -> None:
    """Below it the code's own power may be why."""
    assert one(0.010, clock_mhz) == 0.010
    assert not above(clock_mhz, MAX_MHZ)


@pytest.mark.parametrize("clock_mhz", [1994.5, 2009.4])
def test_a_notch_is_above(clock_mhz: float) -> None:
    assert above(clock_mhz, MAX_MHZ)


def test_what_is_not_known_changes_nothing() -> None:
    assert one(0.010, 1994.5, max_mhz=None) == 0.010
    assert at_card_clock((0.010,), None, max_mhz=MAX_MHZ, memory_s=0.004) == (0.010,)


def test_a_step_faster_than_memory_allows_is_left_to_be_called_impossible() -> None:
    assert one(0.003, 1994.5, memory_s=0.004) == 0.003


@given(
    device_s=st.floats(1e-4, 1.0),
    share=st.floats(0.0, 2.0),
    clock_mhz=st.floats(100.0, 3000.0),
)
def test_it_never_gets_faster_nor_slower_by_more_than_the_clock(
    device_s: float, share: float, clock_mhz: float
) -> None:
    found = one(device_s, clock_mhz, memory_s=share * device_s)

    assert device_s <= found <= device_s * max(1.0, clock_mhz / MAX_MHZ) * (1 + 1e-12)
