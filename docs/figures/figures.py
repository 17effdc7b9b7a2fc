"""Print the numbers of docs/performance.md from runs: python docs/figures/figures.py RUN [RUN …].

With --load first: the time to load and tabulate 10,000 rows, which repeat those of the run.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import jacobench as jb
from jacobench.graphs.architectures import ARCHITECTURES
from jacobench.reports.render.run_table import terminal_table

DEFAULT_STRATEGIES = ("vjp", "dense", "sparse")
GRADIENTS = ("jax-vjp", "torch-vjp", "autograd-vjp")
WHOLE = ("jax-jacrev", "torch-jacrev", "asdex")
"""Peers that compute whole Jacobians."""

ROWS = 10_000

LONG_SECONDS = 1e-3
"""Shortest time of a case that is compared with its floor."""


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean; NaN without values."""
    return float(np.exp(np.log(values.astype(float)).mean()))


def wide(table: pd.DataFrame, column: str, phase: str) -> pd.DataFrame:
    """Return one row per case, one column per strategy."""
    chosen = table[table["phase"].eq(phase) & table["status"].eq("ok")]
    return chosen.pivot_table(index="case", columns="strategy", values=column).astype(float)


def efficiencies(table: pd.DataFrame) -> pd.DataFrame:
    """Return the efficiency of gradients of at least 1 ms, per strategy."""
    rows = []
    for strategy in DEFAULT_STRATEGIES:
        of = table[table["strategy"].eq(strategy) & table["phase"].eq("gradient")].dropna(subset="efficiency")
        of = of[of["seconds_median"] >= LONG_SECONDS].sort_values("efficiency")
        if len(of):
            mean, lowest, highest = geometric_mean(of["efficiency"]), of.iloc[0], of.iloc[-1]
            rows.append(
                {
                    "strategy": strategy,
                    "cases": len(of),
                    "efficiency": f"{mean:.2f}",
                    "over its floor": f"{1 / mean:.2f}",
                    "worst": f"{1 / lowest['efficiency']:.2f} ({lowest['case']})",
                    "highest efficiency": f"{highest['efficiency']:.2f} ({highest['case']})",
                }
            )
    return pd.DataFrame(rows)


def above(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose floor is more than 5 % above the time."""
    chosen = table[table["efficiency"] > 1.05]
    return chosen[["case", "strategy", "phase", "seconds_median", "floor_seconds", "efficiency"]]


def gradients(table: pd.DataFrame) -> pd.DataFrame:
    """Return `vjp` and the fastest peer, one row per case with one seed."""
    seconds = wide(table[table["n_seeds"].eq(1)], "seconds_median", "gradient")
    peers = seconds[[name for name in GRADIENTS if name in seconds]].dropna(how="all")
    return _beside(seconds.loc[peers.index, "vjp"], peers, "vjp").sort_index()


def whole_jacobians(table: pd.DataFrame) -> pd.DataFrame:
    """Return the fastest and smallest built-in and peer strategies, one row per whole Jacobian."""
    of = table[table["task"].eq("jacobian")]
    parts = {}
    for column in ("seconds_median", "peak_bytes"):
        known = wide(of, column, "jacobian")
        parts[column] = (
            known[[name for name in DEFAULT_STRATEGIES if name in known]].min(axis=1),
            known[[name for name in WHOLE if name in known]].dropna(how="all"),
        )
    ours, peers = parts["seconds_median"]
    found = _beside(ours.loc[peers.index], peers, "ours")
    our_bytes, peer_bytes = parts["peak_bytes"]
    found["peak MiB, ours"] = our_bytes / 2**20
    found["least peer"] = peer_bytes.min(axis=1) / 2**20
    known = of.drop_duplicates("case").set_index("case").loc[found.index]
    found["vjp's floor, µs"] = 1e6 * wide(of, "floor_seconds", "jacobian")["vjp"]
    found["ours / floor"] = found["ours, µs"] / found["vjp's floor, µs"]
    found["batch"], found["width"] = known["batch"], known["width"].astype(int)
    return found.sort_values(["batch", "width"])


def _beside(ours: pd.Series, peers: pd.DataFrame, name: str) -> pd.DataFrame:
    fastest = peers.min(axis=1)
    return pd.DataFrame(
        {
            f"{name}, µs": 1e6 * ours,
            "fastest peer, µs": 1e6 * fastest,
            "which": peers.idxmin(axis=1),
            f"peer / {name}": fastest / ours,
        }
    )


def load_seconds(folder: str) -> tuple[float, float]:
    """Return the shortest of three times to load, and to tabulate, 10,000 rows."""
    document = json.loads((Path(folder) / "run.json").read_text())
    timed = document["benchmarks"]
    document["benchmarks"] = [
        {**timed[k % len(timed)], "extra_info": {**row, "case": f"{row['case']}-{k // len(timed)}"}}
        for k in range(ROWS - len(document["jacobench"]["untimed"]))
        for row in (timed[k % len(timed)]["extra_info"],)
    ]
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "run.json"
        path.write_text(json.dumps(document))
        found = []
        for _ in range(3):
            start = time.perf_counter()
            run = jb.read(path)
            loaded = time.perf_counter()
            terminal_table(run, "gradient")
            found.append((loaded - start, time.perf_counter() - loaded))
        print(f"{len(run.table)} rows, {path.stat().st_size / 2**20:.0f} MiB")
    return min(load for load, _ in found), min(tabulate for _, tabulate in found)


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table as text unless it is empty."""
    if len(table):
        print(f"\n{title}\n{table.to_string(float_format='{:.4g}'.format)}")


def main(folders: list[str]) -> None:
    """Print all numbers that the runs contain."""
    if folders[:1] == ["--load"]:
        print("load {:.2f} s, tabulate {:.2f} s".format(*load_seconds(folders[1])))
        return
    for folder in folders:
        table = jb.load(folder)
        print(f"\n== {folder}: {len(table)} rows, {table['passes'].max()} passes, controls {table['controls'].iloc[0]}")
        show("Gradients of at least 1 ms against their floors", efficiencies(table))
        show("Floors above the time", above(table))
        if table["strategy"].isin(GRADIENTS).any():
            found = gradients(table)
            show("A gradient beside the fastest peer", found)
            published = found.index.isin(table[table["graph"].isin(ARCHITECTURES)]["case"])
            print(f"geometric mean over the architectures: {geometric_mean(found.loc[published, 'peer / vjp']):.2f}")
        if table["strategy"].isin(WHOLE).any():
            found = whole_jacobians(table)
            show("Whole Jacobians beside the fastest peer", found)
            for batch, rows in found[found["width"] <= 100].groupby("batch"):
                print(f"geometric mean at batch {batch}: {geometric_mean(rows['peer / ours']):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
