"""Connections to a cluster of Dask."""

from __future__ import annotations

import importlib.util
import logging
import re
import socket
import warnings
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.cluster.cluster_calls import CLOSE_SECONDS
from jacobench.bench.suites.user_functions import call, load_function
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

CONNECT_SECONDS = 30.0  # Dask's limit for an answer
PATIENCE_SECONDS = 2.0  # before it is announced what is waited for
GRACE_SECONDS = 5.0  # in addition: its limit does not end all of its waits
EXPECTED = "expected local:N, an address such as tcp://host:8786, a scheduler file, or file.py:function"

TLS_VARIABLES = [f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")]

IGNORE_SIGNALS = (
    "import signal; "
    "[signal.signal(getattr(signal, name), signal.SIG_IGN) for name in ('SIGINT', 'SIGHUP') if hasattr(signal, name)]"
)
"""Code for local dask workers: a terminal also sends them these signals, and the client ends them in order."""


class SchedulerFile(msgspec.Struct):
    """What a scheduler file has for clients."""

    address: str


def check_installed() -> None:
    """Raise BadInput if Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise BadInput(
            "--cluster needs dask and distributed, which are not installed: pip install 'jacobench[cluster]'"
        )


@contextmanager
def connected(cluster: str | Client, announce: Callable[[str], object] = lambda _step: None) -> Iterator[Client]:
    """Connect to a cluster, and leave it at the end; what was started for this run is ended.

    `announce` is called if no scheduler has answered within `PATIENCE_SECONDS`.

    Raises BadInput if a specification is invalid, or nothing answers within `CONNECT_SECONDS`.
    """
    check_installed()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # differing versions are reported by host
        stack.enter_context(_silence())
        yield cluster if not isinstance(cluster, str) else stack.enter_context(_client(cluster, announce))


def silence() -> dict[logging.Logger, int]:
    """Keep the library's log from standard error: what a user must know is one line of ours.

    Returns the loggers and the levels that they had.
    """
    import distributed  # noqa: F401, PLC0415  (an extra, which configures its loggers when it is imported)

    libraries = ("distributed", "tornado", "asyncio")
    names = {name for name in logging.root.manager.loggerDict if name.partition(".")[0] in libraries}
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names.union(libraries)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    return levels


@contextmanager
def _silence() -> Iterator[None]:
    levels = silence()
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


@contextmanager
def _client(spec: str, announce: Callable[[str], object]) -> Iterator[Client]:
    with ExitStack() as stack:
        client = _connect(spec, _target(spec, stack), announce)
        stack.callback(_close, client)
        yield client


def _close(client: Client) -> None:
    """Close a client; its scheduler may be lost."""
    with suppress(Exception):
        client.close(timeout=CLOSE_SECONDS)


def _target(spec: str, stack: ExitStack) -> Any:
    """Return what to connect to: an address or a cluster."""
    if spec.startswith("local:"):
        return _local_cluster(spec, stack)
    if "://" in spec:
        return _checked_address(spec, spec)
    place, colon, name = spec.rpartition(":")
    if colon and place.endswith(".py"):
        return _users_cluster(spec, Path(place), name, stack)
    if re.fullmatch(r"[\w.-]+:\d+", spec):
        raise BadInput(f"--cluster {spec!r}: {EXPECTED}; did you mean 'tcp://{spec}'?")
    if not Path(spec).is_file():
        raise BadInput(f"--cluster {spec!r}: there is no such file; {EXPECTED}")
    return _checked_address(spec, _address_in(spec))


def _address_in(spec: str) -> str:
    """Return the address that a scheduler file contains; raises BadInput if it is no such file."""
    try:
        return msgspec.json.decode(Path(spec).read_bytes(), type=SchedulerFile).address
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"--cluster {spec!r}: expected a scheduler file, which names the address: {error}") from None


def _checked_address(spec: str, address: str) -> str:
    """Return the address of a scheduler; raises BadInput if it is none, its host has no address, or TLS is not set up."""
    found = re.fullmatch(r"(?:tcp|tls|ws|wss|ucx)://(?:\[([^\]]+)\]|([^:/]+)):(\d+)", address)
    if not found:
        raise BadInput(f"--cluster {spec!r}: expected an address such as tcp://host:8786 or tls://host:8786")
    try:
        socket.getaddrinfo(found[1] or found[2], int(found[3]))
    except (OSError, UnicodeError, OverflowError) as error:
        raise BadInput(f"--cluster {spec!r}: the host is not found: {error}") from None
    if address.startswith(("tls://", "wss://")):
        _check_certificates(spec)
    return address


def _check_certificates(spec: str) -> None:
    """Raise BadInput if Dask's configuration has no certificates for TLS, or they cannot be read."""
    from distributed.security import Security  # noqa: PLC0415  (an extra)

    try:
        if Security().get_connection_args("client").get("ssl_context"):
            return
        cause = "there are none"
    except (OSError, ValueError) as error:  # also ssl.SSLError
        cause = f"those that are set cannot be used: {error}"
    raise BadInput(
        f"--cluster {spec!r}: TLS needs certificates, and {cause}. Set {listed(TLS_VARIABLES)} to their files"
    )


def _local_cluster(spec: str, stack: ExitStack) -> Any:
    from distributed import LocalCluster  # noqa: PLC0415  (an extra)

    count = spec.removeprefix("local:")
    if not count.isdecimal() or not int(count):
        raise BadInput(f"--cluster {spec!r}: expected local:N with a number N of workers, such as local:2")
    cluster = LocalCluster(
        n_workers=int(count),
        threads_per_worker=1,
        dashboard_address=None,
        silence_logs=logging.CRITICAL + 1,
        preload=[IGNORE_SIGNALS],
    )
    stack.callback(_close_cluster, cluster)
    return cluster


def _close_cluster(cluster: Any) -> None:
    with suppress(Exception):
        cluster.close(timeout=10)


def _users_cluster(spec: str, path: Path, name: str, stack: ExitStack) -> Any:
    made = call(load_function(path, name), f"--cluster {spec!r}", {})
    if not hasattr(made, "scheduler_address") and not hasattr(made, "scheduler"):
        raise BadInput(f"--cluster {spec!r}: expected it to return a cluster of Dask, got {type(made).__name__}")
    if hasattr(made, "close"):
        stack.callback(_close_cluster, made)
    return made


def _connect(spec: str, target: Any, announce: Callable[[str], object]) -> Client:
    from distributed import Client  # noqa: PLC0415  (an extra)

    if isinstance(target, Client):
        return target
    made: Queue[Client | Exception] = Queue()

    def make() -> None:
        try:
            made.put(Client(target, timeout=CONNECT_SECONDS, set_as_default=False))
        except Exception as error:  # noqa: BLE001  (raised below, in the thread that waits)
            made.put(error)

    Thread(target=make, daemon=True).start()
    limit = CONNECT_SECONDS + GRACE_SECONDS
    try:
        found = _first(made, limit, lambda: announce(f"connecting to {spec} (up to {limit:g} s)"))
    except Empty:
        found = TimeoutError(f"connected, but received nothing within {limit:g} s; is it the address of a scheduler?")
    if isinstance(found, (OSError, TimeoutError, ValueError, TypeError, RuntimeError, KeyError)):
        cause = " ".join(str(found).split()) or type(found).__name__
        raise BadInput(f"--cluster {spec!r}: no scheduler answers: {cause}")
    if isinstance(found, Exception):
        raise found
    return found


def _first(answers: Queue[Client | Exception], limit: float, announce: Callable[[], object]) -> Client | Exception:
    """Return the first answer, and announce that it is waited for; raises Empty if there is none within the limit."""
    try:
        return answers.get(timeout=PATIENCE_SECONDS)
    except Empty:
        announce()
    return answers.get(timeout=limit - PATIENCE_SECONDS)
