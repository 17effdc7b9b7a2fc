"""Each setting of the process is compared and restored; what cannot be restored is reported as such."""

from __future__ import annotations

import gc
import locale
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from threadpoolctl import threadpool_limits

from jacobench.bench.cell import shared_state
from jacobench.bench.cell.shared_setting import Changes, SharedSetting, value_change
from jacobench.bench.cell.shared_state import SETTINGS, read_state, undo_changes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="some settings exist only there")


def nothing(*_arguments, **_more):
    return None


def patch(owner, name):
    setattr(owner, name, nothing)


def monitor():
    sys.monitoring.use_tool_id(4, "mine")


CHANGES = {
    "functions of libraries": lambda: patch(np, "matmul"),
    "NumPy's error handling": lambda: np.seterr(all="raise"),
    "NumPy's print options": lambda: np.set_printoptions(precision=2),
    "NumPy's buffer size": lambda: np.setbufsize(16 * 1024),
    "NumPy's random state": lambda: np.random.seed(0),  # noqa: NPY002
    "Python's random state": lambda: random.seed(0),
    "BLAS threads": lambda: threadpool_limits(1 if max(shared_state.BLAS.threads().values()) > 1 else 2),
    "garbage collection": lambda: gc.set_threshold(3),
    "objects exempt from garbage collection": lambda: gc.unfreeze() if gc.get_freeze_count() else gc.freeze(),
    "the switch interval": lambda: sys.setswitchinterval(1e-6),
    "the recursion limit": lambda: sys.setrecursionlimit(5000),
    "the digits of integers": lambda: sys.set_int_max_str_digits(0),
    "profile or trace functions": lambda: threading.setprofile(nothing),
    "tracemalloc": tracemalloc.start,
    "warnings filters": lambda: warnings.simplefilter("ignore", FutureWarning),
    "sys.path": lambda: sys.path.insert(0, "/nowhere"),
    "sys.meta_path": sys.meta_path.reverse,
    "sys.path_hooks": lambda: sys.path_hooks.insert(0, nothing),
    "timers": lambda: signal.alarm(1000),
    "signal handlers": lambda: signal.signal(signal.SIGUSR1, nothing),
    "blocked signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
    "environment variables": lambda: os.environ.update(OMP_NUM_THREADS="7"),
    "the working directory": lambda: os.chdir("/"),
    "the umask": lambda: os.umask(0o111),
    "the locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C"),
    "resource limits": lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    ),
    "the CPU affinity": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
}
"""Setting → a change of it. The rest needs privileges or libraries, or has a test of its own."""


@pytest.mark.long
@pytest.mark.parametrize("setting", CHANGES)
def test_a_change_is_reported_and_undone(setting):
    if setting == "the CPU affinity" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    before = read_state()
    state = dict(before)
    CHANGES[setting]()
    found = undo_changes(state)
    assert [text.partition(" (")[0] for text in found.undone] == [setting]
    assert not found.lasting
    assert undo_changes(before) == Changes()


def test_every_setting_has_a_test():
    elsewhere = {"flags of JAX", "flags of torch", "the floating-point mode", "monitoring tools"}
    elsewhere |= {"the scheduling policy", "the niceness"}
    assert {setting.name for setting in SETTINGS} == CHANGES.keys() | elsewhere


def test_a_change_is_described_with_names_and_values():
    state = read_state()
    sys.setrecursionlimit(5000)
    os.environ["MY_VARIABLE"] = "1"
    patch(scipy.sparse.csr_array, "__matmul__")
    patch(np.linalg, "norm")
    text = undo_changes(state).note()
    assert text.startswith("its changes to the process were undone: functions of libraries (")
    assert "numpy.linalg.norm" in text
    assert "csr_array.__matmul__" in text
    assert "→ 5000)" in text
    assert "environment variables (MY_VARIABLE)" in text
    assert np.linalg.norm([3.0, 4.0]) == 5


def test_what_is_added_behind_other_entries_is_no_change(tmp_path):
    state = read_state()
    sys.path.append(str(tmp_path))
    try:
        assert undo_changes(state) == Changes()
        assert str(tmp_path) in sys.path
        sys.path.insert(0, "/nowhere")
        assert undo_changes(state).undone == ("sys.path",)
        assert sys.path[-1] == "/nowhere"
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in {str(tmp_path), "/nowhere"}]


def test_a_value_that_cannot_be_restored_is_a_lasting_change_and_reported_once(monkeypatch):
    setting = SharedSetting("mine", lambda: values[0], nothing, value_change)
    monkeypatch.setattr(shared_state, "SETTINGS", (setting,))
    values = [1]
    state = read_state()
    values[0] = 2
    found = undo_changes(state)
    assert found == Changes(lasting=("mine (1 → 2)",))
    assert "cannot be undone" in found.note()
    assert undo_changes(state) == Changes()


def in_a_fresh_process(code):
    start = "import sys, jacobench.bench.cell.shared_state as s\n"
    end = "\nfound = s.undo_changes(state)\nprint(*found.undone, '|', *found.lasting)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", start + textwrap.dedent(code) + end], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_method_of_a_type_in_c_cannot_be_restored():
    code = """
    import gc, numpy as np
    state = s.read_state()
    gc.get_referents(np.ndarray.__dict__)[0]["dot"] = print
    """
    assert in_a_fresh_process(code) == "| functions of libraries (numpy.ndarray.dot)"


def test_flags_of_torch_and_the_floating_point_mode_are_restored():
    code = """
    import ctypes
    class Torch:
        dtype, threads = "float32", 1
        def get_default_dtype(self): return self.dtype
        def set_default_dtype(self, value): self.dtype = value
        def get_num_threads(self): return self.threads
        def set_num_threads(self, value): self.threads = value
        is_grad_enabled = are_deterministic_algorithms_enabled = get_float32_matmul_precision = lambda self: True
        set_grad_enabled = use_deterministic_algorithms = set_float32_matmul_precision = lambda self, value: None
    sys.modules["torch"] = torch = Torch()
    state = s.read_state()
    torch.set_default_dtype("float64")
    torch.set_num_threads(2)
    ctypes.CDLL(None).fesetround(0x400)  # downwards, on x86
    """
    expected = "flags of torch (default dtype, threads)"
    expected += " the floating-point mode" if os.uname().machine == "x86_64" else ""
    assert in_a_fresh_process(code) == f"{expected} |"


@pytest.mark.long
def test_flags_of_jax_are_restored():
    code = """
    import jax
    state = s.read_state()
    jax.config.update("jax_enable_x64", not jax.config.jax_enable_x64)
    """
    assert in_a_fresh_process(code) == "flags of JAX (jax_enable_x64) |"


def test_the_niceness_and_the_policy_are_restored_where_that_is_permitted():
    code = """
    import os
    state = s.read_state()
    os.nice(3)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    """
    undone, _, lasting = in_a_fresh_process(code).partition("|")
    assert "the niceness (" in undone + lasting
    assert "the scheduling policy (" in undone + lasting
    assert not (lasting and os.geteuid() == 0)


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="from Python 3.12 on")
def test_monitoring_tools_are_removed():
    state = read_state()
    monitor()
    assert undo_changes(state).undone == ("monitoring tools (4)",)
    assert sys.monitoring.get_tool(4) is None
