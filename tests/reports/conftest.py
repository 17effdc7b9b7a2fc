"""A synthetic run with known answers: the costs are exact powers of the knobs, so that slopes can be told in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jacobench.bench.row.columns import tidy

if TYPE_CHECKING:
    import pandas as pd

BUDGET = 2 * 2**30
STRATEGIES = ("dense", "sparse", "vjp")


def _case(width: int = 64, depth: int = 3, batch: int = 1, density: float = 1.0, **more: Any) -> dict[str, Any]:
    suffix = "" if density == 1 else f"-density{density:g}"
    return {
        "case": f"mlp-w{width}-d{depth}-b{batch}{suffix}",
        "graph": "mlp",
        "width": width,
        "depth": depth,
        "batch": batch,
        "weight_density": density,
        "n_seeds": 1,
        "activation": "tanh",
        "loss": "mse",
        "residual": False,
        "dtype": "float64",
        "wrt": "parameters",
        "task": "gradient",
        "n_parameters": depth * (width * width * density + width),
    } | more


def _cost(strategy: str, case: dict[str, Any]) -> tuple[float, float, float]:
    """Return bytes, flops and seconds per flop."""
    width, depth, batch = (case[knob] for knob in ("width", "depth", "batch"))
    stored = width**2 * case["weight_density"]
    return {
        "dense": (8.0 * depth * batch**2 * width**3, 2.0 * depth * batch**2 * width**3, 4e-10),
        "sparse": (24.0 * depth * batch * stored, 4.0 * depth * batch * stored, 3e-9),
        "vjp": (8.0 * depth * stored, 4.0 * depth * batch * stored, 5e-10),
    }.get(strategy, (12.0 * depth * stored, 6.0 * depth * batch * stored, 9e-10))


def _cell(case: dict[str, Any], strategy: str, passes: int = 3, noise: float = 0.02) -> dict[str, Any]:
    n_bytes, flops, rate = _cost(strategy, case)
    row = case | {
        "run_id": "2026-11-23T08-30-00-a1b2c3",
        "commit": "0123abc",
        "machine": "AMD EPYC, 2 cores, Linux 6.18",
        "controls": "tuned",
        "suite": "standard",
        "strategy": strategy,
        "phase": "gradient",
        "passes": passes,
        "predicted_bytes": n_bytes,
        "predicted_flops": flops,
    }
    if n_bytes > BUDGET:
        reason = f"predicted {n_bytes / 2**30:.3g} GiB, over the budget of 2 GiB"
        return row | {"status": "over_budget", "reason": reason, "passes": None}
    seconds, reference = flops * rate, _cost("vjp", case)[1] * 5e-10
    row |= {"status": "ok", "rounds": 5 * passes, "seconds_median": seconds, "seconds_min": seconds}
    row |= {"peak_bytes": n_bytes, "retained_bytes": n_bytes / 2, "memory_tool": "memray", "seconds_iqr": 0.0}
    row |= {"ratio_to_vjp": seconds / reference}
    if passes > 1:
        row |= {"seconds_low": seconds * (1 - noise), "seconds_high": seconds * (1 + noise)}
        row |= {"ratio_low": seconds / reference * (1 - noise), "ratio_high": seconds / reference * (1 + noise)}
    return row


@pytest.fixture(scope="session")
def make_case():
    return _case


@pytest.fixture(scope="session")
def make_cell():
    return _cell


@pytest.fixture
def standard() -> pd.DataFrame:
    """Twenty-one cases × three strategies: sweeps over width, depth, batch and density, and two architectures."""
    cases = [_case(width=width) for width in (16, 32, 64, 128, 256)]
    cases += [_case(depth=depth) for depth in (1, 2, 4, 8, 16)]
    cases += [_case(batch=batch) for batch in (2, 4, 8, 16, 32, 64)]
    cases += [_case(width=256, density=density) for density in (0.01, 0.1, 0.5)]
    cases += [
        _case(width=300, batch=32, case="lenet-300-100-b32", graph="lenet-300-100", loss="cross_entropy"),
        _case(
            width=3072, depth=2, case="transformer-ffn-base-b8-float32", graph="transformer-ffn-base", dtype="float32"
        ),
    ]
    rows = [_cell(case, strategy) for case in cases for strategy in STRATEGIES]
    slow = next(row for row in rows if row["case"] == "mlp-w64-d3-b32" and row["strategy"] == "sparse")
    failed = {
        "status": "timeout",
        "reason": "one call took longer than 60 s",
        "seconds_median": None,
        "peak_bytes": None,
    }
    slow |= failed
    return tidy(rows)
