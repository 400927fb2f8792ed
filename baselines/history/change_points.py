"""Where the level of a series changes: the best fit of constants, found exactly. Pure."""

import numpy as np


def change_points(values: np.ndarray, *, penalty: float, least: int) -> list[int]:
    """The indices of `values`, shape (n,), at which a new level begins, rising: of all fits
    of constants, each to `least` neighbours or more, the one with the smallest

        sum of squared residuals + penalty x change points

    None where there are fewer than `least` values. In n² steps, by the best fit of all
    that come before the last level (Jackson et al., An algorithm for optimal partitioning
    of data on an interval, IEEE SPL 12(2), 2005); PELT (Killick et al., JASA 107, 2012)
    looks for the same one.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    # Of the first n values: what their best fit costs, and where its last level begins.
    costs = np.full(len(sums), np.inf)
    costs[0] = -penalty  # the first level is no change
    begins = np.zeros(len(sums), dtype=int)
    for end in range(least, len(sums)):
        start = np.arange(end - least + 1)
        residuals = squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)
        fits = costs[start] + penalty + residuals
        begins[end] = np.argmin(fits)
        costs[end] = fits[begins[end]]
    found: list[int] = []
    at = int(begins[-1])
    while at:
        found.insert(0, at)
        at = int(begins[at])
    return found
