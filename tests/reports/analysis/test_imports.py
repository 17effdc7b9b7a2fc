"""Analysis and the terminal table work without a plotting library, which takes half a second to import."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import jacobench.reports.analysis

SOURCES = sorted(Path(jacobench.reports.analysis.__file__).parent.glob("*.py"))

ANALYSIS = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module("jacobench.reports.analysis." + name)
import pandas as pd
from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.growth import growth
from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.analysis.reuse import reuse
rows, passes = [], []
for width in (16, 32, 64):
    for strategy in ("dense", "vjp"):
        cell = {"case": f"c{width}", "strategy": strategy, "phase": "gradient", "status": "ok"}
        rows.append(cell | {"width": width, "seconds_median": 1e-9 * width**2, "peak_bytes": 8.0 * width**3})
        passes += [cell | {"pass": number, "worker": 0, "seconds": 1e-9 * width**2} for number in range(3)]
table, passes = tidy(rows), pd.DataFrame(passes)
for analysis in (recommend, crossovers, growth):
    assert len(analysis(table, passes))
reuse(passes)
"""

LOADED = """
print([name for name in sys.modules if name.split(".")[0] == "matplotlib" or name.startswith("pandas.plotting._matplotlib")])
"""


def fresh(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_analysis_does_not_load_matplotlib():
    assert fresh(ANALYSIS + LOADED, *(path.stem for path in SOURCES if path.stem != "__init__"))[-1] == "[]"


def test_the_command_table_does_not_load_matplotlib(tmp_path, make_case, make_cell):
    rows = [make_cell(make_case(width=16), strategy) | {"position": at} for at, strategy in enumerate(("dense", "vjp"))]
    timed = [{"name": row["case"], "extra_info": row, "stats": {}} for row in rows]
    document = {"machine_info": {}, "benchmarks": timed, "jacobench": {"schema": 1, "untimed": [], "threads": 1}}
    (tmp_path / "run.json").write_text(json.dumps(document))
    command = "import sys; from jacobench.__main__ import main; sys.argv = ['jacobench', 'table', sys.argv[1]]; main()"
    printed = fresh(command + LOADED, str(tmp_path))
    assert any(line.startswith("mlp-w16-d3-b1") for line in printed)
    assert printed[-1] == "[]"


def test_analysis_does_not_use_the_plotting_accessor():
    used = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"plot", "hist", "boxplot", "plotting"}
    ]
    assert not used
