"""The public Python API: what the command line does, as functions of and to DataFrames.

Each function imports what it needs when it is called: a plug-in that takes one of our strategies loads no plots.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.quantity import DEFAULT_BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from jacobench.bench.folder import RunFolder
    from jacobench.bench.passes import Progress
    from jacobench.reports.runs import Run
    from jacobench.reports.verdicts.outcome import Outcome
    from jacobench.strategies.contract import Strategy


def run(
    suite: str = "standard",
    *,
    out: str | Path | None = None,
    strategies: Sequence[str] = (),
    cases: Sequence[str] = (),
    passes: int = 3,
    threads: int = 1,
    memory_budget: str = DEFAULT_BUDGET,
    timeout: float = 60.0,
    controls: str = "tuned",
) -> pd.DataFrame:
    """Measure a suite in fresh processes and leave a run's folder.

    Parameters
    ----------
    suite : str
        A suite's name, or the path of a TOML file.
    out : str or Path, optional
        The run's folder, which must not be there yet. Default: ``runs/<when>-<id>``.
    strategies : sequence of str
        Names, ``file.py:Class`` or ``package.module:Class``, instead of the suite's.
    cases : sequence of str
        Globs of case names. Default: all.
    passes : int
        Fresh processes for each cell; intervals take at least two.
    threads : int
        For every library alike.
    memory_budget : str
        Strategies predicted to need more are not tried.
    timeout : float
        Seconds for one measurement, all its rounds.
    controls : {"tuned", "asis"}
        Whether threads and malloc are set, or left as found.

    Returns
    -------
    DataFrame
        The tidy table, one row a case × strategy × phase; see `load`.

    Raises
    ------
    BadInput
        For an unknown suite, strategy or case, a number out of bounds, or a folder that cannot be made.
    HarnessFailure
        If a worker fails for no reason of a strategy's.
    """
    from jacobench.bench.plan import Request
    from jacobench.bench.run import start

    request = Request(suite, tuple(strategies), tuple(cases), passes, threads, memory_budget, timeout, controls)
    folder = start(request, Path(out) if out is not None else None)
    return finish(folder, lambda _progress: None)


def finish(folder: RunFolder, report: Callable[[Progress], None]) -> pd.DataFrame:
    """Measure what is left of a run, write its final files, and return its table.

    Parameters
    ----------
    folder : RunFolder
        Open; closed on return.
    report : callable
        Called with the progress whenever it changes.

    Returns
    -------
    DataFrame
        The tidy table.
    """
    from jacobench.bench.run import carry_on
    from jacobench.reports import files, runs
    from jacobench.reports.pictures.album import album

    csv = folder.path / "measurements.csv"  # written last, so that it says that all is there
    try:
        written = carry_on(folder, report)
        found = runs.read(folder.path)
        if written or not csv.exists():
            files.save(album(found).pictures, folder.path / "plots")
            files.write_csv(found.table, csv)
    finally:
        folder.close()
    return found.table


def gate(against: str, *, strategies: Sequence[str] = (), cases: Sequence[str] = (), **more: str | float) -> Outcome:
    """Measure the project in this folder as it stands against a revision of it, in turns, and judge what differs.

    Parameters
    ----------
    against : str
        A branch, tag or commit of the git repository that this folder belongs to.
    strategies : sequence of str
        Names, ``file.py:Class`` or ``package.module:Class``. Default: those that the project registers.
    cases : sequence of str
        Globs of case names. Default: all.
    **more
        ``suite``, ``install``, ``max_minutes``, ``timeout_seconds``: see `jacobench.bench.gate.question.Question`. What is not
        given is as ``[tool.jacobench.gate]`` of the project's pyproject.toml has it, as are the thresholds.

    Returns
    -------
    Outcome
        Its ``state``, ``verdicts`` (a DataFrame), ``notes`` and ``exit_code``; see `jacobench.reports.verdicts.outcome.Outcome`.

    Raises
    ------
    BadInput
        For an unknown revision, suite, strategy or case, or a side that cannot be installed.
    HarnessFailure
        If a side cannot be measured at all.
    """
    from jacobench.gating import asked, gated

    project, question, limits = asked({"strategies": tuple(strategies), "cases": tuple(cases), **more})
    outcome, _ = gated(project, against, question, limits, lambda _text: None)
    return outcome


def load(run: str | Path) -> pd.DataFrame:
    """Read a run's folder, or its run.json, as the tidy table; see `jacobench.reports.runs.load`."""
    from jacobench.reports import runs

    return runs.load(run)


def read(run: str | Path) -> Run:
    """Read all that a run's folder, or its run.json, holds; see `jacobench.reports.runs.read`."""
    from jacobench.reports import runs

    return runs.read(run)


def compare(
    base: Run | str | Path, head: Run | str | Path, *, floor: float = 0.05, across_machines: bool = False
) -> Outcome:
    """Compare two runs, read or by their paths; see `jacobench.reports.verdicts.comparison.compare`."""
    from jacobench.reports.plain import read_any
    from jacobench.reports.verdicts import comparison

    runs = [read_any(run) if isinstance(run, str | Path) else run for run in (base, head)]
    return comparison.compare(*runs, floor=floor, across_machines=across_machines)


def plot(run: Run | pd.DataFrame, phase: str = "gradient") -> dict[str, Figure]:
    """Draw everything that a run, or its table alone, has in it; see `jacobench.reports.pictures.album.plots`."""
    from jacobench.reports.pictures.album import plots

    return plots(run, phase)


def strategy(spec: str) -> Strategy:
    """Return a strategy by its name, ``file.py:Class`` or ``package.module:Class``.

    Examples
    --------
    >>> import numpy as np
    >>> import jacobench as jb
    >>> graph, leaves = jb.mlp([4, 3, 2], batch=5)
    >>> linearized = jb.strategy("vjp").prepare(graph).linearize(leaves)
    >>> grads = linearized.pullback(np.ones((1, *linearized.output.shape)))
    >>> grads["W1"].shape
    (1, 3, 4)
    """
    from jacobench.strategies import registry

    return registry.load(spec)
