"""An explanation as a DataFrame."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.explain.jacobian_costs import JacobianCost

if TYPE_CHECKING:
    from jacobench.reports.explain.jacobian_costs import Explanation


def frame(explanation: Explanation) -> pd.DataFrame:
    """Return one row a Jacobian, in the order of the forward pass; its columns are the attributes of `JacobianCost`."""
    columns = [field.name for field in fields(JacobianCost)]
    return pd.DataFrame([asdict(weight) for weight in explanation.weights], columns=columns)
