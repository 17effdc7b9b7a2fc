"""What a host of a cluster reports before anything is measured on it.

A fresh process describes it, as one measures: a dask worker lives longer than a run, and a process can import only one
version of a user's file.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from dataclasses import replace
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from jacobench.bench.cell.process_limits import die_with_parent
from jacobench.bench.cluster.block_files import on_client, on_host, root_of
from jacobench.bench.machine import machine_record
from jacobench.bench.machine.doctor import examine
from jacobench.bench.machine.environment import settings, variable_facts
from jacobench.bench.machine.memory_limits import memory_limit
from jacobench.bench.machine.worker_process import run_python
from jacobench.bench.run.code_versions import CodeVersions, code_versions, is_installed
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import plan
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from distributed import Worker

SELF = "jacobench.bench.cluster.host_survey"
SURVEY_SECONDS = 120.0

Options = TypeVar("Options", bound=RunOptions)  # alone, or with the other settings of a run


class SurveyJob(msgspec.Struct, frozen=True):
    """What a host must know to describe itself for a run: its options, and the archive with the files."""

    options: RunOptions
    archive: str = ""
    files: tuple[str, ...] = ()
    plugins: dict[str, str] = {}  # strategy of another distribution → what the client has installed for it


class HostFacts(msgspec.Struct, frozen=True):
    """Description of a host, as its workers see it."""

    name: str
    machine: str  # key
    environment: dict[str, str]  # of the measuring processes
    budget_bytes: int  # memory that they may use
    record: dict[str, Any]  # with pytest-benchmark's description
    code: CodeVersions


class Survey(msgspec.Struct, frozen=True):
    """A host's answer: its description, or why it has none."""

    facts: HostFacts | None = None
    error: str = ""


def host_name() -> str:
    """Return the name of this host, with the label of the machine."""
    label = machine_record.label()
    return f"{platform.node()} ({label})" if label else platform.node()


def options_on_host(options: Options, root: str, files: tuple[str, ...]) -> Options:
    """Return options, which may be those of a run's settings, with the paths of this host."""
    return replace(
        options,
        suite=on_host(options.suite, root, files),
        strategies=tuple(on_host(spec, root, files) for spec in options.strategies),
    )


async def survey(content: bytes, dask_worker: Worker) -> bytes:
    """Describe this host: a question to a dask worker, with a `SurveyJob` and a `Survey` as JSON."""
    return await asyncio.to_thread(_survey, content, dask_worker.local_directory)


def _survey(content: bytes, folder: str) -> bytes:
    job = msgspec.json.decode(content, type=SurveyJob)
    try:
        root = root_of(job.archive, folder)
        return run_python("-m", SELF, root, variables=os.environ, job=content, timeout=SURVEY_SECONDS)
    except CalledProcessError as error:
        words = error.stderr.decode(errors="replace").split("\n")
        cause = next((line for line in reversed(words) if line.strip()), f"exit code {error.returncode}")
        return msgspec.json.encode(Survey(error=f"the process that describes it failed: {cause}"))
    except Exception as error:  # noqa: BLE001  (whatever fails on a host, the others are used)
        return msgspec.json.encode(Survey(error=_in_words(error)))


def _in_words(error: BaseException) -> str:
    kind = "" if isinstance(error, BadInput) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())


def describe(job: SurveyJob, root: str) -> HostFacts:
    """Describe this host; `root` is the folder with the files of the run. Raises BadInput if a plug-in is missing."""
    for spec, installed in job.plugins.items():
        if not is_installed(spec):
            raise BadInput(
                f"strategy {spec!r} needs {installed}, which the client has; install it and restart the workers"
            )
    options = options_on_host(job.options, root, job.files)
    environment = settings(options.controls, options.threads)
    machine_info, _ = machine_record.pytest_benchmark_info()
    code = code_versions(plan(options), options.suite)
    return HostFacts(
        name=host_name(),
        machine=machine_record.machine_key(),
        environment=environment,
        budget_bytes=memory_limit(),
        record={
            **machine_record.record(environment),
            "variables": variable_facts(environment, options.controls),
            "machine_info": machine_info,
        },
        code=CodeVersions(
            {on_client(file, root, job.files): digest for file, digest in code.files.items()},
            code.packages,
            code.distributions,
        ),
    )


async def examine_host() -> bytes:
    """Run the checks of `doctor` on this host: a question to a dask worker, with its findings as JSON."""
    return msgspec.json.encode(await asyncio.to_thread(examine))


def main() -> None:
    """Write a `Survey` to standard output; the job is on standard input, its folder is the argument."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user's files print
    job, root = msgspec.json.decode(sys.stdin.buffer.read(), type=SurveyJob), sys.argv[1]
    try:
        found = Survey(describe(job, root))
    except Exception as error:  # noqa: BLE001  (the client reports it)
        found = Survey(error=on_client(_in_words(error), root, job.files))
    with answers:
        answers.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
