"""All pictures that a table has in it, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.overview import overview
from jacobench.reports.quantities import QUANTITIES
from jacobench.reports.scaling import scaling
from jacobench.reports.sweeps import KNOBS, drawable_sweeps

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plots(table: pd.DataFrame, phase: str = "gradient") -> dict[str, Figure]:
    """Draw everything that a table has in it.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    dict of str to Figure
        ``"cases"`` with every case, then ``"time-vs-width"``, ``"memory-vs-width"`` … for each knob that is swept. Empty if
        no row has the phase.
    """
    rows = table[table["phase"] == phase]
    if rows.empty:
        return {}
    swept = [knob for knob in KNOBS if drawable_sweeps(rows, knob)]
    return {"cases": overview(table, phase)} | {
        f"{quantity.word}-vs-{KNOBS[knob].replace(' ', '-')}": scaling(table, knob, key, phase)
        for knob in swept
        for key, quantity in QUANTITIES.items()
    }
