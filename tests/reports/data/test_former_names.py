"""Names that earlier versions wrote: they join those of today if they match exactly one."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from jacobench.reports.data.former_names import current_cases, current_machines, with_current_names, with_selection
from jacobench.reports.data.run_data import Run
from jacobench.reports.regression.two_runs import compare

OLD, NEW = "AMD EPYC, 2 cores, 24 GiB, Linux x86_64 (4ff566)", "AMD EPYC, 2 cores, 24 GiB, Linux x86_64 (4ff566aa)"
ARM = "ARM 0x41 0xd0c 0x3, 4 cores, 8 GiB, Linux aarch64 (0123abcd)"


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ([OLD, NEW], {OLD: NEW}),
        ([OLD, OLD.replace("4ff566", "000000"), NEW], {OLD: NEW, OLD.replace("4ff566", "000000"): NEW}),
        ([OLD, NEW.replace("24 GiB", "16 GiB")], {}),
        ([OLD, NEW, NEW.replace("aa)", "bb)")], {}),  # two machines of today: which one is unknown
        ([OLD], {}),
        (
            ["aarch64, 4 cores, 8 GiB, Linux aarch64 (7f37fc)", ARM],
            {"aarch64, 4 cores, 8 GiB, Linux aarch64 (7f37fc)": ARM},
        ),
        (["aarch64, 4 cores, 8 GiB, Linux aarch64 (7f37fc)", ARM, ARM.replace("0xd0c", "0xd40")], {}),
        (
            ["x86_64, 2 cores, Linux x86_64", "AMD, 2 cores, Linux x86_64"],
            {"x86_64, 2 cores, Linux x86_64": "AMD, 2 cores, Linux x86_64"},
        ),
        (["Intel, 2 cores, Linux x86_64", "AMD, 2 cores, Linux x86_64", "host a, user ci", ""], {}),
    ],
)
def test_a_key_joins_the_only_one_of_today(keys, found):
    assert current_machines(keys) == found


def test_a_case_joins_the_only_one_of_today():
    today = ["net.f-b(1x2)x(3)", "net.f-k'a-b'", "net.f-n=3", "net.f-m(1)x(2)", "net.f-m(1x2)", "mlp-w4"]
    former = ["net.f-b1x2x3", "net.f-ka-b", "net.f-n3", "net.f-m1x2", "mlp-w4", "gone"]
    assert current_cases(former, today) == {
        "net.f-b1x2x3": "net.f-b(1x2)x(3)",
        "net.f-ka-b": "net.f-k'a-b'",
        "net.f-n3": "net.f-n=3",
    }


def test_an_earlier_run_is_compared_with_one_of_today(standard):
    passes = pd.DataFrame(
        [("net.f-b1x2", "vjp", "gradient", k, 0, 1e-3 + 1e-6 * k) for k in range(8)],
        columns=["case", "strategy", "phase", "pass", "worker", "seconds"],
    )
    table = standard.iloc[:1].assign(case="net.f-b1x2", strategy="vjp", phase="gradient", status="ok", machine=OLD)
    base = Run(table, passes, name="base")
    new = {"case": "net.f-b(1)x(2)"}
    head = replace(base, table=table.assign(machine=NEW, **new), passes=passes.assign(**new), name="head")
    for pair in ((base, head), (head, base)):
        assert set(compare(*pair).verdicts["case"]) == {"net.f-b(1)x(2)"}
        assert compare(*pair).exit_code == 0
    assert with_current_names(base, base) == (base, base) or with_current_names(base, base)[0] is base


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"graph": "mlp", "case": "mlp-w4-d2-b1-noloss-identity", "n_seeds": 4}, ("mlp", "parameters", "jacobian")),
        ({"graph": "mlp", "case": "mlp-w4-d2-b1"}, ("mlp", "parameters", "gradient")),
        ({"graph": "lenet-300-100", "case": "lenet-300-100-b1"}, ("lenet-300-100", "parameters", "gradient")),
        ({"graph": "chain-neg", "case": "chain-neg-w4-d1-b1"}, ("chain-neg", "e", "gradient")),
        ({"graph": "chain-neg-wrt_links", "case": "chain-neg-wrt_links-w4-d1-b1"}, ("chain-neg", "all", "gradient")),
        ({"graph": "tanh", "case": "tanh-w4-b1"}, ("tanh", "all", "gradient")),
        ({"graph": "net.py:net", "case": "net.net"}, ("net.py:net", None, "gradient")),
    ],
)
def test_rows_of_earlier_versions_get_their_task_and_leaves(row, found):
    again = with_selection(row)
    assert (again["graph"], again["wrt"], again["task"]) == found
    assert again["case"] == row["case"]
    assert with_selection(again) == again


def test_rows_of_today_and_of_other_tools_stay():
    for row in (
        {"graph": "mlp", "case": "x-identity", "task": "gradient", "wrt": "inputs"},
        {"case": "a", "phase": "b"},
    ):
        assert with_selection(row) == row
