"""The eight claims. Each entry has the claim, the theory and the function that tests it on a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.reports.claims.jacobian_claims import (
    outer_product_takes_n_operations,
    products_need_no_matrices,
    sparse_does_a_bunch_of_work,
    weight_matrix_is_the_jacobian,
    weights_jacobian_is_expensive,
)
from jacobench.reports.claims.order_claims import same_gradients, sometimes_worth_it, vector_first_is_cheaper
from jacobench.reports.data.machine_parts import by_machine
from jacobench.reports.data.vocabulary import heading

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.reports.claims.claim_evidence import ClaimFinding
    from jacobench.reports.data.run_data import Run


@dataclass(frozen=True)
class Claim:
    """One claim, close to the original words, and what theory says about it.

    ``judge``: run → finding. Every number in the finding is from the run.
    """

    claimed: str
    theory: str
    judge: Callable[[Run], ClaimFinding]


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "To backpropagate, no Jacobian is needed: vector-Jacobian products are enough.",
        "The chain rule is a product of Jacobians. Evaluated from the vector's side, each step is a vector-Jacobian product.",
        same_gradients,
    ),
    Claim(
        "For t = Wz, dt/dz = W is fine to materialize.",
        "W already exists: at batch 1 the Jacobian costs nothing. For B samples as one matrix it is block-diagonal, with W repeated B times.",
        weight_matrix_is_the_jacobian,
    ),
    Claim(
        "dt/dW is an n × n × m object, very expensive to compute.",
        "It has n·n·m entries, n·m of them non-zero. With n = m it grows cubically; W and the product with a vector grow quadratically.",
        weights_jacobian_is_expensive,
    ),
    Claim(
        "A sparse representation of it has to do a bunch of work.",
        "It stores n·m values and their indices, and multiplies by them: the same order as the product, with a larger constant.",
        sparse_does_a_bunch_of_work,
    ),
    Claim(
        "The outer product requires only n operations, much less than n²m.",
        "It has n·m entries, each one multiplication: n·m operations.",
        outer_product_takes_n_operations,
    ),
    Claim(
        "For g = A B C D e the products can be taken without storing the matrices, way easier and with much lower memory.",
        "Negation, permutation, cross product and convolution each take a multiple of n operations and no matrix of n².",
        products_need_no_matrices,
    ),
    Claim(
        "There is no reason to compute all the Jacobians and then to multiply them.",
        "Matrix times matrix is cubic, vector times matrix quadratic. For K vectors at one point the whole product is computed once, which pays off for large K.",
        vector_first_is_cheaper,
    ),
    Claim(
        "Sometimes it makes sense to materialize a Jacobian.",
        "It does if the Jacobian is small, very sparse, or used for many vectors.",
        sometimes_worth_it,
    ),
)


def judge(run: Run) -> list[tuple[Claim, ClaimFinding]]:
    """Test every claim, in order, on the rows of a run of one machine.

    The run needs the suite ``claims`` and at least two passes. Other runs do not show some of the claims.
    """
    return [(claim, claim.judge(run)) for claim in CLAIMS]


def lines(run: Run) -> list[str]:
    """Return one line per claim: ``"claim 3: holds with a bound, but sparse runs at … and could win — …"``.

    If the run has several machines, a line with the machine precedes the claims of each.
    """
    found = []
    for part in by_machine(run).values():
        found += [f"machine: {name}"] if (name := heading(part.table)) else []
        found += [f"claim {number}: {one.guarded} — {one.sentence}" for number, (_, one) in enumerate(judge(part), 1)]
    return found
