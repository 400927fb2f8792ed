"""Change points against the definition: every fit there is, tried one by one."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.history.change_points import change_points

VALUES = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=11)


def cost(values: Sequence[float], bounds: Sequence[int], penalty: float) -> float:
    levels = [np.array(values[a:b]) for a, b in pairwise([0, *bounds, len(values)])]
    return float(sum(((level - level.mean()) ** 2).sum() for level in levels)) + penalty * len(bounds)


def fits(n: int, least: int) -> Iterator[tuple[int, ...]]:
    """All change points of `n` values that leave `least` values or more to each level."""
    for count in range(n):
        for bounds in combinations(range(1, n), count):
            if all(b - a >= least for a, b in pairwise([0, *bounds, n])):
                yield bounds


@given(values=VALUES, penalty=st.floats(0.1, 1000), least=st.integers(1, 4))
def test_no_fit_is_better(values: list[float], penalty: float, least: int) -> None:
    found = change_points(np.array(values), penalty=penalty, least=least)
    every = {bounds: cost(values, bounds, penalty) for bounds in fits(len(values), least)}

    if not every:
        assert found == []
    else:
        assert tuple(found) in every
        assert every[tuple(found)] == pytest.approx(min(every.values()), abs=1e-6)


@pytest.mark.parametrize(("penalty", "bounds"), [(100.0, []), (1.0, [4, 7])])
def test_a_step_is_taken_where_it_pays(penalty: float, bounds: list[int]) -> None:
    values = np.array([0, 0, 0, 0, 3, 3, 3, 1, 1, 1], dtype=float)

    assert change_points(values, penalty=penalty, least=3) == bounds


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_values_than_a_level_has_hold_none(n: int) -> None:
    assert change_points(np.arange(n, dtype=float), penalty=1.0, least=3) == []
