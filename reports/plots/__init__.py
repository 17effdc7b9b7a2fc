"""Plots: functions from a DataFrame or a run to a figure; `all_plots.PLOTS` lists every kind.

Importing this package imports matplotlib, whatever the user's ``MPLBACKEND`` and matplotlibrc say: figures are written
to files, so they need no backend, and `style.styled` replaces all other settings.
"""

import logging
import os

from jacobench.graphs.errors import BadInput

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its warnings are about settings that are not used

try:
    import matplotlib as mpl
except UnicodeDecodeError as error:
    raise BadInput(
        f"matplotlib cannot read its file matplotlibrc ({error}): save it as UTF-8, or remove it; it is in this folder, "
        "or in ~/.config/matplotlib"
    ) from None
except ValueError:  # the backend in MPLBACKEND is not installed, such as that of a notebook
    os.environ["MPLBACKEND"] = "agg"
    import matplotlib as mpl

__all__ = ["mpl"]
