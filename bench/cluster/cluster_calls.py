"""Calls of the scheduler and the dask workers of a cluster. All have a limit: what is called may be frozen."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jacobench.bench.machine.worker_process import HarnessFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from distributed import Client

ANSWER_SECONDS = 30.0  # for an answer of the scheduler, or of the event loop of a dask worker
CLOSE_SECONDS = 5.0  # for what is only tidy
SCHEDULER_LOST = "the connection to the scheduler of the cluster was lost"


class SilentScheduler(HarnessFailure):
    """The scheduler is connected, but does not answer."""


def alive_workers(client: Client, seconds: float = ANSWER_SECONDS) -> list[str]:
    """Return the addresses of the dask workers.

    Raises SilentScheduler if the scheduler does not answer in time, another HarnessFailure if it is lost.
    """
    return _workers(client, "ncores", seconds)


def running_workers(client: Client) -> list[str]:
    """Return the addresses of the dask workers that are not paused for lack of memory; raises as `alive_workers`."""
    return _workers(client, "ncores_running", ANSWER_SECONDS)


def _workers(client: Client, question: str, seconds: float) -> list[str]:
    try:
        if client.status == "running":
            return list(client.sync(getattr(client.scheduler, question), callback_timeout=seconds))
    except TimeoutError:
        raise SilentScheduler(f"the scheduler of the cluster did not answer within {seconds:g} s") from None
    except (OSError, RuntimeError, ValueError):
        pass
    raise HarnessFailure(SCHEDULER_LOST)


def ask_workers(
    client: Client,
    question: Callable[..., Any],
    *arguments: Any,
    workers: Iterable[str],
    seconds: float = ANSWER_SECONDS,
) -> dict[str, Any]:
    """Call a function in the event loop of dask workers, all at the same time, whatever tasks they have.

    Returns by address what it has returned or raised, a TimeoutError for a worker that has not answered, and another
    OSError for one that has ended. Raises HarnessFailure if the scheduler is lost.
    """
    addresses = list(workers)

    async def answer(address: str) -> Any:
        try:
            asked = client._run(question, *arguments, workers=[address], on_error="return")  # noqa: SLF001  (`run` has no limit)
            return (await asyncio.wait_for(asked, seconds))[address]
        except TimeoutError:
            return TimeoutError(f"it did not answer within {seconds:g} s")
        except Exception as error:  # noqa: BLE001  (the answer of this worker)
            return error

    async def answers() -> list[Any]:
        return await asyncio.gather(*map(answer, addresses))

    found = dict(zip(addresses, client.sync(answers), strict=True))
    if client.status != "running":
        raise HarnessFailure(SCHEDULER_LOST)
    return found


@contextmanager
def uploaded(client: Client, archive: Path | None) -> Iterator[None]:
    """Send an archive to all dask workers, also to those that come later, until the run ends."""
    if archive is None:
        yield
        return
    from distributed.diagnostics.plugin import UploadFile  # noqa: PLC0415  (an extra)

    name = f"{archive.stem}-{uuid4().hex}"  # of this run: another one may end before it, with the same files
    plugin = UploadFile(str(archive), load=False)
    begin, end = client._register_worker_plugin, client._unregister_worker_plugin  # noqa: SLF001  (others have no limit)
    with suppress(TimeoutError):  # a worker is frozen; the others have it
        client.sync(begin, plugin=plugin, name=name, idempotent=False, callback_timeout=ANSWER_SECONDS)
    try:
        yield
    finally:
        with suppress(Exception):  # the scheduler may be lost
            client.sync(end, name=name, callback_timeout=CLOSE_SECONDS)
