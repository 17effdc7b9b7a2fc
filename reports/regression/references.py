"""Times over what the same process measured beside them: what compares across machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.regression.outcome import BASE, HEAD, ROW
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

FORWARD = "forward"

PROCESS = ("side", "case", "pair", "worker")
"""What tells a process's measurements of a case."""


def over_references(samples: pd.DataFrame, base: Run, head: Run) -> pd.DataFrame:
    """Divide each time by that of vjp in the same phase, by that of the forward pass, and by the floor.

    Parameters
    ----------
    samples : DataFrame
        As `comparison.samples_of` returns them, of both sides.
    base, head : Run
        Whose tables have the floors.

    Returns
    -------
    DataFrame
        The samples once for each reference that they have, ``quantity`` being ``seconds/vjp``, ``seconds/forward`` or
        ``seconds/floor`` and ``seconds`` the quotient. A reference is not divided by itself.
    """
    vjp = samples[samples["strategy"] == REFERENCE]
    forward = samples[samples["strategy"] == FORWARD]
    floors = pd.concat(
        [run.table[[*ROW, "floor_seconds"]].assign(side=side) for side, run in ((BASE, base), (HEAD, head))]
    )
    by_vjp = _divided(samples[~samples["strategy"].isin([REFERENCE, FORWARD])], vjp, [*PROCESS, "phase"], REFERENCE)
    by_forward = _divided(samples[samples["strategy"] != FORWARD], forward, list(PROCESS), FORWARD)
    floors = floors.rename(columns={"floor_seconds": "seconds"})
    by_floor = _divided(samples, floors, ["side", *ROW], "floor")
    return pd.concat([by_vjp, by_forward, by_floor], ignore_index=True)


def _divided(samples: pd.DataFrame, by: pd.DataFrame, on: list[str], name: str) -> pd.DataFrame:
    reference = by[by["seconds"].notna()].drop_duplicates(on)[[*on, "seconds"]].rename(columns={"seconds": "reference"})
    found = samples.merge(reference, on=on)
    return found.assign(seconds=found["seconds"] / found["reference"], quantity=f"seconds/{name}").drop(
        columns="reference"
    )
