"""The eight claims, and what a run says of each: one entry a claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.claims.claim_finding import Claim, Finding
from jacobench.reports.claims.gradient_claims import same_gradients
from jacobench.reports.claims.order_claims import sometimes_worth_it, vector_first_is_cheaper
from jacobench.reports.claims.storage_claims import products_need_no_matrices, sparse_does_a_bunch_of_work
from jacobench.reports.claims.weight_claims import (
    outer_product_takes_n_operations,
    weight_matrix_is_the_jacobian,
    weights_jacobian_is_expensive,
)

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "To backpropagate, no Jacobian is needed: vector-Jacobian products do.",
        "The chain rule is a product of Jacobians; it may be bracketed from the vector's side, and then each step is a product.",
        same_gradients,
    ),
    Claim(
        "For t = Wz, dt/dz = W is fine to materialize.",
        "It is an array that is there already: at batch 1 it costs nothing. For B samples as one matrix it is block-diagonal, W repeated B times.",
        weight_matrix_is_the_jacobian,
    ),
    Claim(
        "dt/dW is an n × n × m object, very expensive to compute.",
        "n·n·m entries, of which n·m are not zero: with n = m cubic growth, where W and the product with a vector are quadratic.",
        weights_jacobian_is_expensive,
    ),
    Claim(
        "A sparse representation of it has to do a bunch of work.",
        "It stores n·m values and their indices, and multiplies by them: the same order as the product, with a larger constant.",
        sparse_does_a_bunch_of_work,
    ),
    Claim(
        "The outer product requires only n operations, much less than n²m.",
        "It has n·m entries, each a multiplication: n·m operations.",
        outer_product_takes_n_operations,
    ),
    Claim(
        "For g = A B C D e the products can be taken without storing the matrices, way easier and with much lower memory.",
        "Negation, permutation, cross product and convolution each take a multiple of n operations and no matrix of n².",
        products_need_no_matrices,
    ),
    Claim(
        "There is no reason to compute all the Jacobians and then to multiply them.",
        "Matrix times matrix is cubic, vector times matrix quadratic. For K vectors at one point the whole product is computed once, and pays for large K.",
        vector_first_is_cheaper,
    ),
    Claim(
        "Sometimes it makes sense to materialize a Jacobian.",
        "Where it is small or very sparse, or used for many vectors.",
        sometimes_worth_it,
    ),
)


def judge(run: Run) -> list[tuple[Claim, Finding]]:
    """Judge every claim from the rows of a run.

    Parameters
    ----------
    run : Run
        Best of the suite ``claims``, with two passes or more; of another run some claims are not shown.

    Returns
    -------
    list of (Claim, Finding)
        In the order of the claims.
    """
    return [(claim, claim.judge(run)) for claim in CLAIMS]


def lines(run: Run) -> list[str]:
    """Return one line a claim: ``"claim 3: holds with a bound — …"``."""
    return [f"claim {number}: {found.verdict} — {found.sentence}" for number, (_, found) in enumerate(judge(run), 1)]
