"""How often a call is made, and what a session makes of cells that go well, fail, or fail later."""

import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from jacobench.bench.cell import prepared_cell, problem, timing
from jacobench.bench.cell.phase_costs import FORWARD
from jacobench.bench.cell.timing import Schedule
from jacobench.bench.floor import floors
from jacobench.bench.run import session as session_module
from jacobench.bench.run.session import SessionLimits, schedule
from jacobench.bench.suites.case import BY_STRATEGY, Case, Cell, Suite, cells_of, problem_of
from jacobench.graphs.generators.mlp import mlp_graph

LIMITS = SessionLimits(budget_bytes=2**31, min_seconds=1e-3, max_seconds=0.05, min_rounds=5)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that only calls move."""
    found = SimpleNamespace(now=0.0, perf_counter=lambda: found.now, monotonic=time.monotonic)
    monkeypatch.setattr(timing, "time", found)
    return found


def taking(clock, seconds):
    def call():
        clock.now += seconds

    return call


def counted(call, plan):
    """Time nothing: make each call, and say one second."""
    for _ in range(plan.rounds * plan.calls):
        call()
    return [1.0] * plan.rounds


# ---- the schedule


@pytest.mark.parametrize("seconds", [1e-7, 3e-6, 1e-4, 0.99e-3, 1e-3, 0.02, 3.0])
def test_a_round_is_long_enough_for_the_clock_and_no_longer_than_it_need_be(clock, seconds):
    found = schedule(taking(clock, seconds), LIMITS)
    assert found.calls * seconds >= 1e-3 * (1 - 1e-9)
    assert found.calls == 1 or found.calls * seconds <= 2e-3 + 10 * seconds
    assert found.rounds >= 5


@pytest.mark.parametrize("seconds", [1e-6, 1e-3, 2e-3])
def test_all_rounds_together_take_about_the_time_given(clock, seconds):
    found = schedule(taking(clock, seconds), LIMITS)
    assert found.rounds * found.calls * seconds == pytest.approx(0.05, rel=0.1)


def test_a_slow_call_is_made_in_the_fewest_rounds(clock):
    assert schedule(taking(clock, 1.0), LIMITS) == Schedule(5, 1)


def test_settled_iterations_are_kept(clock):
    assert schedule(taking(clock, 1e-4), LIMITS, 30).calls == 30
    assert schedule(taking(clock, 1e-7), LIMITS, 3).calls == 3


def test_a_call_too_fast_for_the_clock_still_ends(clock):
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        clock.now += 1e-9 if calls > 1000 else 0.0

    assert schedule(call, LIMITS).calls * 1e-9 >= 1e-3 * 0.9


# ---- cells


def test_a_suite_is_measured_cell_by_cell(make_session):
    session = make_session()
    for cell in cells_of(session.suite):
        found = session.measure(cell, counted)
        assert (found.status, found.reason) == ("ok", "")
        assert (found.case, found.strategy, found.phase) == (cell.case, cell.strategy, cell.phase)
        assert len(found.seconds) >= 2
        assert found.predicted_bytes > 0 or found.phase == "prepare"
        assert found.n_parameters == 3 * 4 + 4 + 4 * 2 + 2
        assert (found.peak_bytes, found.memory_tool) == (None, None)
        assert (found.max_relative_error is None) == (cell.strategy in {FORWARD, "vjp"})


def test_pass_and_worker_are_recorded_and_iterations_of_an_earlier_pass_are_kept(make_session):
    session = make_session(pass_number=2, worker=1)
    cell = Cell("small", "vjp", "gradient")
    session.iterations = {cell: 7}
    found = session.measure(cell, counted)
    assert (found.pass_number, found.worker, found.iterations) == (2, 1, 7)


def test_memory_is_measured_where_it_is_asked_for_and_never_in_a_timed_call(make_session, monkeypatch):
    session = make_session(measure_memory=True)
    order = []
    real = session_module.heap_memory.measure
    monkeypatch.setattr(session_module.heap_memory, "measure", lambda call: order.append("memory") or real(call))

    def timed(call, plan):
        order.append("time")
        return counted(call, plan)

    found = session.measure(Cell("small", "dense", "gradient"), timed)
    assert order == ["memory", "time"]
    assert found.memory_tool in {"memray", "tracemalloc"}


def test_a_cell_without_a_floor_is_measured_and_names_the_reason(make_session, monkeypatch):
    monkeypatch.setattr(floors, "loop", lambda *_: 1 / 0)
    session = make_session()
    for phase in ("linearize", "pullback"):
        found = session.measure(Cell("small", "dense", phase), counted)
        assert (found.status, found.floor_seconds) == ("ok", None)
        assert "no floor: ZeroDivisionError" in found.reason
    monkeypatch.undo()
    assert session.measure(Cell("small", "vjp", "gradient"), counted).floor_seconds > 0


def test_a_strategy_is_prepared_and_verified_once_for_all_its_phases(make_session, plugin_file):
    file = plugin_file("""
        calls = []
        class Mine(Right):
            def prepare(self, graph):
                calls.append(graph)
                return super().prepare(graph)
    """)
    session = make_session()
    for phase in ("linearize", "pullback", "gradient"):
        assert session.measure(Cell("small", f"{file}:Mine", phase), counted).status == "ok"
    prepared = session.prepared(Cell("small", f"{file}:Mine", "gradient"))
    assert len(prepared.strategy.prepare.__globals__["calls"]) == 1


@pytest.mark.long
def test_the_first_call_of_each_phase_is_timed_before_any_other_call(make_session, plugin_file):
    """Each method waits at its first call in the process, so only the time of that call is longer."""
    file = plugin_file("""
        import time
        waited = set()
        def wait_once(phase):
            if phase not in waited:
                waited.add(phase)
                time.sleep(0.05)
        class Mine(Right):
            def prepare(self, graph):
                wait_once("prepare")
                return super().prepare(graph)
            class Prepared(Right.Prepared):
                def linearize(self, leaves):
                    wait_once("linearize")
                    return super().linearize(leaves)
            class Linearized(Right.Linearized):
                def pullback(self, seeds):
                    wait_once("pullback")
                    return super().pullback(seeds)
    """)
    session = make_session(measure_memory=True)
    first = {
        phase: session.measure(Cell("small", f"{file}:Mine", phase), counted).seconds_first for phase in BY_STRATEGY
    }
    assert min(first.values()) >= 0.05
    assert first["gradient"] == first["linearize"] + first["pullback"]


def test_the_first_calls_of_reference_and_forward_pass_are_those_before_verification(make_session, monkeypatch):
    calls, timed_call = [], timing.timed_call

    def numbered(call):
        calls.append(call)
        return timed_call(call)[0], float(len(calls))

    for module in (problem, prepared_cell):
        monkeypatch.setattr(module, "timed_call", numbered)
    session = make_session()
    cells = [Cell("small", "dense", "gradient"), *(Cell("small", "vjp", phase) for phase in BY_STRATEGY)]
    found = {
        cell.phase: session.measure(cell, counted).seconds_first for cell in [*cells, Cell("small", FORWARD, FORWARD)]
    }
    assert found == {FORWARD: 1, "prepare": 2, "linearize": 3, "pullback": 4, "gradient": 7}


def test_what_is_wrong_is_never_timed(make_session, plugin_file):
    file = plugin_file("""
        class Mine(Right):
            name = "mine"
            class Linearized(Right.Linearized):
                def pullback(self, seeds):
                    return {name: 2 * bar for name, bar in super().pullback(seeds).items()}
    """)
    session = make_session()

    timed = []
    for phase in BY_STRATEGY:
        found = session.measure(Cell("small", f"{file}:Mine", phase), lambda call, _plan: timed.append(call))
        assert (found.status, found.seconds, found.strategy) == ("wrong", (), "mine")
        assert found.max_relative_error == pytest.approx(1.0)
        assert "1.0e+00" in found.reason
    assert timed == []
    assert session.measure(Cell("small", "vjp", "gradient"), counted).status == "ok"


LATE = """
    class Mine(Right):
        name = "late"
        calls = 0
        class Linearized(Right.Linearized):
            def pullback(self, seeds):
                Mine.calls += 1
                if Mine.calls > 2:
                    raise {raised}
                return super().pullback(seeds)
