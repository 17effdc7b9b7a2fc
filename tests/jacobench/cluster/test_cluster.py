"""Runs on a cluster: rows, machines, messages, and clusters that cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

import jacobench as jb

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]


def test_a_local_cluster_and_a_scheduler_in_another_process_give_the_rows_of_a_local_run(
    folder, cluster, jacobench, runs
):
    cluster.start_worker("--no-nanny")
    cluster.start_worker("--nanny", "--nworkers", "2")
    common = ("run", "--suite", "smoke", "--passes", 1, "--quiet")
    for name, options in {
        "here": (), "local": ("--cluster", "local:2"), "far": ("--cluster", cluster.address)
    }.items():  # fmt: skip
        done = jacobench(*common, *options, "--out", name, cwd=folder, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    here = jb.load(folder / "here")
    for name in ("local", "far"):
        assert runs.rows(name) == runs.rows("here")
        found = jb.load(folder / name)
        assert list(found["status"]) == list(here["status"])
        assert list(found["ratio_to_vjp"].notna()) == list(here["ratio_to_vjp"].notna())
        assert set(found["machine"]) == set(here["machine"])
        assert {line["host"] for line in runs.journal(name)} == {os.uname().nodename}
        assert {path.name for path in (folder / name).iterdir()} == {path.name for path in (folder / "here").iterdir()}


def test_machines_and_versions_that_differ_are_kept_apart_and_reported(folder, cluster, runs):
    info = folder / "other" / "scipy-0.0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0.1\n")
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="fast")
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="slow", PYTHONPATH=str(info.parent))
    cluster.wait_for_workers(2)
    said = runs.complete(cluster=cluster.address, passes=2, out="both")
    (line,) = [line for line in said.splitlines() if "scipy 0.0.1 instead of" in line]
    assert "(slow)" in line
    found = jb.load(folder / "both")
    assert set(found["status"]) == {"ok"}
    assert set(found.groupby("case")["machine"].nunique()) == {1}, "a case is measured on one machine"
    assert sorted(key.rpartition(", ")[2].partition(" ")[0] for key in found["machine"].unique()) == ["fast", "slow"]
    hosts = {line["host"] for line in runs.journal("both")}
    assert {host.partition(" ")[2] for host in hosts} == {"(fast)", "(slow)"}
    said = runs.complete(cluster=cluster.address, out="one", more=("--same-machine",))
    assert jb.load(folder / "one")["machine"].nunique() == 1
    assert "is not used: its machine is" in said


def test_a_strategy_that_crashes_and_imports_from_its_folder_is_a_row(folder, cluster, runs):
    cluster.start_worker("--no-nanny")
    runs.complete("vjp", "crashes.py:Crashes", "dense", cluster=cluster.address, passes=2)
    status = jb.load(folder / "run").groupby("strategy")["status"].unique().map(set).to_dict()
    assert status == {"forward": {"ok"}, "vjp": {"ok"}, "dense": {"ok"}, "crashes": {"crashed"}}
    table = jb.load(folder / "run")
    assert table.loc[table["strategy"] == "dense", "ratio_to_vjp"].notna().all()
    assert {line["spec"] for line in runs.journal()} >= {str(folder / "crashes.py:Crashes")}


MAKES = """
from distributed import LocalCluster


def make_cluster():
    return LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
"""

USES_CLIENT = """
import sys

import jacobench as jb
from distributed import Client

if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        table = jb.run("suite.toml", cluster=client, passes=1, out="client")
    assert set(table["status"]) == {"ok"}, table["status"]
"""


def test_a_function_that_makes_a_cluster_and_a_client_in_python_can_be_used(folder, cluster, runs):
    (folder / "mine.py").write_text(MAKES)
    assert runs.complete(cluster="mine.py:make_cluster", out="made", more=("--quiet",)) == ""
    cluster.start_worker("--no-nanny")
    (folder / "uses_client.py").write_text(USES_CLIENT)
    command = [sys.executable, "uses_client.py", cluster.address]
    done = subprocess.run(command, cwd=folder, env=cluster.environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert runs.rows("client") == runs.rows("made")


def test_doctor_checks_each_host(folder, cluster, jacobench):
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="left")
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="right")
    cluster.wait_for_workers(2)
    done = jacobench("doctor", "--cluster", cluster.address, "--json", cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(host["host"].partition(" ")[2] for host in found) == ["(left)", "(right)"]
    assert all({"check", "status", "measured", "fix"} == set(one) for host in found for one in host["findings"])
    assert all(host["findings"] and host["workers"] == 1 for host in found)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates")
def test_a_scheduler_with_tls_needs_certificates(folder, cluster, runs, jacobench, monkeypatch):
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=jacobench")
    command = ["openssl", "req", "-x509", *curve, "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    key, certificate = folder / "key.pem", folder / "cert.pem"
    options = ("--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key)
    address = cluster.start_scheduler("--protocol", "tls", *options)
    assert address.startswith("tls://")
    cluster.start_worker("--no-nanny", *options)
    for spec in (address, cluster.file):
        done = jacobench("run", "--suite", "suite.toml", "--cluster", spec, "--out", "none", cwd=folder)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert "TLS needs certificates, and there are none. Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, " in line
    for name, file in {"CA_FILE": certificate, "CLIENT__CERT": certificate, "CLIENT__KEY": key}.items():
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(file))
    runs.complete(cluster=address)
    assert set(jb.load(folder / "run")["status"]) == {"ok"}
    key.unlink()
    done = jacobench("run", "--suite", "suite.toml", "--cluster", address, "--out", "none", cwd=folder)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "those that are set cannot be used: " in line
    assert not (folder / "none").exists()


UNUSABLE = {
    "address": ("tcp://127.0.0.1:9", "no scheduler answers"),
    "no port": ("tcp://127.0.0.1", "expected an address such as tcp://host:8786"),
    "protocol": ("http://127.0.0.1:8786", "expected an address such as tcp://host:8786"),
    "name": ("tcp://no-such-host.invalid:8786", "the host is not found: "),
    "no protocol": ("127.0.0.1:8786", "did you mean 'tcp://127.0.0.1:8786'?"),
    "number": ("local:none", "expected local:N with a number N of workers"),
    "scheduler file": ("suite.toml", "expected a scheduler file, which names the address"),
    "specification": ("no-such-file", "there is no such file; expected local:N, an address"),
    "file": ("no_such.py:make", "there is no Python file"),
    "function": ("pace.py:make", "unknown function of"),
    "result": ("pace.py:wrapped", "raised TypeError"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_cluster_that_cannot_be_used_is_one_line_and_leaves_nothing(name, folder, jacobench):
    spec, said = UNUSABLE[name]
    before = sorted(folder.iterdir())
    done = jacobench("run", "--suite", "suite.toml", "--cluster", spec, cwd=folder, timeout=60)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert said in line
    assert done.stdout == ""
    assert sorted(set(folder.iterdir()) - {folder / "__pycache__"}) == before
