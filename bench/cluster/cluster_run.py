"""A run on a cluster: connect, upload what the blocks need, and ask the hosts for their description."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.cluster.block_files import pack
from jacobench.bench.cluster.cluster_calls import alive_workers, ask_workers, uploaded
from jacobench.bench.cluster.cluster_connection import PATIENCE_SECONDS, connected
from jacobench.bench.cluster.cluster_passes import ClusterPasses
from jacobench.bench.cluster.host_survey import SURVEY_SECONDS, SurveyJob, examine_host
from jacobench.bench.cluster.hosts import HostFinder, has_answered, machines_line, most_frequent_machine
from jacobench.bench.run.code_versions import code_versions, plugins
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import absolute, plan
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client

    from jacobench.bench.cluster.hosts import Found, Host
    from jacobench.bench.run.run_folder import RunFolder
    from jacobench.bench.run.run_plan import Plan

MOST_CAUSES = 3  # in the line of a run for which no host can be used
WAIT_SECONDS = 1.0  # between looks for a first worker


@dataclass(frozen=True)
class ReadyCluster:
    """A cluster whose hosts can measure the blocks of a run."""

    finder: HostFinder
    hosts: list[Host]
    say: Callable[[str], object]

    def passes(
        self, folder: RunFolder, planned: Plan, report: Callable[[Any], None], deadline: float | None
    ) -> ClusterPasses:
        """Return what measures the passes of a run; see `runner.carry_on`."""
        return ClusterPasses(self.finder, self.hosts, self.say, folder, planned, report, deadline)


@contextmanager
def ready_cluster(
    cluster: str | Client,
    options: RunOptions,
    say: Callable[[str], object],
    machine: str = "",
    announce: Callable[[str], object] = lambda _step: None,
) -> Iterator[ReadyCluster]:
    """Connect to a cluster and prepare its hosts; report those that cannot be used, and differing versions.

    `machine` is the key that ``same_machine`` asks for; default: the most frequent one. `announce` is called with what
    is waited for after `PATIENCE_SECONDS`: an answer of the scheduler, then those of the hosts.

    Raises BadInput if nothing answers, or no host can be used.
    """
    chosen = _only_options(options)
    planned = plan(chosen)
    own = code_versions(planned, chosen.suite)
    began = time.monotonic()
    with ExitStack() as stack:
        client = stack.enter_context(connected(cluster, announce))
        files = _files(chosen, own.files)
        archive = pack(files, Path(stack.enter_context(TemporaryDirectory())))
        stack.enter_context(uploaded(client, archive))
        finder = HostFinder(client, SurveyJob(chosen, archive.name if archive else "", files, plugins(planned)), own)
        found = _find_first(finder, say, announce, began)
        hosts, lines = found.hosts, found.lines
        if hosts and options.same_machine:
            hosts = finder.of_machine(hosts, machine or most_frequent_machine(hosts), lines.append)
        elif line := machines_line(hosts):
            lines.append(line)
        if not hosts:
            raise BadInput(f"no host of the cluster can be used: {_causes(lines)}")
        for line in lines:
            say(line)
        yield ReadyCluster(finder, hosts, say)


def _causes(lines: Sequence[str]) -> str:
    """Return in one line why hosts are not used; of many lines, the first ones."""
    shown = [line.removesuffix(".") for line in lines[:MOST_CAUSES]]
    more = [f"and {len(lines) - MOST_CAUSES} more"] if len(lines) > MOST_CAUSES else []
    return "; ".join(shown + more) or "its workers have ended"


def examine_hosts(
    cluster: str, say: Callable[[str], object], announce: Callable[[str], object] = lambda _step: None
) -> list[dict[str, Any]]:
    """Run the checks of `doctor` on each host of a cluster; raises BadInput if nothing answers.

    Returns for each host its name, machine key, number of dask workers, and findings.
    """
    options = RunOptions("smoke")
    began = time.monotonic()
    with connected(cluster, announce) as client:
        finder = HostFinder(client, SurveyJob(options), code_versions(plan(options), options.suite))
        found = _find_first(finder, say, announce, began)
        hosts = found.hosts
        for line in found.lines:
            say(line)
        asked = [host.workers[0] for host in hosts]
        answers = ask_workers(client, examine_host, workers=asked, seconds=SURVEY_SECONDS)
    return [
        {
            "host": host.name,
            "machine": host.machine,
            "workers": len(host.workers),
            "findings": msgspec.json.decode(answers[worker]),
        }
        for host, worker in zip(hosts, asked, strict=True)
        if has_answered(worker, answers[worker], say)
    ]


def _only_options(options: RunOptions) -> RunOptions:
    """Return the options, which may be those of a run's settings, with absolute paths."""
    return absolute(RunOptions(**{option.name: getattr(options, option.name) for option in fields(RunOptions)}))


def _files(options: RunOptions, of_code: dict[str, str]) -> tuple[str, ...]:
    """Return the files that blocks need: those of the code, and the suite."""
    return tuple(sorted({*of_code, *([options.suite] if options.suite.endswith(".toml") else [])}))


def _find_first(
    finder: HostFinder, say: Callable[[str], object], announce: Callable[[str], object], began: float
) -> Found:
    """Return the hosts of the dask workers that are there, when there is one.

    Announces that they are asked, unless this has ended `PATIENCE_SECONDS` after `began`.
    """
    workers = _first_workers(finder.client, say)
    hosts = "its host" if len(workers) == 1 else "their hosts"
    text = f"asking {counted(len(workers), 'dask worker')} about {hosts}"
    timer = Timer(began + PATIENCE_SECONDS - time.monotonic(), announce, [text])
    timer.daemon = True
    timer.start()
    try:
        return finder.find(workers)
    finally:
        timer.cancel()


def _first_workers(client: Client, say: Callable[[str], object]) -> list[str]:
    """Wait for a first dask worker, which may be in the queue of a batch system; return those that are there then."""
    waits = False
    while not (found := alive_workers(client)):
        if not waits:
            say("waiting for the first worker of the cluster; Ctrl-C ends the run")
        waits = True
        time.sleep(WAIT_SECONDS)
    return found
