"""docs/ops.md is generated from the table of ops and up to date."""

import subprocess
import sys
from pathlib import Path

from jacobench.graphs.ops import OPS

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_what_its_script_prints():
    command = [sys.executable, DOCS / "figures" / "ops.py"]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()
    assert (DOCS / "ops.md").read_text("utf-8") == printed, "python docs/figures/ops.py > docs/ops.md"
    assert all(printed.count(f"| `{name}` |") == 2 for name in OPS)
