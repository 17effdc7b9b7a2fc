"""Self-test of a gate with the threshold 1 % and twelve rows: how often it finds +2 % within ten minutes, with real processes.

Run it on a machine without other load: python docs/figures/tight_self_test.py [minutes]
"""

from __future__ import annotations

import sys

from jacobench.bench.gate.gate_config import GateConfig
from jacobench.gate_session import self_test
from jacobench.reports.regression.thresholds import GateThresholds, Thresholds

CASES = ("mlp-w16-d2-b1", "mlp-w32-d2-b1", "mlp-w64-d2-b1")
"""With one strategy these are twelve rows, four phases each. Every other gate adds 2 % to one case."""


def main(minutes: float) -> None:
    """Print the counts of a self-test, and the load of the machine."""
    config = GateConfig(strategies=("vjp",), cases=CASES, max_minutes=minutes)
    found = self_test(config, GateThresholds(Thresholds(time=0.01)), print, amounts=(0.02,), gate_minutes=10)
    print(found.to_string(index=False))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
