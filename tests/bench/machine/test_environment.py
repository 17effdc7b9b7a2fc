"""What a worker's process_state are: set before its interpreter starts, and the same for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from jacobench.bench.machine import blas_kernel, environment, machine_record
from jacobench.bench.machine.blas_kernel import Choice
from jacobench.bench.machine.environment import MALLOC, THREAD_VARIABLES, settings


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr(blas_kernel, "choice", lambda: Choice("Haswell", "SkylakeX", 1.5))


def test_tuned_sets_threads_malloc_and_the_kernel(chosen):
    found = settings("tuned", 3)
    assert {found[name] for name in THREAD_VARIABLES} == {"3"}
    assert found["OPENBLAS_CORETYPE"] == "SkylakeX"
    assert MALLOC.items() <= found.items()
    assert "multi_thread_eigen=true" in found["XLA_FLAGS"]
    assert "multi_thread_eigen=false" in settings("tuned", 1)["XLA_FLAGS"]


def test_off_glibc_malloc_is_left_alone(chosen, monkeypatch):
    monkeypatch.setattr(environment.platform, "libc_ver", lambda: ("musl", "1.2"))
    assert not MALLOC.keys() & settings("tuned", 1).keys()


def test_asis_sets_nothing_and_asks_nobody(monkeypatch):
    monkeypatch.setattr(blas_kernel, "choice", lambda: pytest.fail("probed"))
    assert settings("asis", 1) == {}


def test_the_kernel_found_is_left_where_it_is_as_good(monkeypatch):
    monkeypatch.setattr(blas_kernel, "choice", lambda: Choice("SkylakeX", "", 1.0))
    assert "OPENBLAS_CORETYPE" not in settings("tuned", 1)


def test_the_readers_xla_flags_are_kept(chosen, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    assert settings("tuned", 1)["XLA_FLAGS"].startswith("--xla_dump_to=x ")


def test_what_would_change_a_workers_pytest_is_left_out(monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("MINE", "stays")
    found = environment.environment({"A": "1"}, 4)
    assert "PYTEST_ADDOPTS" not in found
    assert (found["A"], found["MINE"], found["PYTHONHASHSEED"]) == ("1", "stays", "4")


SEEN = """
import json
import numpy
from threadpoolctl import threadpool_info
print(json.dumps([hash("a"), [found["num_threads"] for found in threadpool_info()]]))
"""


def test_a_worker_sees_its_settings():
    def seen(pass_number):
        worker = environment.environment(settings("tuned", 1), pass_number)
        done = subprocess.run([sys.executable, "-c", SEEN], env=worker, capture_output=True, check=True)
        return json.loads(done.stdout)

    first, again, other = seen(1), seen(1), seen(2)
    assert first == again
    assert first[0] != other[0]
    assert set(first[1]) == {1}


def test_the_probe_chooses_only_what_is_clearly_faster(monkeypatch):
    times = {"": 1.0, "Haswell": 1.0, "Zen": 0.99, "SkylakeX": 0.5}
    monkeypatch.setattr(machine_record, "processor_flags", lambda: sorted(blas_kernel.NEEDS["SkylakeX"]))
    monkeypatch.setattr(blas_kernel, "_time", lambda kernel: (["Haswell"], [times[kernel]] * 6))
    assert blas_kernel.probe() == Choice("Haswell", "SkylakeX", 2.0)
    times["SkylakeX"] = 0.98
    assert blas_kernel.probe() == Choice("Haswell", "", 1.0)


def test_the_probe_runs_no_kernel_that_the_processor_cannot(monkeypatch):
    tried = []
    monkeypatch.setattr(machine_record, "processor_flags", lambda: ["avx2", "fma", "avx512f"])
    monkeypatch.setattr(blas_kernel, "_time", lambda kernel: (tried.append(kernel), (["Haswell"], [1.0] * 6))[1])
    blas_kernel.probe()
    assert set(tried) == {"", "Haswell", "Zen"}


def test_a_kernel_that_kills_its_process_is_not_chosen(monkeypatch):
    monkeypatch.setattr(machine_record, "processor_flags", lambda: sorted(blas_kernel.NEEDS["SkylakeX"]))
    monkeypatch.setattr(
        blas_kernel, "_time", lambda kernel: ([], []) if kernel == "SkylakeX" else (["Haswell"], [1.0] * 6)
    )
    assert blas_kernel.probe().chosen == ""


def test_another_blas_has_no_kernel_of_ours(monkeypatch):
    monkeypatch.setattr(blas_kernel, "_time", lambda _kernel: ([], [1.0] * 6))
    assert blas_kernel.probe() == Choice("", "", 1.0)


def test_the_choice_is_kept_per_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    probes = []
    monkeypatch.setattr(blas_kernel, "probe", lambda: (probes.append(1), Choice("Haswell", "Zen", 1.1))[1])
    assert blas_kernel.choice() == blas_kernel.choice() == Choice("Haswell", "Zen", 1.1)
    assert len(probes) == 1
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")  # then another kernel is found, and the answer is another
    blas_kernel.choice()
    assert len(probes) == 2
    for file in (tmp_path / "jacobench").iterdir():
        file.write_text("torn")
    blas_kernel.choice()
    assert len(probes) == 3


def test_a_cache_that_cannot_be_written_only_costs_a_probe(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(blas_kernel, "probe", lambda: Choice("", "", 1.0))
    assert blas_kernel.choice() == Choice("", "", 1.0)


def test_the_machine_key_holds_no_clock_reading(monkeypatch):
    before = machine_record.machine_key()
    monkeypatch.setattr(os, "getloadavg", lambda: (9.0, 9.0, 9.0))
    assert machine_record.machine_key() == before
    assert machine_record.digest() in before


def test_the_record_says_what_was_there():
    found = machine_record.record({"OPENBLAS_NUM_THREADS": "1"})
    assert found["processor"]
    assert found["cores"] >= found["cores_usable"] >= 1
    assert found["packages"].keys() >= {"numpy", "scipy", "jacobench"}
    assert all(library["num_threads"] == 1 for library in found["blas"] if library["internal_api"] == "openblas")
    json.dumps(found)
