"""Side effects of a strategy are noted, and its data are limited."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jacobench.bench.cell import heap_memory
from jacobench.bench.cell.side_effects import LEAK_BYTES, ProcessState, notes

NOTHING = ProcessState(threads=2, children=0)


@pytest.mark.parametrize(
    ("after", "printed", "leaked", "said"),
    [
        (NOTHING, "", None, ""),
        (NOTHING, "", LEAK_BYTES, ""),
        (ProcessState(1, 0), "", 0, ""),
        (ProcessState(3, 0), "", 0, "started 1 thread that it did not end"),
        (ProcessState(4, 2), "", 0, "started 2 threads that it did not end; started 2 processes that it did not end"),
        (NOTHING, "x" * 1234, 0, "printed 1,234 characters"),
        (NOTHING, "", 100_000, "leaks 100,000 bytes per call"),
    ],
)
def test_notes(after, printed, leaked, said):
    assert notes(NOTHING, after, printed, leaked) == said


@pytest.mark.long
def test_a_leak_is_what_is_held_without_the_result():
    kept = []
    assert heap_memory.leaked_bytes(lambda: bytearray(10**6)) < LEAK_BYTES
    assert heap_memory.leaked_bytes(lambda: kept.append(bytearray(10**6))) == pytest.approx(10**6, rel=0.05)


def test_what_one_call_allocates_and_keeps_is_no_leak():
    kept = []

    def first_call_only():
        if not kept:
            kept.append(bytearray(10**6))

    assert heap_memory.leaked_bytes(first_call_only) < LEAK_BYTES


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="there is no such limit")
def test_data_are_limited_to_the_budget_and_the_slack_above_the_footprint():
    code = """
import numpy as np
from jacobench.bench.cell.process_limits import SLACK, limit_data
held = np.ones(2**27)  # 1 GiB of footprint is not counted
limit_data(2**28)
np.ones((2**28 + SLACK) // 10)  # a tenth of the entries that would fill it
try:
    np.ones((2**28 + 2 * SLACK) // 8)
except MemoryError:
    print("refused")
limit_data(None)
np.ones((2**28 + 2 * SLACK) // 8)
print("lifted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused", "lifted"]
