import math

import pytest

from jacobench.reports.data.units import (
    SECONDS,
    format_bytes,
    format_interval,
    format_percent,
    format_ratio,
    format_seconds,
    format_size,
    format_tick,
)


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
        "1000×",
        "56,800×",
        "–",
    ]


def test_every_power_of_two_has_at_most_four_digits():
    for exponent in range(70):
        digits = [c for c in format_bytes(2.0**exponent) if c.isdigit()]
        assert 1 <= len(digits) <= 4


def test_ticks_are_short():
    assert [format_tick(v, SECONDS) for v in (2e-6, 5e-4, 1.0)] == ["2 µs", "500 µs", "1 s"]


def test_ratios_have_no_prefixes_of_units():
    texts = [format_ratio(float(f"1.36e{power}")) for power in range(-3, 12)]
    assert texts[6:10] == ["1360×", "13,600×", "1.36e5×", "1.36e6×"]
    assert not any("k" in text or "M" in text for text in texts)
    assert max(map(len, texts)) <= 8


def test_sizes_have_no_decimal_point_unless_they_need_it():
    sizes = (48.0, 1.0, 4096.0, 1234.5, 0.01, 12.345, math.inf, math.nan)
    assert [format_size(size) for size in sizes] == ["48", "1", "4,096", "1,234", "0.01", "12.3", "any", "–"]


def test_large_percentages_are_ratios():
    assert [format_percent(share) for share in (0.0, 0.256, 1.0, 9.99, 255.966, math.nan)] == [
        "0%", "26%", "100%", "999%", "256×", "–",
    ]  # fmt: skip


def test_an_interval_is_shown_where_there_is_one():
    assert format_interval(2, 1.5, 2.5) == "2.00× [1.50×, 2.50×]"
    assert format_interval(2, math.nan, math.nan) == "2.00×"
    assert format_interval(math.nan, math.nan, math.nan) == ""
