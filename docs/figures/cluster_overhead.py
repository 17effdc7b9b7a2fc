"""Overhead of runs on a cluster: blocks that measure nothing, and a simulation of many hosts.

python docs/figures/cluster_overhead.py            10,000 cells in empty blocks on local:2, up to the table (without plots)
python docs/figures/cluster_overhead.py simulate   1,000,000 cells on 1,000 invented hosts, without Dask
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil

from jacobench import api
from jacobench.bench.cluster import submitted_blocks
from jacobench.bench.cluster.block_task import BlockJob, BlockResult
from jacobench.bench.cluster.host_schedule import HostSchedule
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run import run_folder
from jacobench.bench.run.ledger import Ledger
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import plan
from jacobench.bench.run.runner import carry_on, start
from jacobench.reports.data.run_data import from_document

SWEEP = """\
[[sweep]]
graph = "mlp"
width = {widths}
depth = {depths}
batch = {batches}
strategies = ["vjp", "dense", "sparse"]
"""


def sweep(*counts: int) -> str:
    """Return the text of a suite with so many widths, depths and batches; 13 cells per case."""
    widths, depths, batches = (list(range(1, count + 1)) for count in counts)
    return SWEEP.format(widths=widths, depths=depths, batches=batches)


def empty_block(content: bytes) -> bytes:
    """Return a block whose cells take a microsecond each."""
    job = msgspec.json.decode(content, type=BlockJob)
    found = [
        Measurement(
            *(job.case.name, strategy, phase, strategy, job.pass_number),
            seconds=(1e-6,) * 20, host=job.host, machine=job.machine,
        )
        for strategy, phase in job.case.cells
    ]  # fmt: skip
    return msgspec.json.encode(BlockResult(0.0, found))


def empty_blocks() -> None:
    """Plan, submit and collect empty blocks on two local workers."""
    began = time.perf_counter()
    submitted_blocks.run_block = empty_block
    options = RunOptions(sweep(11, 7, 10), passes=1, cluster="local:2")
    with TemporaryDirectory() as temporary, api.ready("local:2", options, print) as hosts:
        ready = time.perf_counter()
        folder = start(options, Path(temporary) / "run")
        document, _ = carry_on(folder, lambda _progress: None, passes=hosts.passes)
        table = from_document(document, folder.path).table
        ended = time.perf_counter()
        folder.close()
    n_cells = len(table)
    print(f"{n_cells} cells, {table['case'].nunique()} blocks")
    print(f"cluster and survey: {ready - began:.1f} s; plan, blocks, journal, table: {ended - ready:.1f} s")
    print(f"overhead per cell: {1e3 * (ended - ready) / n_cells:.2f} ms")


def simulate(n_hosts: int = 1000) -> None:
    """Plan a run of a million cells, and schedule, note and store its blocks on invented hosts."""
    memory = psutil.Process().memory_info
    clock, before = time.perf_counter(), memory().rss
    planned = plan(RunOptions(sweep(40, 20, 97)))
    print(f"plan: {len(planned.cells):,} cells, {time.perf_counter() - clock:.1f} s")
    cells = defaultdict(list)
    for cell in planned.cells:
        cells[cell.case].append(cell)
    with TemporaryDirectory() as temporary:
        options = RunOptions(sweep(1, 1, 1), passes=1)
        folder = start(options, Path(temporary) / "run")
        clock = time.perf_counter()
        ledger = Ledger(planned, 1)
        schedule = HostSchedule(ledger, 1, [])
        for number in range(n_hosts):
            schedule.add_host(f"node{number}", "machine")
        most_running = n_blocks = 0
        hosts = [f"node{number}" for number in range(n_hosts)]
        while True:
            blocks = [(host, block) for host in hosts if (block := schedule.next_block(host, in_time=False))]
            if not blocks:
                break
            most_running = max(most_running, len(blocks))
            for host, block in blocks:
                rows = [
                    Measurement(
                        *(cell.case, cell.strategy, cell.phase, cell.strategy),
                        seconds=(1e-6,) * 20, host=host, machine="machine",
                    )
                    for cell in cells[block.case]
                ]  # fmt: skip
                for row in rows:
                    ledger.note(row)
                schedule.note(block.case, rows)
                folder.append(*rows)
                n_blocks += 1
        seconds, n_cells = time.perf_counter() - clock, len(planned.cells)
        print(f"schedule, note and store: {seconds:.0f} s, {1e3 * seconds / n_cells:.3f} ms per cell")
        print(f"{n_blocks:,} blocks; at most {most_running:,} tasks at a time")
        print(
            f"memory of the client: {(memory().rss - before) / 2**20:,.0f} MiB, {(memory().rss - before) / n_cells:,.0f} B per cell"
        )
        journal = folder.path / run_folder.JOURNAL
        print(f"journal: {journal.stat().st_size / 2**20:,.0f} MiB, {journal.stat().st_size / n_cells:,.0f} B per cell")
        folder.close()
        clock = time.perf_counter()
        loaded = run_folder.resume(folder.path)
        print(f"load the journal: {len(loaded.measurements):,} measurements in {time.perf_counter() - clock:.1f} s")
        loaded.close()


if __name__ == "__main__":
    simulate() if "simulate" in sys.argv[1:] else empty_blocks()
