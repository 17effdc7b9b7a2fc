"""The public Python API: the commands as functions that take and return DataFrames.

Functions import what they need when they are called, so that a plug-in that uses one strategy loads no plots.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    import pandas as pd
    from distributed import Client
    from matplotlib.figure import Figure

    from jacobench.bench.cluster.cluster_run import ReadyCluster
    from jacobench.bench.run.run_folder import RunFolder
    from jacobench.bench.run.run_options import RunOptions
    from jacobench.graphs.graph import Graph
    from jacobench.reports.analysis.case_advice import CaseAdvice
    from jacobench.reports.data.run_data import Run
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.strategies.contract import Strategy


def run(
    suite: str = "standard",
    *,
    model: str | None = None,
    cluster: str | Client | None = None,
    strategies: Sequence[str] = (),
    cases: Sequence[str] = (),
    passes: int | None = None,
    max_minutes: float | None = None,
    out: str | Path | None = None,
    threads: int = 1,
    memory_budget: str = DEFAULT_BUDGET,
    timeout: float = 60.0,
    controls: str = "tuned",
    same_machine: bool = False,
) -> pd.DataFrame:
    """Measure a suite in fresh processes and write a run's folder. Messages are printed to standard error.

    Parameters
    ----------
    suite, passes, max_minutes, threads, memory_budget, timeout, controls, same_machine
        Options of `jacobench run`; see `jacobench.bench.run.run_options.RunOptions`.
    model : str, optional
        Instead of a suite: an ONNX file, a glob of such files, or ``file.py:factory``, which is executed. A model of torch
        or JAX is also measured in its library's original form.
    cluster : str or distributed.Client, optional
        Cluster of Dask that measures: ``"local:N"``, the address of a scheduler, a scheduler file, ``file.py:function``, or
        a client. A script that starts a local cluster needs ``if __name__ == "__main__":``. Default: this machine.
    strategies : sequence of str
        Names, ``file.py:Class`` or ``package.module:Class``; default: the suite's.
    cases : sequence of str
        Globs of case names. Default: all.
    out : str or Path, optional
        Folder to create. Default: ``runs/<when>-<id>``.

    Returns
    -------
    DataFrame
        The tidy table, one row per case × strategy × phase; see `load`.

    Raises
    ------
    BadInput
        For an unknown suite, strategy or case, a number out of bounds, a folder that cannot be created, or a cluster that
        does not answer.
    Unsupported
        If a model contains what cannot be imported.
    HarnessFailure
        If a worker fails for a reason other than a strategy, or the cluster is lost.
    """
    from jacobench.bench.run.run_folder import check_free
    from jacobench.bench.run.run_options import RunOptions
    from jacobench.bench.run.runner import start
    from jacobench.bench.suites.model_sweep import model_suite

    if model is not None:
        suite = model_suite(model, strategies)
    options = RunOptions(
        suite, tuple(strategies), tuple(cases), passes, max_minutes, threads, memory_budget, timeout, controls,
        None if cluster is None else _spec(cluster), same_machine,
    )  # fmt: skip
    path = None if out is None else Path(out)
    if path is not None:
        check_free(path)  # before the hosts of a cluster describe themselves
    with ready(cluster, options, _say) as hosts:
        folder = start(options, path)
        for note in folder.notes:
            _say(note)
        return finish(folder, lambda _progress: None, _say, hosts=hosts).table


def _spec(cluster: str | Client) -> str:
    """Return the text that names a cluster: of a client, the address of its scheduler."""
    return cluster if isinstance(cluster, str) else str(cluster.scheduler.address)


def ready(
    cluster: str | Client | None,
    options: RunOptions,
    say: Callable[[str], object],
    machine: str = "",
    announce: Callable[[str], object] = lambda _step: None,
) -> AbstractContextManager[ReadyCluster | None]:
    """Connect to a cluster as `cluster_run.ready_cluster`; nothing is done for None."""
    from contextlib import nullcontext

    if cluster is None:
        return nullcontext()
    from jacobench.bench.cluster.cluster_connection import check_installed

    check_installed()
    from jacobench.bench.cluster.cluster_run import ready_cluster

    return ready_cluster(cluster, options, say, machine, announce)


def _say(text: str) -> None:
    """Print a message to standard error; results go to standard output."""
    print(text, file=sys.stderr)  # noqa: T201


def finish(
    folder: RunFolder,
    report: Callable[[Any], None],
    say: Callable[[str], object] = lambda _text: None,
    max_minutes: float | None = None,
    hosts: ReadyCluster | None = None,
) -> Run:
    """Measure the remaining cells of a run, write run.json, plots and measurements.csv, and close the folder.

    `report` is called with the progress whenever it changes, `say` with a message if no plots can be drawn.
    `max_minutes` is that of `carry_on`. `hosts` is the cluster that measures, if not this machine.
    """
    from jacobench.bench.run.passes import Passes
    from jacobench.bench.run.runner import carry_on
    from jacobench.reports.data.run_data import from_document
    from jacobench.reports.render import output_files

    csv = folder.path / "measurements.csv"
    try:
        document, written = carry_on(folder, report, max_minutes, hosts.passes if hosts else Passes)
        found = from_document(document, folder.path / "run.json")
        if written or not csv.exists():
            _draw(found, folder.path / "plots", say)
            output_files.write_csv(found.table, csv)
    finally:
        folder.close()
    return found


def _draw(found: Run, folder: Path, say: Callable[[str], object]) -> None:
    """Write the plots of a run. They are not essential: an error other than of the disk is a message."""
    from jacobench.reports.render import output_files

    try:
        from jacobench.reports.plots.all_plots import all_plots

        output_files.save(all_plots(found).plots, folder)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  (the measurements are complete, whatever fails here)
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"not drawn: {cause}. To try again: jacobench plot {folder.parent}")


def explain(graph: Graph, n_seeds: int = 1, *, wrt: str | Iterable[str] | None = None) -> pd.DataFrame:
    """Predict the cost of every local Jacobian of a graph, dense and sparse, compared with its VJP.

    Parameters
    ----------
    graph : Graph
        Any graph.
    n_seeds : int
        Cotangents that are pulled back at once, 1 or more.
    wrt : {"parameters", "inputs", "all"} or iterable of str, optional
        Leaves to differentiate, by role or name. Default: those of the graph. BadInput if it selects no leaf.

    Returns
    -------
    DataFrame
        One row for each argument of each op that cotangents must reach; for the columns, see
        `jacobench.reports.explain.jacobian_costs.JacobianCost`.

    Examples
    --------
    >>> import jacobench as jb
    >>> graph, _ = jb.mlp([784, 256, 10])
    >>> jb.explain(graph)[["jacobian", "n_entries", "n_nonzeros"]].to_dict("records")[0]
    {'jacobian': '∂affine1/∂W1', 'n_entries': 51380224, 'n_nonzeros': 200704}
    """
    from jacobench.reports.explain.jacobian_costs import jacobian_costs, to_frame

    return to_frame(jacobian_costs(graph if wrt is None else graph.with_wrt(wrt), n_seeds))


def gate(
    against: str | None = None,
    *,
    strategies: Sequence[str] = (),
    pytest: str | Sequence[str] = (),
    cases: Sequence[str] = (),
    base_with: Sequence[str] = (),
    head_with: Sequence[str] = (),
    **more: str | float,
) -> Outcome:
    """Compare the working tree of the project in this folder with a revision, measuring both alternately.

    Parameters
    ----------
    against : str, optional
        A branch, tag or commit of the git repository of this folder. Default: the working tree, as for head.
    strategies : sequence of str
        Names, ``file.py:Class`` or ``package.module:Class``. Default: those that the project registers.
    pytest : str or sequence of str
        Selections of a pytest-benchmark suite, which is then measured instead of strategies. Each is the arguments of a
        pytest session, quoted for a shell, such as ``"benchmarks/ -k sort"``.
    cases : sequence of str
        Names of cases, ids of benchmarks, or globs. Default: all.
    base_with, head_with : sequence of str
        Requirements that are installed for one side only, such as ``"jax==0.4.34"``, a URL or a path.
    **more
        ``suite``, ``install``, ``max_minutes``, ``timeout_seconds``, and with ``pytest`` also ``suite_from``, ``memory``
        and ``out``; see `jacobench.bench.gate.gate_config.GateConfig`.
        Defaults and thresholds come from ``[tool.jacobench.gate]`` in the project's pyproject.toml.

    Returns
    -------
    Outcome
        With ``state``, ``verdicts`` (a DataFrame), ``notes`` and ``exit_code``; see
        `jacobench.reports.regression.outcome.Outcome`.

    Raises
    ------
    BadInput
        For an unknown revision, suite, strategy or case, or a side that cannot be installed.
    HarnessFailure
        If one of the two sides cannot be measured.
    """
    from jacobench import gate_session

    project, config, thresholds = gate_session.load_config(
        {
            "strategies": tuple(strategies),
            "pytest": (pytest,) if isinstance(pytest, str) else tuple(pytest),
            "cases": tuple(cases),
            "base_with": tuple(base_with),
            "head_with": tuple(head_with),
            **more,
        }
    )
    outcome, _ = gate_session.run(
        project, *gate_session.sides_of(against, config), config, thresholds, lambda _text: None
    )
    return outcome


def load(run: str | Path) -> pd.DataFrame:
    """Read the tidy table of a run's folder or run.json; see `jacobench.reports.data.run_data.load`."""
    from jacobench.reports.data import run_data

    return run_data.load(run)


