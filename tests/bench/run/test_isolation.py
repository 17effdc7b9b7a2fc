"""A strategy's changes of its process affect no other strategy, in real runs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import closing

import pytest

from jacobench.bench.run.run_folder import resume
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.runner import carry_on, start
from jacobench.bench.suites.case import BY_STRATEGY, Cell

NOISY = """
    class Mine(Right):
        name = "mine"
        def __init__(self):
            super().__init__()
            np.seterr(all="raise")
        class Linearized(Right.Linearized):
            def pullback(self, seeds):
                np.set_printoptions(precision=2)
                return super().pullback(seeds)
    class Watch(Right):
        def __init__(self):
            super().__init__()
            assert np.geterr()["over"] == "warn"
            assert np.get_printoptions()["precision"] == 8
"""


def test_changes_are_undone_after_loading_and_after_each_cell_and_noted(make_session, plugin_file):
    file = plugin_file(NOISY)
    session = make_session()
    found = {
        (name, phase): session.measure(Cell("small", f"{file}:{name}", phase), lambda _call, _plan: [1.0])
        for name in ("Mine", "Watch")
        for phase in BY_STRATEGY
    }
    assert {m.status for m in found.values()} == {"ok"}
    notes = {key: m.reason for key, m in found.items()}
    assert notes["Mine", "prepare"].startswith("its changes to the process were undone: NumPy's error handling")
    assert "NumPy's print options (precision)" in notes["Mine", "gradient"]
    assert not any(notes["Watch", phase] for phase in BY_STRATEGY)


LASTING = """
    import gc
    class Mine(Right):
        name = "mine"
        def prepare(self, graph):
            gc.get_referents(np.ndarray.__dict__)[0]["mine"] = print
            return super().prepare(graph)
    class Watch(Right):
        name = "watch"
        def prepare(self, graph):
            assert not hasattr(np.ndarray, "mine")
            return super().prepare(graph)
"""
"""A type in C cannot be restored."""


@pytest.mark.long
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="a type in C is changed")
def test_a_strategy_whose_changes_cannot_be_undone_has_processes_of_its_own(plugin_file, tiny, tmp_path):
    file = plugin_file(LASTING)
    options = RunOptions(str(tiny), strategies=("vjp", f"{file}:Mine", f"{file}:Watch"), passes=2)
    with closing(start(options, tmp_path / "run")) as folder:
        document, _ = carry_on(folder, lambda _progress: None)
        lines = [m for m in folder.measurements if m.case]
    assert not document["jacobench"]["untimed"]
    rows = [entry["extra_info"] for entry in document["benchmarks"]]
    assert {row.get("reason", "") for row in rows if row["strategy"] != "mine"} == {""}
    assert all("cannot be undone" in m.reason for m in lines if (m.strategy, m.worker) == ("mine", 0))
    assert all("ratio_low" in row for row in rows if row["strategy"] in {"mine", "watch"})
    workers = {(m.pass_number, m.worker): set() for m in lines}
    for m in lines:
        workers[m.pass_number, m.worker].add((m.case, m.strategy))
    alone = [names for names in workers.values() if any(name == "mine" for _, name in names)][1:]
    assert len(alone) == 3
    assert all({name for _, name in names} == {"vjp", "mine"} for names in alone)
    assert all(len({case for case, _ in names}) == 1 for names in alone)
    counts = Counter((m.case, m.spec, m.phase, m.pass_number, m.worker) for m in lines)
    assert set(counts.values()) == {1}
    assert json.loads((tmp_path / "run" / "run.json").read_text())
    with closing(resume(tmp_path / "run")) as folder:
        assert not carry_on(folder, lambda _progress: None)[1]
