"""What a worker's process_state are: set before its interpreter starts, and the same for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jacobench.bench.machine import blas_kernel, doctor, environment, machine_record
from jacobench.bench.machine.blas_kernel import Choice
from jacobench.bench.machine.doctor_sentences import variable_sentences
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


def test_a_suite_keeps_its_threads_and_what_the_caller_has_set(monkeypatch):
    for name in ("MALLOC_TOP_PAD_", "MALLOC_ARENA_MAX"):
        monkeypatch.delenv(name, raising=False)
    ours = settings("tuned", 1)
    found = environment.suite_settings()
    assert found.items() <= ours.items()
    assert not found.keys() & {*environment.THREAD_VARIABLES, "XLA_FLAGS"}
    assert ("MALLOC_TOP_PAD_" in found) is ("MALLOC_TOP_PAD_" in ours)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    assert "MALLOC_TOP_PAD_" not in environment.suite_settings()


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


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(blas_kernel, "probe", lambda: Choice("Zen", "Haswell", 1.5))
    assert blas_kernel.choice() == Choice("Zen", "Haswell", 1.5)


def test_the_machine_key_holds_no_clock_reading(monkeypatch):
    before = machine_record.machine_key()
    monkeypatch.setattr(os, "getloadavg", lambda: (9.0, 9.0, 9.0))
    assert machine_record.machine_key() == before
    assert machine_record.digest() in before


def test_the_record_says_what_was_there(monkeypatch):
    monkeypatch.setenv(machine_record.LABEL, " turbo  off\n")
    found = machine_record.record({"OPENBLAS_NUM_THREADS": "1"})
    assert found["label"] == "turbo off"
    assert found["processor"]
    assert found["cores"] >= found["cores_usable"] >= 1
    assert found["packages"].keys() >= {"numpy", "scipy", "jacobench"}
    assert all(library["num_threads"] == 1 for library in found["blas"] if library["internal_api"] == "openblas")
    json.dumps(found)


@pytest.mark.parametrize(
    ("name", "unset"),
    [
        ("PYTHONTRACEMALLOC", True),
        ("MALLOC_PERTURB_", True),
        ("COVERAGE_PROCESS_CONFIG", True),
        ("JAX_DISABLE_JIT", True),
        ("GLIBC_TUNABLES", True),
        ("MKL_VERBOSE", True),
        ("LD_PRELOAD", False),
        ("PYTHONPATH", False),
        ("OMP_PROC_BIND", False),
        ("MKL_CBWR", False),
        ("TORCHINDUCTOR_MAX_AUTOTUNE", False),
    ],
)
def test_a_variable_that_distorts_times_is_unset_and_another_is_recorded(name, unset, monkeypatch):
    monkeypatch.setenv(name, "1")
    facts = environment.variable_facts({})
    assert (name in facts["unset"], name in facts["kept"]) == (unset, not unset)
    assert (name in environment.environment({}, 0)) is not unset
    assert any(name in sentence for sentence in variable_sentences(facts))
    asis = environment.variable_facts({}, "asis")
    assert (asis["unset"], name in asis["kept"]) == ([], True)
    assert environment.environment({}, 0, "asis")[name] == "1"


def test_variables_that_are_set_for_workers_or_have_no_effect_are_not_recorded(monkeypatch):
    for name in ("OMP_NUM_THREADS", "EDITOR", "PYTHONHASHSEED"):
        monkeypatch.setenv(name, "1")
    assert {"OMP_NUM_THREADS", "EDITOR", "PYTHONHASHSEED"}.isdisjoint(
        environment.kept_variables({"OMP_NUM_THREADS": "1"})
    )


def test_a_resumed_run_records_the_variables_of_both_environments():
    first = {"unset": ["MALLOC_CHECK_"], "kept": ["PYTHONPATH"], "preloaded_allocator": ""}
    later = {"unset": ["LD_DEBUG"], "kept": ["PYTHONPATH"], "preloaded_allocator": "libjemalloc.so.2"}
    assert environment.joined_facts(first, later) == {
        "unset": ["LD_DEBUG", "MALLOC_CHECK_"],
        "kept": ["PYTHONPATH"],
        "preloaded_allocator": "libjemalloc.so.2",
    }
    assert environment.joined_facts({}, later) == later


@pytest.mark.parametrize(
    ("preloaded", "found"),
    [
        ("/usr/lib/libjemalloc.so.2", "libjemalloc.so.2"),
        ("/a/libfaketime.so:/b/libtcmalloc_minimal.so.4", "libtcmalloc_minimal.so.4"),
        ("/opt/jemalloc/libother.so", ""),
        ("", ""),
    ],
)
def test_a_preloaded_allocator_makes_malloc_thresholds_useless(preloaded, found, chosen, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", preloaded)
    assert environment.preloaded_allocator() == found
    assert bool(MALLOC.keys() & settings("tuned", 1).keys()) is not bool(found)
    sentences = variable_sentences(environment.variable_facts({}))
    assert any("malloc have no effect" in sentence for sentence in sentences) is bool(found)


def test_doctor_lists_both_groups_of_variables(monkeypatch):
    monkeypatch.setenv("PYTHONTRACEMALLOC", "5")
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    distorting, other = doctor._variables()
    assert (distorting.status, other.status) == ("bad", "note")
    assert "PYTHONTRACEMALLOC records the traceback" in distorting.measured
    assert "unset PYTHONTRACEMALLOC" in distorting.fix
    assert "OMP_PROC_BIND" in other.measured
