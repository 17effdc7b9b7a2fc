"""Check a run of the suite smoke: its table as CSV on standard input, its folder as the argument."""

import csv
import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
rows = list(csv.DictReader(sys.stdin))
cells = {(row["case"], row["strategy"], row["phase"]) for row in rows}
cases = {case for case, _, _ in cells}
expected = {(case, "forward", "forward") for case in cases} | {
    (case, strategy, phase)
    for case in cases
    for strategy in ("dense", "sparse", "vjp")
    for phase in ("prepare", "linearize", "pullback", "gradient")
}
assert cases, "no rows"
assert cells == expected, f"cells: {sorted(cells ^ expected)}"
assert len(rows) == len(cells), "a cell has two rows"
assert all(row["status"] == "ok" and float(row["seconds_median"]) > 0 for row in rows), "a cell is not ok"
assert json.loads((folder / "run.json").read_bytes())["benchmarks"], "run.json has no benchmarks"
for name in ("measurements.csv", "journal.jsonl", "plots/cases.png", "plots/cases.svg"):
    assert (folder / name).stat().st_size, f"{name} is empty"
print(f"{len(rows)} rows, all ok")
