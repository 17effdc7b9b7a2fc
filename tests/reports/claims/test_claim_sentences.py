"""Sentences of the findings: each function with values whose truth is known."""

from __future__ import annotations

import math

import pytest

from jacobench.reports.claims import claim_sentences

NAN = math.nan

BATCHED = (256.0, 16.0)
PRODUCT = "operations (a multiplication, and an addition over the batch) for each of the n·m entries of W; their number grows as n^2.00 with n = m"

CASES = [
    ("not_timed", ("sparse", "vjp"), "sparse was not timed together with vjp in two passes or more"),
    ("differs", ("c", "W1 differs"), "vjp disagrees with central differences in c: W1 differs"),
    ("is_wrong", ("dense", "c", "W1 differs"), "dense is wrong in c: W1 differs"),
    ("nothing_compared", (), "no strategy was compared with vjp in this run"),
    (
        "same_gradients",
        (1, 1, [("float64", 2.1e-15)], 1),
        "in 1 cell over 1 graph, gradients differ from those of vjp by at most 3e-15 in float64, relative to the largest entry (1 cell failed)",
    ),
    (
        "same_gradients",
        (6, 3, [("float64", 0.0), ("float32", 9.7e-7)], 0),
        "in 6 cells over 3 graphs, gradients differ from those of vjp by at most 0 in float64 and 1e-06 in float32, relative to the largest entry",
    ),
    (
        "by_input_not_timed",
        (),
        "no case t = Wz differentiated with respect to z was timed with dense and vjp in two passes or more",
    ),
    ("no_batch_of_one", (), "no case of batch 1 was measured"),
    (
        "jacobian_by_input",
        ("nothing", "1.02×", None),
        "at batch 1 the Jacobian adds no memory beyond 2 % of W and 8 KiB, and a gradient through it takes at most 1.02× as long as vjp",
    ),
    (
        "jacobian_by_input",
        ("one copy", "1.02×", BATCHED),
        "at batch 1 the Jacobian adds at most the memory of one copy of W, and a gradient through it takes at most 1.02× as long as vjp; for 16 samples as one matrix it adds up to 256 times the bytes of W",
    ),
    (
        "jacobian_by_input",
        ("more", "1.02×", None),
        "at batch 1 the Jacobian adds more memory than one copy of W, and a gradient through it takes at most 1.02× as long as vjp",
    ),
    (
        "jacobian_by_input",
        ("unknown", "1.02×", None),
        "at batch 1 the Jacobian adds an amount of memory that is too small to be compared with W, and a gradient through it takes at most 1.02× as long as vjp",
    ),
    ("too_few_widths", ("the peak was measured",), "the peak was measured at fewer than three widths"),
    (
        "jacobian_by_weights",
        (3.0, 2.0**30, 512.0, "2.00 MiB", "51.2×"),
        "with n = m the bytes grow as n^3.00 (theory: 3), to 1.00 GiB at n = 512, where the peak of vjp is 2.00 MiB; a gradient takes 51.2× as long",
    ),
    (
        "jacobian_by_weights",
        (3.0, 2.0**30, 512.0, "timeout", ""),
        "with n = m the bytes grow as n^3.00 (theory: 3), to 1.00 GiB at n = 512, where the peak of vjp is timeout",
    ),
    ("growth_of_times", ([],), ""),
    ("growth_of_times", ([("vjp", 2.0, 1.9, 2.1), ("dense", 3.0, NAN, NAN)],), " (time grows as vjp n^2.00 [1.90, 2.10], dense n^3.00)"),
    ("power", ("n", 2.0, NAN, NAN), "n^2.00"),
    ("constant_product", (1.0, -1e-9), "; with constant n·m the bytes grow as n^1.00, those of vjp as n^0.00"),
    ("no_longer_fits", (1022.0, 8.0 * 2**30), "; above n = 1,022 it does not fit in this machine's 8.00 GiB"),
    ("not_as_in_theory", (), "; the measured exponent differs from theory"),
    ("no_interval", (), "; dense and vjp were not timed together in two passes or more"),
    (
        "sparse_work",
        (1, [], 0, 0, ["c"]),
        "in 1 case, sparse is clearly slower than vjp in 0, clearly faster in 0, and clearly needs more memory in 0; it is not clearly worse in time or memory in c",
    ),
    (
        "sparse_work",
        (3, [2.0, 3.0], 1, 2, []),
        "in 3 cases, sparse is clearly slower than vjp in 2 (up to 3.00×), clearly faster in 1, and clearly needs more memory in 2",
    ),
    ("first_three", (["a", "b", "c"],), "a, b, c"),
    ("first_three", (["a", "b", "c", "d"],), "a, b, c and 1 more"),
    ("outer_product", (1.0, 2.0, "", NAN, 512.0), f"the product takes 1.00 {PRODUCT}"),
    (
        "outer_product",
        (2.0, 2.0, "n^2.20", 256.0, 512.0),
        f"the product takes 2.00 {PRODUCT}, and its time as n^2.20; dt/dW takes 256× as many at n = 512",
    ),
    ("no_chain", (), "no chain was timed with direct rules and with an explicit matrix in two passes or more"),
    (
        "explicit_matrices",
        (1, 1, 0, ["neg 2.00× the time and 5.00× the memory"], []),
        "with explicit matrices a gradient is clearly slower in 1 of 1 cell and needs at least 8 KiB more memory in 0; at the largest size neg 2.00× the time and 5.00× the memory",
    ),
    (
        "explicit_matrices",
        (2, 1, 2, ["neg 2.00× the time and 5.00× the memory"], ["neg at 48"]),
        "with explicit matrices a gradient is clearly slower in 1 of 2 cells and needs at least 8 KiB more memory in 2; at the largest size neg 2.00× the time and 5.00× the memory; a matrix is clearly faster for neg at 48",
    ),
    ("link_cost", ("neg", 2.0, 5.0, ("5.00 MiB", "1.00 MiB")), "neg 2.00× the time and 5.00× the memory"),
    (
        "link_cost",
        ("neg", 2.0, NAN, ("5.00 MiB", "< 8 KiB")),
        "neg 2.00× the time and 5.00 MiB instead of < 8 KiB of memory",
    ),
    (
        "jacobians_first",
        (3.0, 3.0),
        "for one vector, multiplying the Jacobians first takes 3.00× as long as starting with the vector",
    ),
    (
        "jacobians_first",
        (3.0, 8.0),
        "for one vector, multiplying the Jacobians first takes 3.00× to 8.00× as long as starting with the vector",
    ),
    ("growth_of_orders", ([],), ""),
    (
        "growth_of_orders",
        ([("vjp", 2.0, 1.5)],),
        " (operations and time grow as vjp width^2.00 and width^1.50)",
    ),
    ("from_seeds", (8.0, 7.0, 9.0), "from 8 [7, 9] seeds at once"),
    ("after_uses", ("1", 1), "after 1 use of one Jacobian by one vector each (1 case)"),
    ("after_uses", ("3 to 40", 2), "after 3 to 40 uses of one Jacobian by one vector each (2 cases)"),
    ("pays_off", ([],), "; this run shows no number of vectors at which it pays off"),
    ("pays_off", (["from 8 [7, 9] seeds at once"],), "; it pays off from 8 [7, 9] seeds at once"),
    ("nothing_stored", (), "no strategy that stores a Jacobian was measured"),
    (
        "stored_jacobians",
        (1, 2, 0),
        "a stored Jacobian is clearly the fastest way to one gradient in 1 of 2 cases; in 0 more it becomes cheaper than vjp if it is used again",
    ),
    ("at_once", ("vjp", 2.0, 1.9, 2.1), "at once: vjp takes 2.00× [1.90×, 2.10×]"),
    ("after_products", (NAN, NAN, NAN), "from the first product"),
    ("after_products", (6.5, 6.0, 7.0), "after 6.5 [6, 7] products with it"),
]  # fmt: skip
"""Function, its arguments, and what it returns."""

CONCLUSIONS = {
    True: "; the claim is off by a factor of m, but its conclusion is right",
    False: "; the claim is off by a factor of m",
}


def test_every_function_has_a_case(sentence_names):
    assert {name for name, _, _ in CASES} | {"off_by_m"} == sentence_names(claim_sentences)


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_a_sentence_states_its_values(name, arguments, expected, sentence_flaws):
    assert getattr(claim_sentences, name)(*arguments) == expected
    assert sentence_flaws(expected.removeprefix(" ")) == []


@pytest.mark.parametrize("is_right", CONCLUSIONS)
def test_the_conclusion_may_be_right_although_the_claim_is_not(is_right):
    assert claim_sentences.off_by_m(is_right=is_right) == CONCLUSIONS[is_right]