def read(run: str | Path) -> Run:
    """Read a run's folder or run.json. Notebooks display the result. See `jacobench.reports.data.run_data.read`."""
    from dataclasses import replace

    from jacobench.reports.data import run_data

    return replace(run_data.read(run), view=_notebook)


def _notebook(run: Run) -> str:
    from jacobench.reports.page.notebook import notebook

    return notebook(run)


def compare(
    base: Run | str | Path, head: Run | str | Path, *, floor: float = 0.05, across_machines: bool = False
) -> Outcome:
    """Compare two runs or their paths; see `jacobench.reports.regression.two_runs.compare`."""
    from jacobench.reports.data.pytest_benchmark_json import read_any
    from jacobench.reports.regression import two_runs

    both = [read_any(run) if isinstance(run, str | Path) else run for run in (base, head)]
    return two_runs.compare(*both, floor=floor, across_machines=across_machines)


def plot(run: Run | pd.DataFrame, phase: str = "gradient") -> dict[str, Figure]:
    """Draw all plots for which a run, or its table alone, has data; see `jacobench.reports.plots.all_plots.all_figures`."""
    from jacobench.reports.plots.all_plots import all_figures

    return all_figures(run, phase)


def predict(suite: str = "standard", strategies: Sequence[str] = ()) -> pd.DataFrame:
    """Predict bytes and flops of a suite without measuring.

    Parameters
    ----------
    suite : str
        A suite's name, or the path of a TOML file.
    strategies : sequence of str
        Replace the suite's.

    Returns
    -------
    DataFrame
        The tidy table, with status ``not_tried`` in every row. `what_fits` accepts it.

    Raises
    ------
    BadInput
        For an unknown suite or strategy.
    """
    from jacobench.bench.floor.predicted_rows import predicted_rows
    from jacobench.bench.row.columns import tidy
    from jacobench.bench.suites.suite_files import load_suite
    from jacobench.strategies.registry import check

    specs = [check(spec) for spec in strategies]
    return tidy([row for case in load_suite(suite).cases for row in predicted_rows(case, specs)])


