"""The passes of a run on a cluster: submits blocks to hosts, stores what they send, and replaces lost workers.

All files are written here. A block enters the journal when it is complete; until then its measurements are in a file of
the folder ``incomplete``, which nothing reads.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from shlex import join, quote
from shutil import rmtree
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from jacobench.bench.cluster.block_task import BlockJob, BlockResult, block_case
from jacobench.bench.cluster.cluster_calls import SCHEDULER_LOST, alive_workers, running_workers
from jacobench.bench.cluster.host_schedule import Block, HostSchedule
from jacobench.bench.cluster.live_hosts import LiveHosts
from jacobench.bench.cluster.submitted_blocks import WORKER_GONE, SubmittedBlocks
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.machine.machine_record import LABEL
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.bench.run.ledger import Ledger
from jacobench.bench.run.passes import check_code
from jacobench.bench.run.run_folder import INCOMPLETE
from jacobench.graphs.wording import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jacobench.bench.cluster.hosts import Host, HostFinder
    from jacobench.bench.cluster.submitted_blocks import SubmittedBlock
    from jacobench.bench.row.measurement import Measurement
    from jacobench.bench.run.run_folder import RunFolder
    from jacobench.bench.run.run_plan import Plan

ATTEMPTS = 3  # at a block; then its rows are crashed
POLL_SECONDS = 1.0  # between looks at the workers of the cluster
MOST_NAMED = 3  # cases in the line of a run whose machine has no host left
RETURN_SECONDS = 60.0  # to wait for a host when none can continue


@dataclass(frozen=True)
class ClusterProgress:
    """Progress of a run on a cluster."""

    n_hosts: int
    blocks_done: int
    blocks: int  # known so far
    seconds_left: float | None  # of the known blocks or until the limit of further passes; None while it is not known
    n_undecided: int | None = None  # cases; None in the first passes, and if no further ones may begin


def seconds_left(of_blocks: Sequence[float], n_left: int, n_hosts: int) -> float | None:
    """Return the time for the remaining blocks, from that of complete ones; None if there are no hosts, or none is complete."""
    if not of_blocks or not n_hosts:
        return None
    return sum(of_blocks) / len(of_blocks) * math.ceil(n_left / n_hosts)


def ways_on(cases: Sequence[str], labels: Iterable[str]) -> str:
    """Return how cases can be measured if no host of their machines is left; `labels` are those of the machines."""
    variables = sorted({f"{LABEL}={quote(label)}" for label in labels if label})
    with_label = f", and {' or '.join(variables)}" if variables else ""
    options = f" {join(chain(*(('--case', case) for case in cases)))}" if len(cases) <= MOST_NAMED else " --case"
    return (
        f". Start a dask worker on a host with the same processor, cores, memory and system{with_label}. "
        f"Or measure {'it' if len(cases) == 1 else 'them'} in a new run with{options}"
    )


@dataclass
class ClusterPasses:
    """A run under way on a cluster."""

    finder: HostFinder
    hosts: list[Host]  # that are known at the start
    say: Callable[[str], object]
    folder: RunFolder
    plan: Plan
    report: Callable[[ClusterProgress], None]
    deadline: float | None = None  # no further pass begins after it (`time.monotonic`); None: there are none
    measured_seconds: float = 0.0
    _attempts: Counter[tuple[str, int]] = field(default_factory=Counter)  # lost ones, by case and pass
    _lost: dict[str, Block] = field(default_factory=dict)  # by key
    _blocks_done: int = 0  # also those that were given up
    _block_seconds: list[float] = field(default_factory=list)  # of complete blocks
    _idle_since: float | None = None

    def __post_init__(self) -> None:
        settings, measurements = self.folder.settings, self.folder.measurements
        self.ledger = Ledger(self.plan, settings.first_passes, measurements)
        self.schedule = HostSchedule(self.ledger, settings.first_passes, measurements)
        self._hosts = LiveHosts(self.finder, self.say, self.folder)
        self._blocks = SubmittedBlocks(self.finder.client)
        self.incomplete = self.folder.path / INCOMPLETE

    def remains(self) -> bool:
        """Return whether any block remains, or may follow."""
        return self.schedule.n_left > 0 or self.deadline is not None

    def measure(self) -> None:
        """Measure all blocks.

        Raises BadInput if the code is not that of the run, HarnessFailure if the scheduler or all hosts of a case are lost.
        """
        check_code(self.folder, self.finder.code)
        rmtree(self.incomplete, ignore_errors=True)
        self._blocks.subscribe()
        try:
            self._use(self._hosts.add(self.hosts))
            self._loop()
        except KeyboardInterrupt:
            self.say("ending the measuring processes of the hosts")
            raise
        finally:
            for worker in self._blocks.stop():
                self.say(f"dask worker {worker} may still measure, until it and the scheduler answer, or until it ends")
            rmtree(self.incomplete, ignore_errors=True)

    def _loop(self) -> None:
        looked = time.monotonic()
        while True:
            self._submit_all()
            if not self._blocks.running and self._is_over():
                return
            self._handle_messages()
            if time.monotonic() - looked >= POLL_SECONDS:
                self._look_for_hosts()
                looked = time.monotonic()

    # ---- blocks

    def _submit_all(self) -> None:
        """Give each idle host its next block."""
        busy = {running.host.name for running in self._blocks.running.values()}
        for host in self._hosts.by_name.values():
            if host.name in busy or not host.workers:
                continue
            block = self.schedule.next_block(host.name, in_time=self._in_time())
            if block is not None:
                self._submit(host, block)

    def _in_time(self) -> bool:
        """Return whether a further pass may begin."""
        return self.deadline is not None and time.monotonic() < self.deadline

    def _submit(self, host: Host, block: Block) -> None:
        self._idle_since = None
        self._blocks.submit(self._job(host, block), block, host)

    def _job(self, host: Host, block: Block) -> BlockJob:
        settings, planned = self.folder.settings, block.planned
        budget = min(parse_bytes(settings.memory_budget), host.facts.budget_bytes)
        return BlockJob(
            f"jacobench-block-{uuid4().hex}", self._blocks.topic, block_case(self.ledger.cases[block.case], self.ledger.cells_of(block.case)),
            planned.number, planned.turn, planned.repeats,
            replace(
                settings, environment=host.facts.environment, code=host.facts.code, memory_budget=f"{budget}B",
                machines={}, machine_record={}, machine_info={}, commit_info={},
            ),
            str(self.folder.path), tuple(map(_short, self.schedule.earlier(block.case))), self.ledger.names, host.name, host.machine,
            self.finder.job.archive, self.finder.job.files,
        )  # fmt: skip

    def _handle_messages(self) -> None:
        """Handle the messages that have arrived; wait for the first one."""
        for kind, content in self._blocks.messages(POLL_SECONDS / 4):
            if kind == "event":
                self._store(content)
            else:
                self._finish(content)

    def _store(self, event: dict[str, Any]) -> None:
        """Store a measurement of a block that is not complete, or print what its host says."""
        running = self._blocks.running.get(event["key"])
        if "said" in event:
            if running:
                self.say(f"host {running.host.name} {event['said']}")
            return
        if running is None:
            self._discard(event["key"])
            return
        self.incomplete.mkdir(exist_ok=True)
        with (self.incomplete / f"{event['key']}-{event['execution']}.jsonl").open("ab") as file:
            file.write(event["line"] + b"\n")

    def _discard(self, key: str) -> None:
        """Ignore what arrives late: a measurement of a lost attempt."""
        if block := self._lost.pop(key, None):  # one line for each lost attempt
            self.say(f"discarded late measurements of {block.case}, pass {block.planned.number + 1}")

    def _finish(self, key: str) -> None:
        """Take the result of a block: add it to the journal, or measure it again."""
        if self.finder.client.status != "running":
            raise HarnessFailure(SCHEDULER_LOST)
        running = self._blocks.running.pop(key, None)
        if running is None:
            return  # a lost attempt, which was cancelled
        content = running.result()
        if content is None:
            self._fail(running)
        else:
            self._complete(running, msgspec.json.decode(content, type=BlockResult))
        self._remove_files(key)

    def _complete(self, running: SubmittedBlock, result: BlockResult) -> None:
        rows = list(result.measurements)
        self._add(running.block.case, rows)
        self.measured_seconds += result.measured_seconds
        self._blocks_done += 1
        self._block_seconds.append(time.monotonic() - running.began)
        self._report()

    def _add(self, case: str, rows: list[Measurement]) -> None:
        """Add a complete block to the journal, and rows for larger cases that need not be tried after it."""
        self.folder.append(*rows)
        for row in rows:
            self.ledger.note(row)
        self.schedule.note(case, rows)
        for row in rows:
            self._skip_larger(row)

    def _skip_larger(self, row: Measurement) -> None:
        """Skip larger cases, unless they are being measured, or another kind of machine may measure them."""
        running = {each.block.case for each in self._blocks.running.values()}
        for skipped in self.ledger.skipped_by(row):
            if skipped.case not in running and self.schedule.is_for(skipped.case, row.machine):
                found = msgspec.structs.replace(skipped, host=row.host, machine=row.machine)
                self.folder.append(found)
                self.ledger.note(found)
                self.schedule.note(found.case, [found])

    def _remove_files(self, key: str) -> None:
        for path in self.incomplete.glob(f"{key}-*.jsonl"):
            path.unlink(missing_ok=True)

    def _fail(self, running: SubmittedBlock) -> None:
        """Measure a block without a result again: if the cause is its host, on another one, and this is no attempt."""
        cause, of_host = running.failure()
        if of_host:
            self._lost[running.key] = running.block
            self._give_up(running.host, cause)
        else:
            self._lose(running, cause)

    def _lose(self, running: SubmittedBlock, cause: str) -> None:
        """Measure a lost block again, as a whole; after three attempts its rows are crashed."""
        block, host = running.block, running.host
        self._lost[running.key] = block
        place = block.case, block.planned.number
        self._attempts[place] += 1
        is_last = self._attempts[place] >= ATTEMPTS
        then = f"given up after {ATTEMPTS} attempts" if is_last else "it is measured again"
        self.say(f"lost {block.case}, pass {block.planned.number + 1}, on {host.name}: {cause}; {then}")
        if is_last:
            reason = f"its dask worker was lost in {ATTEMPTS} attempts: {cause}"
            self._add(block.case, list(self._crashed(running, reason)))
            self._blocks_done += 1
        elif host.name in self.schedule.lanes:
            self.schedule.again(host.name, block)

    def _crashed(self, running: SubmittedBlock, reason: str) -> Iterable[Measurement]:
        planned, host = running.block.planned, running.host
        for cell in self.ledger.left(planned):
            row = self.ledger.failure(cell, "crashed", reason, planned.number, 0)
            yield msgspec.structs.replace(row, host=host.name, machine=host.machine, repeats=planned.repeats)

    # ---- hosts

    def _look_for_hosts(self) -> None:
        """Note lost and new dask workers. A task that is restricted to a lost worker would wait forever."""
        alive = set(alive_workers(self.finder.client))
        for running in self._blocks.without(alive):
            self._lose(running, WORKER_GONE)
            self._remove_files(running.key)
        joined, left = self._hosts.update(alive, running_workers(self.finder.client))
        self._use(joined)
        for name in left:
            self.schedule.remove_host(name)
        self._report()

    def _give_up(self, host: Host, cause: str) -> None:
        """Use a host no more; other hosts measure its cases. Raises HarnessFailure if it is the last one."""
        self._hosts.give_up(host)
        self.schedule.remove_host(host.name)
        if not self._hosts.by_name:
            raise HarnessFailure(f"host {host.name}: {cause}; no other host is left")
        self.say(f"host {host.name} is no longer used: {cause}")
        self._report()

    def _use(self, hosts: Iterable[Host]) -> None:
        for host in hosts:
            self.schedule.add_host(host.name, host.machine)

    def _is_over(self) -> bool:
        """Return whether nothing remains. Waits for hosts if cases remain that no present host can measure."""
        waiting = self.schedule.waiting()
        if not waiting:
            self._say_what_stays_undecided()
            return True
        now = time.monotonic()
        cases = [case for own in waiting.values() for case in own]
        n_cases = counted(len(cases), "case")
        keys = listed([repr(key) for key in waiting if key])
        needed = f"host with the machine key {keys}" if keys else "host"
        if self._idle_since is None:
            self._idle_since = now
            self.say(f"waiting {RETURN_SECONDS:.0f} s for a {needed}, to measure {n_cases}")
        if now - self._idle_since < RETURN_SECONDS or self._hosts.may_join:
            return False
        labels = [self.folder.settings.machines[key]["label"] for key in waiting if key]
        raise HarnessFailure(
            f"{n_cases} cannot be measured: no {needed} is left{ways_on(cases, labels) if keys else ''}"
        )

    def _say_what_stays_undecided(self) -> None:
        """Say which cases would be measured further if a host of their machine were left."""
        found = self.schedule.undecided_without_host() if self._in_time() else {}
        if found:
            n_cases, keys = sum(found.values()), listed([repr(key) for key in found])
            self.say(
                f"not measured further: {counted(n_cases, 'undecided case')}; no host is left with the machine key {keys}"
            )

    def _report(self) -> None:
        first = self.folder.settings.first_passes
        further = sum(each.block.planned.number >= first for each in self._blocks.running.values())
        left, n_hosts = self.schedule.n_left + further, len(self._hosts.by_name)
        seconds, n_undecided = seconds_left(self._block_seconds, left, n_hosts), None
        if self.deadline is not None and self._in_time():
            n_undecided = None if self.schedule.n_left else self.schedule.n_undecided()
            if seconds is not None or n_undecided is not None:
                seconds = max(seconds or 0.0, self.deadline - time.monotonic())
        self.report(ClusterProgress(n_hosts, self._blocks_done, self._blocks_done + left, seconds, n_undecided))


def _short(measurement: Measurement) -> Measurement:
    """Return what a host must know of an earlier measurement."""
    return msgspec.structs.replace(measurement, seconds=(), traceback="", output="")