"""


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        ("ValueError('tired')", "error"),
        ("MemoryError('tired')", "out_of_memory"),
        ("SystemExit('tired')", "error"),
        ("type('Rude', (BaseException,), {{}})('tired')", "error"),
    ],
)
def test_what_fails_only_while_it_is_measured_costs_the_phases_that_need_it(make_session, plugin_file, raised, status):
    file = plugin_file(LATE.format(raised=raised).replace("{{}}", "{}"))
    session = make_session()
    found = {phase: session.measure(Cell("small", f"{file}:Mine", phase), counted) for phase in BY_STRATEGY}
    assert [found[phase].status for phase in BY_STRATEGY] == ["ok", "ok", status, status]
    assert "tired" in found["pullback"].reason
    assert found["pullback"].reason.startswith("pullback")
    assert found["gradient"].reason == found["pullback"].reason
    if status == "error":
        assert "tired" in found["pullback"].traceback


WRITERS = {
    "in linearize": """
        class Mine(Right):
            class Prepared(Right.Prepared):
                def linearize(self, leaves):
                    leaves["W1"][...] += 1
                    return super().linearize(leaves)
    """,
    "in pullback, only after verification": """
        class Mine(Right):
            calls = 0
            class Prepared(Right.Prepared):
                def linearize(self, leaves):
                    self.strategy.leaves = leaves
                    return super().linearize(leaves)
            class Linearized(Right.Linearized):
                def pullback(self, seeds):
                    Mine.calls += 1
                    if Mine.calls > 2:
                        self.strategy.leaves["W1"][...] += 1
                        seeds[...] = 0
                    return super().pullback(seeds)
    """,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_strategy_that_writes_its_inputs_spoils_no_other(make_session, plugin_file, writer):
    file = plugin_file(WRITERS[writer])
    session = make_session()
    before = session.measure(Cell("small", "dense", "gradient"), counted)
    problem = session._problem
    for phase in BY_STRATEGY:
        session.measure(Cell("small", f"{file}:Mine", phase), counted)
    for strategy in ("dense", "sparse", "vjp"):
        found = session.measure(Cell("small", strategy, "gradient"), counted)
        assert (found.status, found.reason) == ("ok", "")
    assert before.status == "ok"
    assert session._problem is not problem, "the problem was spoilt, and is to be drawn anew"
    assert (
        session._problem.fingerprint()
        == session._fingerprint
        == problem_of(session.suite.cases[0], 2**31).fingerprint()
    )


def test_a_problem_that_nobody_has_written_is_kept(make_session):
    session = make_session()
    session.measure(Cell("small", "dense", "gradient"), counted)
    problem = session._problem
    session.measure(Cell("small", "sparse", "gradient"), counted)
    assert session._problem is problem


@pytest.mark.long
def test_a_graph_that_cannot_be_built_is_an_error_in_each_of_its_cells_and_no_other(make_session, make_case):
    def make():
        raise SystemExit("no such table")

    def unlike():
        return 12

    cases = Case("exits", {}, ("vjp",), make), Case("number", {}, ("vjp",), unlike), make_case()
    session = make_session(*cases)
    found = [session.measure(cell, counted) for cell in cells_of(Suite("mine", cases))]
    assert {m.status for m in found if m.case != "small"} == {"error"}
    assert {m.status for m in found if m.case == "small"} == {"ok"}
    assert all("no such table" in m.reason for m in found if m.case == "exits")
    assert all("Graph" in m.reason for m in found if m.case == "number")


def test_a_plugin_named_as_another_strategy_keeps_its_rows_apart(make_session, plugin_file):
    file = plugin_file("class Mine(Right):\n    name = 'vjp'\n")
    session = make_session()
    first = session.measure(Cell("small", "vjp", "gradient"), counted)
    other = session.measure(Cell("small", f"{file}:Mine", "gradient"), counted)
    assert first.strategy == "vjp"
    assert other.strategy == other.spec == f"{file}:Mine"


def test_seconds_are_those_that_the_timer_gave(make_session):
    found = make_session().measure(Cell("small", "vjp", "gradient"), lambda _call, _plan: [0.25, 0.125])
    assert found.seconds == (0.25, 0.125)


def test_the_reference_is_compared_with_central_differences_once_per_case(make_session, monkeypatch):
    checks = []
    monkeypatch.setattr(problem, "difference_breach", lambda *_: checks.append("compared") or "")
    session = make_session()
    for strategy in ("dense", "vjp", "dense"):
        session.measure(Cell("small", strategy, "gradient"), counted)
    assert checks == ["compared"]
    later = make_session()
    later.checked = {"small"}
    later.measure(Cell("small", "vjp", "gradient"), counted)
    assert checks == ["compared"]


def test_a_wrong_reference_that_is_not_measured_itself_judges_no_strategy(make_session, monkeypatch):
    monkeypatch.setattr(problem, "difference_breach", lambda *_: "cotangents are off")
    found = make_session().measure(Cell("small", "dense", "gradient"), counted)
    assert (found.status, found.reason) == ("error", "vjp, the reference, is wrong: its cotangents are off")


def test_arrays_over_the_budget_are_a_status_of_every_cell(make_session):
    session = make_session()
    session.limits = replace(session.limits, budget_bytes=64)
    for strategy, phase in (("forward", "forward"), ("vjp", "gradient")):
        found = session.measure(Cell("small", strategy, phase), counted)
        assert found.status == "over_budget"
        assert "leaves and seeds need" in found.reason


def test_each_step_of_a_cell_is_announced(make_session):
    steps = []
    session = make_session(measure_memory=True)
    session.step = steps.append
    session.measure(Cell("small", "dense", "prepare"), counted)
    first = ["building the case", "computing the reference", "loading", "preparing", "verifying"]
    assert steps == [*first, "measuring memory", "timing"]
    steps.clear()
    session.measure(Cell("small", "dense", "linearize"), counted)
    assert steps == ["measuring memory", "timing"]


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["vjp", "dense", "forward-sparse"])
def test_a_whole_jacobian_is_measured_in_its_own_phases(make_session, strategy):
    make = partial(mlp_graph, [20, 30, 16], batch=3, loss=None, wrt=["b1", "x"])
    session = make_session(Case("whole", {"task": "jacobian"}, (), make, task="jacobian"), measure_memory=True)
    cells = [cell for cell in cells_of(session.suite, [strategy]) if cell.strategy == strategy]
    assert [cell.phase for cell in cells] == ["prepare", "jacobian"]
    found = {cell.phase: session.measure(cell, counted) for cell in cells}
    assert {measured.status for measured in found.values()} == {"ok"}
    whole = found["jacobian"]
    assert whole.seconds_first > 0
    assert whole.peak_bytes >= whole.retained_bytes >= 8 * 48 * 90 * (strategy != "forward-sparse")
    assert whole.predicted_bytes > 0
    assert whole.predicted_flops > 0
    assert (whole.floor_seconds is None) == (strategy == "forward-sparse")
    assert (whole.max_relative_error is None) == (strategy == "vjp")
    assert (whole.dtype, whole.wrt) == ("float64", "b1,x")
    assert found["prepare"].floor_seconds is None


@pytest.mark.long
def test_a_leak_of_a_sparse_jacobian_is_found(make_session, plugin_file):
    file = plugin_file("""
        import scipy.sparse
        kept = []
        class Mine(Right):
            name = "mine"
            class Linearized(Right.Linearized):
                def jacobian(self):
                    kept.append(np.ones(2**20))
                    bars = self.pullback(np.eye(4).reshape(4, 2, 2))
                    return scipy.sparse.csr_array(np.concatenate([bar.reshape(4, -1) for bar in bars.values()], axis=1))
    """)
    case = Case("whole", {}, (), partial(mlp_graph, [3, 4, 2], batch=2, loss=None), task="jacobian")
    session = make_session(case, measure_memory=True)
    found = session.measure(Cell("whole", f"{file}:Mine", "jacobian"), counted)
    assert found.status == "ok", found.reason
    assert "leak" in found.reason