def recommend_for(
    *runs: str | Path,
    uses: int = 0,
    memory_budget: str | None = None,
    say: Callable[[str], object] = lambda _text: None,
    **knobs: Any,
) -> CaseAdvice:
    """Recommend a strategy for a network that may not have been measured.

    Parameters
    ----------
    *runs : str or Path
        Runs to use; the run that measured the case, or the nearest one, counts. Default: the newest in ``runs/``. If
        none measured the case or a near one, the time model is used, with the stored profile of this machine. If there
        is none, it is measured now (about 30 s).
    uses : int
        Number of pullbacks per linearization. Default: 0, which compares one gradient.
    memory_budget : str, optional
        Strategies that are predicted to need more are not recommended. Default and maximum: the machine's memory.
    say : callable
        Called with a message about what is used or measured.
    **knobs
        As in a suite file: ``widths=[784, 300, 10]`` or ``name="lenet-300-100"``, ``batch``, ``activation`` …

    Returns
    -------
    CaseAdvice
        Recommendations for time and for memory; see `jacobench.reports.analysis.case_advice.CaseAdvice`.

    Raises
    ------
    BadInput
        If the knobs do not describe one case, or a run cannot be read.
    """
    from jacobench.bench.floor.predicted_rows import one_case
    from jacobench.bench.floor.stored_profile import profile_for
    from jacobench.bench.machine.byte_sizes import parse_bytes
    from jacobench.bench.machine.memory_limits import memory_limit
    from jacobench.bench.suites.case import graph_of
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.analysis.case_advice import advise_from_runs, completed
    from jacobench.reports.data.run_json import newest_run

    case = one_case(knobs)
    if uses and case.task == "jacobian":
        raise BadInput(f"uses is {uses}: expected 0 for the whole Jacobian, which needs no pullback")
    if uses < 0:
        raise BadInput(f"uses is {uses}: expected the number of pullbacks per linearization, or 0 for one gradient")
    budget = min(parse_bytes(memory_budget), memory_limit()) if memory_budget else memory_limit()
    newest = None if runs else newest_run("runs")
    if newest:
        say(f"Using {newest}, the newest run in this folder; choose another with --from.")
    found = [read(run) for run in runs or filter(None, [newest])]
    advice = advise_from_runs(case, found, budget, n_uses=uses)
    if advice is None or not (advice.basis in ("measured", "near") or advice.all_over_budget):
        profile = profile_for(graph_of(case).dtype.name, say=say)
        advice = advise_from_runs(case, found, budget, profile, uses)
        assert advice is not None  # there is a profile
    return completed(advice, knobs)


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
