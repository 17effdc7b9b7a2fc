"""Seconds that large suites take before their first measurement: a dry run, and the start of a run on this machine.

python docs/figures/large_suites.py [REPETITIONS]      by default 3; prints the smallest time of each
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster_overhead import sweep

RUN = (sys.executable, "-m", "jacobench", "run", "--suite")
SMALL, CASES, CELLS = sweep(1, 1, 1), sweep(30, 4, 25), sweep(40, 4, 50)


def dry_run(suite: Path) -> float:
    """Return the seconds of a dry run of a suite."""
    started = time.perf_counter()
    subprocess.run([*RUN, str(suite), "--dry-run"], check=True, capture_output=True)
    return time.perf_counter() - started


def first_measurement(suite: Path, folder: Path) -> float:
    """Return the seconds from the start of a run until its journal contains a measurement; the run is then ended."""
    journal, started = folder / "journal.jsonl", time.perf_counter()
    with subprocess.Popen([*RUN, str(suite), "--quiet", "--out", str(folder)]) as run:
        while run.poll() is None and not (journal.exists() and journal.stat().st_size):
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        run.kill()
    return seconds


def main(repetitions: int) -> None:
    """Measure and print."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        small, cases, cells = (folder / name for name in ("small.toml", "cases.toml", "cells.toml"))
        small.write_text(SMALL)
        cases.write_text(CASES)
        cells.write_text(CELLS)
        dry_run(small)  # measures the profile of this machine, if there is none yet
        starts = [first_measurement(cases, folder / str(number)) for number in range(repetitions)]
        print(f"first measurement of 3,000 cases: {min(starts):.1f} s")
        print(f"dry run of 104,000 cells: {min(dry_run(cells) for _ in range(repetitions)):.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
