"""What a host of a cluster reports before anything is measured on it."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from jacobench.bench.cluster.block_files import on_client, on_host, unpack
from jacobench.bench.machine import machine_record
from jacobench.bench.machine.doctor import examine
from jacobench.bench.machine.environment import settings, variable_facts
from jacobench.bench.machine.memory_limits import memory_limit
from jacobench.bench.run.code_versions import CodeVersions, code_versions
from jacobench.bench.run.run_options import RunOptions  # noqa: TC001  (msgspec reads annotations)
from jacobench.bench.run.run_plan import plan


class SurveyJob(msgspec.Struct, frozen=True):
    """What a host must know to describe itself for a run: its options, and the archive with the files."""

    options: RunOptions
    archive: str = ""
    files: tuple[str, ...] = ()


class HostFacts(msgspec.Struct, frozen=True):
    """Description of a host, as its workers see it."""

    name: str
    machine: str  # key
    environment: dict[str, str]  # of the measuring processes
    budget_bytes: int  # memory that they may use
    record: dict[str, Any]  # with pytest-benchmark's description
    code: CodeVersions


def host_name() -> str:
    """Return the name of this host, with the label of the machine."""
    label = machine_record.label()
    return f"{platform.node()} ({label})" if label else platform.node()


def root_of(archive: str) -> str:
    """Return the folder with the files of a run; its archive was uploaded to this worker."""
    from distributed import get_worker  # noqa: PLC0415  (an extra)

    return unpack(Path(get_worker().local_directory) / archive) if archive else ""


def options_on_host(options: RunOptions, root: str, files: tuple[str, ...]) -> RunOptions:
    """Return options with the paths of this host."""
    return replace(
        options,
        suite=on_host(options.suite, root, files),
        strategies=tuple(on_host(spec, root, files) for spec in options.strategies),
    )


def survey(content: bytes) -> bytes:
    """Describe this host: a task of Dask, with a `SurveyJob` and `HostFacts` as JSON."""
    job = msgspec.json.decode(content, type=SurveyJob)
    root = root_of(job.archive)
    options = options_on_host(job.options, root, job.files)
    environment = settings(options.controls, options.threads)
    machine_info, _ = machine_record.pytest_benchmark_info()
    code = code_versions(plan(options), options.suite)
    found = HostFacts(
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
    return msgspec.json.encode(found)


def examine_host(_content: bytes) -> bytes:
    """Run the checks of `doctor` on this host: a task of Dask, with its findings as JSON."""
    return msgspec.json.encode(examine())
