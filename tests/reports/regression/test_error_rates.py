"""Tables of docs/gate.md: the page has the tables that the script prints."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "gate.md"
ROWS = {
    "Rules on the same samples": 6,
    "The gate, noise by noise": 3,
    "Whole gates": 1,
    "A threshold of 1 %": 1,
    "Two runs, unpaired": 1,
}
ENOUGH = 4  # lines: the noises that follow are made alike


@pytest.mark.long
@pytest.mark.parametrize("title", ROWS)
def test_a_table_has_the_lines_of_the_page(figures, title):
    lines = list(islice(figures.TABLES[title](ROWS[title]), ENOUGH))
    assert {len(line) for line in lines} == {len(lines[0])}
    page = PAGE.read_text("utf-8")
    assert f"| {' | '.join(lines[0])} |\n" in page
    assert all(f"| {line[0]} |" in page for line in lines)


def test_the_halves_of_the_recording_do_not_overlap(figures):
    first, second = figures.recording(0), figures.recording(1)
    assert first.shape == second.shape == (1092, 3, 20)
    whole = np.loadtxt(figures.RECORDING, delimiter=",", skiprows=1).reshape(-1, 3, 20) * 1e-8
    np.testing.assert_allclose(np.concatenate([first, second]), whole)


def test_a_share_of_none_has_a_bound(figures):
    assert figures.share(0, 2000) == "0 of 2,000 (< 0.18%)"
    assert figures.share(1, 2) == "50.0% [1.3%, 98.7%]"
