"""Every claim's verdict, on synthetic rows with known answers: each can come out either way, and as not shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.claims.claim_catalogue import CLAIMS, judge, lines
from jacobench.reports.claims.claim_evidence import BOUNDED, HOLDS, LINKS, NOT_SHOWN, WRONG
from jacobench.reports.claims.jacobian_claims import (
    outer_product_takes_n_operations,
    products_need_no_matrices,
    sparse_does_a_bunch_of_work,
    weight_matrix_is_the_jacobian,
    weights_jacobian_is_expensive,
)
from jacobench.reports.claims.order_claims import same_gradients, sometimes_worth_it, vector_first_is_cheaper
from jacobench.reports.data.run_data import PASS_COLUMNS, Run

NOISE = (0.99, 1.0, 1.01)
MIB = 2.0**20


def cell(case, strategy, seconds, peak=MIB, phase="gradient", **more):
    row = {"case": case, "strategy": strategy, "phase": phase, "status": "ok", "dtype": "float64", "n_seeds": 1}
    row |= {"seconds_median": seconds, "peak_bytes": peak, "passes": 3, "graph": "g", "batch": 1, "depth": 1}
    return row | more


def run_of(rows, noise=NOISE, **facts):
    table = tidy(rows)
    timed = table[table["status"] == "ok"]
    passes = [
        (row["case"], row["strategy"], row["phase"], number, number, "", row["seconds_median"] * factor)
        for row in timed.to_dict("records")
        for number, factor in enumerate(noise)
    ]
    return Run(table, pd.DataFrame(passes, columns=list(PASS_COLUMNS)), facts=facts)


def errors(*found, **more):
    return run_of([cell(f"c{k}", "dense", 1.0, max_relative_error=e, **more) for k, e in enumerate(found)])


def test_1_same_gradients():
    found = same_gradients(errors(3e-16, 2e-15))
    assert found.verdict == HOLDS
    assert "2 cells over 2 graphs" in found.sentence
    assert "at most 2e-15 in float64" in found.sentence
    theirs = same_gradients(errors(0.5, status="wrong", reason="W1 differs by 0.5"))
    assert (theirs.verdict, theirs.sentence) == (NOT_SHOWN, "dense is wrong in c0: W1 differs by 0.5")
    wrong = same_gradients(run_of([cell("c", "vjp", 1.0, status="wrong", reason="W1 differs by 0.5")]))
    assert wrong.verdict == WRONG
    assert "vjp disagrees with central differences in c" in wrong.sentence
    assert same_gradients(errors(np.nan)).verdict == NOT_SHOWN


def by_input(extra, dense_seconds, batches=(1,)):
    rows = []
    for width in (16, 64):
        for batch in batches:
            case, knobs = f"chain-affine-w{width}-d1-b{batch}", {"width": width, "batch": batch}
            for phase in ("linearize", "gradient"):
                rows.append(cell(case, "vjp", 1.0, MIB, phase, **knobs))
                rows.append(cell(case, "dense", dense_seconds, MIB + extra(width, batch), phase, **knobs))
    return run_of(rows)


def test_2_the_jacobian_by_z_is_w():
    free = weight_matrix_is_the_jacobian(by_input(lambda _n, _b: 0.0, 1.0))
    assert free.verdict == HOLDS
    copied = weight_matrix_is_the_jacobian(by_input(lambda n, _b: 8.0 * n**2 * 1.01 + 8192, 1.0))
    assert copied.verdict == BOUNDED
    assert "at most the memory of one copy of W" in copied.sentence
    assert weight_matrix_is_the_jacobian(by_input(lambda n, _b: 16.0 * n**2 + 8192, 1.0)).verdict == WRONG
    repeated = weight_matrix_is_the_jacobian(by_input(lambda n, b: 8.0 * n**2 * b**2 if b > 1 else 0.0, 1.0, (1, 4)))
    assert repeated.verdict == BOUNDED
    assert "16 times the bytes of W" in repeated.sentence
    assert weight_matrix_is_the_jacobian(run_of([])).verdict == NOT_SHOWN


def by_weights(power, dense_seconds=lambda n: 1e-9 * n**3, widths=(64, 128, 256, 512), noise=NOISE, products=2.0):
    rows = []
    for n, m in ((32, 128), (64, 64), (128, 32)):
        rows.append(cell(f"mlp-{m}x{n}-b1-noloss", "dense", 1.0, 8.0 * n * n * m))
        rows.append(cell(f"mlp-{m}x{n}-b1-noloss", "vjp", 1.0, 8.0 * n * m))
    for n in widths:
        case, knobs = f"mlp-w{n}-d1-b1-noloss", {"graph": "mlp", "activation": "tanh", "width": n, "loss": np.nan}
        knobs["n_parameters"] = n * n + n
        costs = {
            "dense": (dense_seconds(n), 8.0 * n**power, 2.0 * n**3),
            "vjp": (1e-8 * n**2, 8.0 * n**2, float(n) ** products),
        }
        for phase in ("gradient", "pullback"):
            for name, (seconds, peak, flops) in costs.items():
                rows.append(
                    cell(case, name, seconds, peak, phase, predicted_flops=flops, predicted_bytes=8.0 * n**3, **knobs)
                )
    return run_of(rows, noise, machine={"memory_bytes": 8 * 2**30})


def test_3_the_jacobian_by_w_is_expensive():
    found = weights_jacobian_is_expensive(by_weights(3))
    assert found.verdict == HOLDS
    assert "grow as n^3.00" in found.sentence
    assert "above n = 1,022 it does not fit in this machine's 8.00 GiB" in found.sentence
    assert "51.2×" in found.sentence  # 0.1 · 512
    assert "with constant n·m the bytes grow as n^1.00, those of vjp as n^0.00" in found.sentence
    assert (
        weights_jacobian_is_expensive(by_weights(3, lambda n: 1e-9 * n**2)).verdict == WRONG
    )  # vjp takes ten times that
    assert weights_jacobian_is_expensive(by_weights(2)).verdict == NOT_SHOWN  # not what theory says: something is amiss
    assert weights_jacobian_is_expensive(by_weights(3, widths=(64, 128))).verdict == NOT_SHOWN
    assert weights_jacobian_is_expensive(by_weights(3, noise=(1.0,))).verdict == NOT_SHOWN


def without_small_peaks(run):
    table = run.table.assign(memory_tool="memray")
    return replace(run, table=table.assign(peak_bytes=table["peak_bytes"].where(table["peak_bytes"] >= 8192)))


def test_peaks_below_the_resolution_count_as_small():
    rows = [cell(f"mlp-w{n}-d1-b1-noloss", name, 1.0 + 9 * (name == "dense"), peak, width=n, graph="mlp")
            for n in (16, 32, 64) for name, peak in (("vjp", 500.0), ("dense", 8.0 * n**3))]  # fmt: skip
    found = weights_jacobian_is_expensive(without_small_peaks(run_of(rows)))
    assert found.verdict == HOLDS
    assert "where the peak of vjp is < 8 KiB" in found.sentence
    chain = by_input(lambda n, _b: 8.0 * n**2, 1.0)
    small = replace(chain, table=chain.table.assign(peak_bytes=chain.table["peak_bytes"] - MIB + 500))
    found = weight_matrix_is_the_jacobian(without_small_peaks(small))
    assert found.evidence["the Jacobian adds"].tolist() == ["0 B to 8.00 KiB", "24.5 KiB to 32.5 KiB"]
    assert found.verdict == BOUNDED


def beside_vjp(*ratios, peaks=None):
    rows = []
    for number, ratio in enumerate(ratios):
        rows.append(cell(f"c{number}", "vjp", 1.0))
        rows.append(cell(f"c{number}", "sparse", ratio, (peaks or {}).get(number, 3 * MIB), n_nonzeros=9.0))
    return run_of(rows)


def test_4_what_sparse_costs():
    assert sparse_does_a_bunch_of_work(beside_vjp(2.0, 3.0)).verdict == HOLDS
    bounded = sparse_does_a_bunch_of_work(beside_vjp(2.0, 3.0, 0.5, peaks={2: MIB}))
    assert bounded.verdict == BOUNDED
    assert "it is not clearly worse in time or memory in c2" in bounded.sentence
    assert sparse_does_a_bunch_of_work(beside_vjp(0.5, 0.6, peaks={0: MIB, 1: MIB})).verdict == WRONG
    assert sparse_does_a_bunch_of_work(beside_vjp(0.5, 0.6)).verdict == NOT_SHOWN  # quicker, but more memory
    assert sparse_does_a_bunch_of_work(run_of([])).verdict == NOT_SHOWN


def test_5_the_outer_product_takes_n_m_multiplications():
    found = outer_product_takes_n_operations(by_weights(3))
    assert found.verdict == WRONG
    assert "takes 1.00 operations (a multiplication, and an addition over the batch) for each" in found.sentence
    assert "their number grows as n^2.00" in found.sentence
    assert found.sentence.endswith("the claim is off by a factor of m, but its conclusion is right")
    assert outer_product_takes_n_operations(by_weights(3, products=1.0)).verdict == HOLDS
    assert outer_product_takes_n_operations(by_weights(3, widths=(64,))).verdict == NOT_SHOWN


def chains(seconds, peak, sizes=(48, 768)):
    """Return a run of chains in which an explicit matrix takes so much, and a direct rule 1 s and a MiB."""
    rows = []
    for link in LINKS:
        for size in sizes:
            case = f"chain-{link}-w{size}-d4-b1"
            rows.append(cell(case, "dense", seconds(size), peak(size), width=size))
            rows += [cell(case, name, 1.0, width=size) for name in ("sparse", "linear-operator", "vjp")]
    return run_of(rows)


def test_6_products_need_no_matrices():
    assert products_need_no_matrices(chains(lambda _n: 2.0, lambda _n: 5 * MIB)).verdict == HOLDS
    bounded = products_need_no_matrices(chains(lambda n: 0.5 if n < 100 else 2.0, lambda _n: 5 * MIB))
    assert bounded.verdict == BOUNDED
    assert "a matrix is clearly faster for neg at 48" in bounded.sentence
    assert products_need_no_matrices(chains(lambda _n: 0.5, lambda _n: MIB)).verdict == WRONG
    assert products_need_no_matrices(run_of([])).verdict == NOT_SHOWN
    evidence = products_need_no_matrices(chains(lambda _n: 2.0, lambda _n: 5 * MIB)).evidence
    assert len(evidence) == 2 * len(LINKS)


def orders(first, seeds=(), reuse=None):
    """Return a run in which multiplying the Jacobians first takes so long, and the vector first 1 s a seed."""
    rows = []
    for width in (16, 64):
        case = f"chain-affine-tanh-w{width}-d8-b1"
        for name, seconds, flops in (("forward-dense", first, 8.0 * width**3), ("vjp", 1.0, 8.0 * width**2)):
            rows.append(cell(case, name, seconds, width=width, predicted_flops=flops))
            linearize, pullback = reuse[name] if reuse else (seconds, 1.0)
            rows.append(cell(case, name, linearize, phase="linearize", width=width))
            rows.append(cell(case, name, pullback, phase="pullback", width=width))
    for n in seeds:
        case = f"chain-affine-tanh-w32-d8-b1-seeds{n}"
        for name, seconds in (("forward-dense", first), ("vjp", float(n))):
            rows.append(cell(case, name, seconds, width=32, n_seeds=n, predicted_flops=1.0))
    return run_of(rows)


def test_7_the_order_of_multiplication():
    never = vector_first_is_cheaper(orders(8.0))
    assert never.verdict == HOLDS
    assert "shows no number of vectors at which it pays off" in never.sentence
    seeds = vector_first_is_cheaper(orders(8.0, seeds=(2, 4, 16, 64)))
    assert seeds.verdict == BOUNDED
    assert "it pays off from 8 [7.58, 8.44] seeds at once" in seeds.sentence
    uses = vector_first_is_cheaper(orders(8.0, reuse={"forward-dense": (21.0, 0.5), "vjp": (1.0, 1.0)}))
    assert uses.verdict == BOUNDED
    assert "after 40 uses of one Jacobian by one vector each (2 cases)" in uses.sentence
    assert vector_first_is_cheaper(orders(0.5)).verdict == WRONG
    assert vector_first_is_cheaper(run_of([])).verdict == NOT_SHOWN


def test_8_sometimes_worth_it():
    found = sometimes_worth_it(beside_vjp(2.0, 0.5))
    assert found.verdict == HOLDS
    assert "in 1 of 2 cases" in found.sentence
    assert found.evidence["case"].tolist() == ["c1"]
    assert sometimes_worth_it(beside_vjp(2.0, 3.0)).verdict == WRONG
    assert sometimes_worth_it(beside_vjp(1.0, 3.0)).verdict == NOT_SHOWN  # a tie is no verdict
    assert sometimes_worth_it(run_of([cell("c", "vjp", 1.0)])).verdict == NOT_SHOWN


LOOSE = (0.3, 1.0, 3.0)
"""Passes that lie so far apart that no interval leaves out one."""


def test_what_intervals_do_not_decide_is_neither_shown_nor_refuted():
    assert weights_jacobian_is_expensive(by_weights(3, lambda n: 1.2e-8 * n**2, noise=NOISE)).verdict == HOLDS
    undecided = [
        weights_jacobian_is_expensive(loosened(by_weights(3, lambda n: 1.2e-8 * n**2))),
        sparse_does_a_bunch_of_work(loosened(beside_vjp(1.2, 1.2))),
        products_need_no_matrices(loosened(chains(lambda _n: 1.2, lambda _n: 5 * MIB))),
        vector_first_is_cheaper(loosened(orders(1.2))),
    ]
    assert {found.verdict for found in undecided} == {NOT_SHOWN}


def loosened(run):
    """Return the run with the passes of all strategies but vjp far apart."""
    factor = run.passes["pass"].map(dict(enumerate(LOOSE))).where(run.passes["strategy"] != "vjp", 1.0)
    return Run(run.table, run.passes.assign(seconds=run.passes["seconds"] * factor), facts=run.facts)


@pytest.mark.parametrize("rows", [[], [cell("c", "vjp", 1.0)], [cell("c", "dense", 1.0, status="timeout")]])
def test_a_poor_run_shows_nothing_and_breaks_nothing(rows):
    assert {found.verdict for _, found in judge(run_of(rows))} == {NOT_SHOWN}


def test_a_line_a_claim():
    found = lines(by_weights(3))
    assert len(found) == len(CLAIMS)
    assert found[2].startswith("claim 3: holds — with n = m the bytes grow")
    assert not any("\n" in line for line in found)


def test_numbers_are_formatted_for_readers():
    small = by_input(lambda n, b: 8.0 * n**2 * b**2 if b > 1 else 0.0, 1.0, (1, 48))
    table = weight_matrix_is_the_jacobian(small).evidence
    assert table["as a share of W"].tolist()[1] == "2300×"
    assert table["batch"].tolist()[:2] == ["1", "48"]
    sizes = products_need_no_matrices(chains(lambda _n: 2.0, lambda _n: 5 * MIB)).evidence["size"]
    assert set(sizes) == {"48", "768"}
    for _, found in judge(by_weights(3)):
        cells = found.evidence.astype(str).to_numpy().ravel().tolist()
        assert not [cell for cell in cells if cell.endswith((".0", "nan"))]


def with_floors(run, share, strategies=("dense", "sparse", "forward-dense", "vjp")):
    """Return the run with a floor of some strategies in all phases, as a share of the time."""
    floors = run.table["seconds_median"].where(run.table["strategy"].isin(strategies)) * share
    return replace(run, table=run.table.assign(floor_seconds=floors))


GUARDED = {
    2: (weight_matrix_is_the_jacobian, by_input(lambda n, _b: 8.0 * n**2 + 8192, 2.0), "dense", "in 2 of 2 cases"),
    3: (weights_jacobian_is_expensive, by_weights(3, lambda n: 3e-8 * n**2), "dense", ""),
    4: (sparse_does_a_bunch_of_work, beside_vjp(2.0, 3.0), "sparse", "in 2 of 2 cases"),
    6: (products_need_no_matrices, chains(lambda _n: 2.0, lambda _n: 5 * MIB), "dense", "in 8 of 8 cells"),
    7: (vector_first_is_cheaper, orders(2.0), "forward-dense", "in 2 of 2 comparisons"),
    8: (sometimes_worth_it, beside_vjp(2.0, 0.5), "vjp", ""),
}
"""Claim → its function, a run, and the loser with the number of cases in which it could win if its floor is low."""


@pytest.mark.parametrize("claim", GUARDED)
def test_a_verdict_names_the_loser_that_could_win_at_its_limit(claim):
    judged, run, loser, where = GUARDED[claim]
    plain, clear, doubtful = judged(run), judged(with_floors(run, 0.99)), judged(with_floors(run, 0.25))
    assert plain.verdict == clear.verdict == doubtful.verdict
    assert plain.verdict in (HOLDS, BOUNDED)
    assert (plain.doubt, clear.doubt) == ("", "")
    assert doubtful.doubt == f"{loser} runs at 4.00× its limit and could win {where}".rstrip()
    assert doubtful.guarded == f"{doubtful.verdict}, but {doubtful.doubt}"


def test_a_loser_without_a_floor_is_named():
    found = vector_first_is_cheaper(with_floors(orders(2.0), 0.9, ("vjp",)))
    assert found.guarded == "holds, but the limit of forward-dense is not known in 2 of 2 comparisons"


def test_refuted_claims_are_guarded_and_what_is_not_shown_states_no_doubt():
    wrong = vector_first_is_cheaper(with_floors(orders(0.5), 0.25))
    assert wrong.guarded == "wrong as stated, but vjp runs at 4.00× its limit and could win in 2 of 2 comparisons"
    worse = sometimes_worth_it(with_floors(beside_vjp(2.0, 3.0), 0.25))
    assert worse.guarded == "wrong as stated, but sparse runs at 4.00× its limit and could win in 2 of 2 comparisons"
    unclear = sparse_does_a_bunch_of_work(with_floors(beside_vjp(0.5, 0.6), 0.25))
    assert unclear.guarded == NOT_SHOWN


def test_the_bound_of_claim_7_is_guarded():
    run = with_floors(orders(8.0, seeds=(2, 4, 16, 64)), 0.1)
    assert vector_first_is_cheaper(run).doubt == (
        "vjp runs at 10.0× its limit and could win in 1 of 3 comparisons, "
        "and forward-dense runs at 10.0× its limit and could win in 3 of 3 comparisons"
    )
