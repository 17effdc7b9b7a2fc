"""Blocks that hosts measure, as tasks of Dask: submits them, receives their messages, and ends them."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from jacobench.bench.cluster.block_task import Unwanted, run_block, running_blocks
from jacobench.bench.cluster.cluster_calls import SilentScheduler, alive_workers, ask_workers
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Future

    from jacobench.bench.cluster.block_task import BlockJob
    from jacobench.bench.cluster.host_schedule import Block
    from jacobench.bench.cluster.hosts import Host

WORKER_GONE = "the dask worker has gone"
RESULT_SECONDS = 10.0  # to wait for the result of an ended task, which a lost dask worker never sends
STOP_SECONDS = 15.0  # to wait until hosts have ended their measuring processes
ASK_SECONDS = 2.0  # for one answer: a worker that ends at the same time gives none


@dataclass
class SubmittedBlock:
    """A block on a host."""

    key: str
    block: Block
    host: Host
    worker: str  # address of the dask worker
    future: Future[Any]
    began: float = field(default_factory=time.monotonic)

    def result(self) -> bytes | None:
        """Return the result; None if there is none, or if its dask worker is lost before it has sent the result."""
        if self.future.status != "finished":
            return None
        try:
            content: bytes = self.future.result(timeout=RESULT_SECONDS)
        except (TimeoutError, CancelledError):
            return None
        return content

    def failure(self) -> tuple[str, bool]:
        """Return why the task has no result, and whether the cause is its host: the task raised an error there."""
        from distributed import KilledWorker  # noqa: PLC0415  (an extra)

        if self.future.status != "error":
            return "its task was cancelled" if self.future.status == "cancelled" else WORKER_GONE, False
        error = self.future.exception()
        if isinstance(error, KilledWorker | Unwanted):
            return WORKER_GONE, False
        kind = "" if isinstance(error, HarnessFailure | BadInput) else f"{type(error).__name__}: "
        return " ".join(f"{kind}{error}".split()), True


@dataclass
class SubmittedBlocks:
    """The blocks that hosts measure at present, and the messages from there."""

    client: Client
    topic: str = field(default_factory=lambda: f"jacobench-{uuid4().hex}")  # of the events that blocks send
    running: dict[str, SubmittedBlock] = field(default_factory=dict)  # by key
    _inbox: Queue[tuple[str, Any]] = field(default_factory=Queue)

    def subscribe(self) -> None:
        """Receive the measurements of blocks when they end."""
        self.client.subscribe_topic(self.topic, self._receive)

    def _receive(self, event: tuple[float, Any]) -> None:
        """Take an event of a block; called in the client's thread."""
        self._inbox.put(("event", event[1]))

    def submit(self, job: BlockJob, block: Block, host: Host) -> None:
        """Submit a block to the first dask worker of a host."""
        worker = host.workers[0]
        future = self.client.submit(
            run_block,
            msgspec.json.encode(job),
            key=job.key,
            workers=[worker],
            allow_other_workers=False,
            pure=False,
        )
        self.running[job.key] = SubmittedBlock(job.key, block, host, worker, future)
        future.add_done_callback(lambda done: self._inbox.put(("done", done.key)))

    def messages(self, seconds: float) -> Iterator[tuple[str, Any]]:
        """Yield the messages that have arrived; wait for the first one.

        They are ("event", key and either execution and line of a measurement, or what its host says) and ("done", key
        of a block).
        """
        with suppress(Empty):
            yield self._inbox.get(timeout=seconds)
            while True:
                yield self._inbox.get_nowait()

    def without(self, alive: set[str]) -> list[SubmittedBlock]:
        """Remove and return the blocks of dask workers that are lost."""
        lost = [each for each in self.running.values() if each.worker not in alive]
        for each in lost:
            del self.running[each.key]
            each.future.cancel(force=True)
        return lost

    def stop(self) -> list[str]:
        """Cancel what is running, and wait until no measuring process is left on any host.

        Returns the dask workers on which one may be left, because they or the scheduler do not answer within a limit.
        If the scheduler is lost, there are none: dask workers end with it, and it forgets the blocks of a lost client.
        """
        left = {each.key: each.worker for each in self.running.values()}
        try:
            self.client.unsubscribe_topic(self.topic)
            self.client.cancel([each.future for each in self.running.values()], force=True)
        except Exception:
            if self.client.status == "running":
                raise
        if self.client.status != "running":
            return []
        until = time.monotonic() + STOP_SECONDS
        while left and (seconds := until - time.monotonic()) > 0:
            try:
                left = self._unfinished(left, min(seconds, ASK_SECONDS))
            except SilentScheduler:
                continue
            except HarnessFailure:
                return []
            time.sleep(0.1)
        return sorted(set(left.values()))

    def _unfinished(self, blocks: dict[str, str], seconds: float) -> dict[str, str]:
        """Return those of some blocks, given with their dask workers, that may still be measured."""
        workers = set(blocks.values()) & set(alive_workers(self.client, seconds))
        answers = ask_workers(self.client, running_blocks, workers=workers, seconds=seconds)
        return {key: worker for key, worker in blocks.items() if worker in workers and _may_run(key, answers[worker])}


def _may_run(key: str, answer: Any) -> bool:
    """Return whether a dask worker may still measure a block: it has said so, or not answered."""
    return isinstance(answer, TimeoutError) or (not isinstance(answer, Exception) and key in answer)
