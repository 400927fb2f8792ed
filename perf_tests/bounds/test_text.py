"""Numbers as text: one table for each function."""

import pytest

from analytic import text

pytestmark = pytest.mark.analytic


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "B", "0 B"),
        (1, "B", "1 B"),
        (999, "B", "999 B"),
        (1000, "B", "1 kB"),
        (532_480, "B", "532.5 kB"),
        (262_144_000, "B", "262.1 MB"),
        (14_288_568_320, "B", "14.29 GB"),
        (2**30, "B", "1.074 GB"),  # GB is 1e9, not 2**30
        (989.4e12, "FLOP/s", "989.4 TFLOP/s"),
        (1.166e17, "FLOP", "116.6 PFLOP"),
        (-1500, "B", "-1.5 kB"),
        (0.25, "FLOP/B", "0.25 FLOP/B"),
    ],
)
def test_scaled(value: float, unit: str, expected: str) -> None:
    assert text.scaled(value, unit) == expected


def test_scaled_to_fewer_digits() -> None:
    assert text.scaled(1.43e10, "FLOP", digits=3) == "14.3 GFLOP"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (0.0, "0.0 ns"),
        (5e-8, "50.0 ns"),
        (1e-6, "1.000 µs"),
        (1.2703e-6, "1.270 µs"),
        (2.5e-4, "250.0 µs"),
        (7.3626e-3, "7.363 ms"),
        (0.1119, "111.9 ms"),
        (1.5, "1.500 s"),
        (123.45, "123.5 s"),
        (-7.3626e-3, "-7.363 ms"),
    ],
)
def test_seconds(value: float | None, expected: str) -> None:
    assert text.seconds(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, "0.00 GiB"), (2**30, "1.00 GiB"), (1e9, "0.93 GiB")])
def test_gib(value: float, expected: str) -> None:
    assert text.gib(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "–"), (0.0, "0.0 %"), (0.8234, "82.3 %"), (1.0, "100.0 %")]
)
def test_percent(value: float | None, expected: str) -> None:
    assert text.percent(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.03, "+3.00 %"), (-0.125, "-12.50 %"), (0.0, "+0.00 %")])
def test_signed_percent(value: float, expected: str) -> None:
    assert text.signed_percent(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(None, "–"), (2.914, "2.91×"), (1.0, "1.00×")])
def test_ratio(value: float | None, expected: str) -> None:
    assert text.ratio(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "–"), (23.456, "23.5"), (999.94, "999.9"), (12_345.6, "12,346")]
)
def test_tokens_per_s(value: float | None, expected: str) -> None:
    assert text.tokens_per_s(value) == expected


@pytest.mark.parametrize(
    ("value", "sd", "expected"),
    [(7.363e-3, None, "7.363 ms"), (7.363e-3, 2.5e-5, "7.363 ms ± 25.000 µs")],
)
def test_spread(value: float, sd: float | None, expected: str) -> None:
    assert text.spread(value, sd) == expected


@pytest.mark.parametrize(
    ("value_s", "half_s", "expected"),
    [
        (0.00802, 0.0000196, "8.020 ± 0.020 ms"),
        (0.00802, None, "8.020 ms"),
        (0.1604, 0.0123, "160.4 ± 12.3 ms"),
        (2.5, 0.0004, "2.500 ± 0.000 s"),
        (3e-6, 1.5e-6, "3.000 ± 1.500 µs"),
        (5e-8, 1e-9, "50.0 ± 1.0 ns"),
        (0.099, 0.2, "99.000 ± 200.000 ms"),
    ],
)
def test_plus_minus(value_s: float, half_s: float | None, expected: str) -> None:
    assert text.plus_minus(value_s, half_s) == expected


@pytest.mark.parametrize(("value", "expected"), [(65.1e12, "65.1"), (989.4e12, "989")])
def test_tera(value: float, expected: str) -> None:
    assert text.tera(value) == expected
