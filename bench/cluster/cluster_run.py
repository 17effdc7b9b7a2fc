"""A run on a cluster: connect, upload what the blocks need, and ask the hosts for their description."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.cluster.block_files import pack
from jacobench.bench.cluster.cluster_connection import connected
from jacobench.bench.cluster.cluster_passes import ClusterPasses
from jacobench.bench.cluster.host_survey import SurveyJob, examine_host
from jacobench.bench.cluster.hosts import (
    ask_each,
    difference_lines,
    machines_line,
    most_frequent_machine,
    places,
    survey_hosts,
    with_machine,
)
from jacobench.bench.run.code_versions import code_versions
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import absolute, plan
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from jacobench.bench.cluster.hosts import Host
    from jacobench.bench.run.code_versions import CodeVersions
    from jacobench.bench.run.run_folder import RunFolder
    from jacobench.bench.run.run_plan import Plan

WAIT_SECONDS = 1.0  # between looks for a first worker


@dataclass(frozen=True)
class ReadyCluster:
    """A cluster whose hosts can measure the blocks of a run."""

    client: Client
    survey_job: SurveyJob
    code: CodeVersions  # that its files were uploaded with
    hosts: list[Host]
    say: Callable[[str], object]

    def passes(
        self, folder: RunFolder, planned: Plan, report: Callable[[Any], None], deadline: float | None
    ) -> ClusterPasses:
        """Return what measures the passes of a run; see `runner.carry_on`."""
        return ClusterPasses(
            self.client, self.survey_job, self.code, self.hosts, self.say, folder, planned, report, deadline
        )


@contextmanager
def ready_cluster(
    cluster: str | Client, options: RunOptions, say: Callable[[str], object], machine: str = ""
) -> Iterator[ReadyCluster]:
    """Connect to a cluster and prepare its hosts; report those that cannot be used, and differing versions.

    `machine` is the key that ``same_machine`` asks for; default: the most frequent one.

    Raises BadInput if nothing answers, or no host can be used.
    """
    chosen = _only_options(options)
    planned = plan(chosen)
    own = code_versions(planned, chosen.suite)
    with connected(cluster) as client, TemporaryDirectory() as temporary:
        files = _files(chosen, own.files)
        archive = pack(files, Path(temporary))
        if archive:
            _upload(client, archive)
        job = SurveyJob(chosen, archive.name if archive else "", files)
        _await_worker(client, say)
        hosts = _described(client, job, own, say)
        if hosts and options.same_machine:
            hosts = with_machine(hosts, machine or most_frequent_machine(hosts), say)
        elif line := machines_line(hosts):
            say(line)
        if not hosts:
            raise BadInput("no host of the cluster can be used; the lines above have the causes")
        yield ReadyCluster(client, job, own, hosts, say)


def _described(client: Client, job: SurveyJob, own: CodeVersions, say: Callable[[str], object]) -> list[Host]:
    """Return the hosts that can be used, and say how they differ from this machine."""
    hosts = survey_hosts(client, places(client), job, say)
    for line in difference_lines(own, hosts):
        say(line)
    return hosts


def examine_hosts(cluster: str, say: Callable[[str], object]) -> list[dict[str, Any]]:
    """Run the checks of `doctor` on each host of a cluster; raises BadInput if nothing answers.

    Returns for each host its name, machine key, number of dask workers, and findings.
    """
    options = RunOptions("smoke")
    with connected(cluster) as client:
        _await_worker(client, say)
        hosts = _described(client, SurveyJob(options), code_versions(plan(options), options.suite), say)
        workers = {host.place: host.workers[0] for host in hosts}
        answers = ask_each(client, workers, examine_host, None, say)
        return [
            {
                "host": host.name,
                "machine": host.machine,
                "workers": len(host.workers),
                "findings": msgspec.json.decode(answers[host.place]),
            }
            for host in hosts
            if host.place in answers
        ]


def _only_options(options: RunOptions) -> RunOptions:
    """Return the options, which may be those of a run's settings, with absolute paths."""
    return absolute(RunOptions(**{option.name: getattr(options, option.name) for option in fields(RunOptions)}))


def _files(options: RunOptions, of_code: dict[str, str]) -> tuple[str, ...]:
    """Return the files that blocks need: those of the code, and the suite."""
    return tuple(sorted({*of_code, *([options.suite] if options.suite.endswith(".toml") else [])}))


def _upload(client: Client, archive: Path) -> None:
    """Send an archive to all dask workers, also to those that come later."""
    from distributed.diagnostics.plugin import UploadFile  # noqa: PLC0415  (an extra)

    client.register_plugin(UploadFile(str(archive), load=False), name=archive.name)


def _await_worker(client: Client, say: Callable[[str], object]) -> None:
    """Wait for a first dask worker, which may be in the queue of a batch system."""
    waits = False
    while not client.nthreads():
        if not waits:
            say("waiting for the first worker of the cluster; Ctrl-C ends the run")
        waits = True
        time.sleep(WAIT_SECONDS)
