import math

import pytest

from jacobench.reports.data.units import SECONDS, format_bytes, format_ratio, format_seconds, format_tick


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1.5e-10, "0.150 ns"),
        (12e-9, "12.0 ns"),
        (9.996e-7, "1.00 µs"),  # rounded up into the next unit, not "1000 ns"
        (9.994e-4, "999 µs"),
        (1.0, "1.00 s"),
        (12345.6, "12,300 s"),
        (math.nan, "–"),
        (math.inf, "∞"),
    ],
)
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (7, "7 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1010 * 1024, "1010 KiB"),
        (1023.6 * 1024, "1.00 MiB"),
        (27.1 * 2**30, "27.1 GiB"),
        (3 * 2**40, "3.00 TiB"),
        (3 * 2**50, "3.00 PiB"),
        (3 * 2**60, "3.00 EiB"),
        (math.nan, "–"),
    ],
)
def test_bytes(n_bytes, text):
    assert format_bytes(n_bytes) == text


def test_ratios():
    assert [format_ratio(r) for r in (0.0123, 1, 999.6, 56_789, math.nan)] == [
        "0.0123×",
        "1.00×",
        "1.00k×",
        "56.8k×",
        "–",
    ]


def test_every_power_of_two_has_at_most_four_digits():
    for exponent in range(70):
        digits = [c for c in format_bytes(2.0**exponent) if c.isdigit()]
        assert 1 <= len(digits) <= 4


def test_ticks_are_short():
    assert [format_tick(v, SECONDS) for v in (2e-6, 5e-4, 1.0)] == ["2 µs", "500 µs", "1 s"]
