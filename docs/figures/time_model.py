"""Print the errors of the time model in finished runs, as a Markdown table.

Usage: python docs/figures/time_model.py RUN…

The runs must have the column predicted_seconds: measure a profile before (jacobench doctor --profile).
"""

from __future__ import annotations

import sys

import pandas as pd

import jacobench as jb
from jacobench.reports.analysis.model_quality import quality


def main(runs: list[str]) -> None:
    """Print the errors of the gradients of all runs together."""
    found = quality(pd.concat([jb.load(run) for run in runs], ignore_index=True))
    print("| strategy | cells | median error | 90 % of the errors are at most | share of errors up to 30 % |")
    print("|---|---|---|---|---|")
    for line in found.itertuples():
        print(
            f"| {line.strategy} | {line.n_cells} | {line.median_error:.0%} | {line.p90_error:.0%} | {line.within:.0%} |"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
