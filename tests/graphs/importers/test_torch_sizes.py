"""Import of large models: the conversion adds little time and memory to torch's own export."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.models, pytest.mark.long]

SCRIPT = Path(__file__).with_name("import_large_model.py")


@pytest.mark.parametrize(("model", "batch"), [("resnet50", 1), ("resnet50", 32), ("gpt2_block", 1)])
def test_a_large_model_is_imported(model, batch):
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), model, str(batch)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["added_bytes"] <= 2**29
    assert found["n_parameters"] == {"resnet50": 25_557_032, "gpt2_block": 7_087_872}[model]
    assert found["relative_error"] <= 1e-4
