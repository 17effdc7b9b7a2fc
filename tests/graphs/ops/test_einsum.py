"""The general product against ``np.einsum``: values, Jacobians and rules, for every kind of labels."""

import numpy as np
import pytest
from scipy.sparse import block_diag

from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.calls import run
from jacobench.graphs.errors import BadInput
from jacobench.graphs.ops import OPS
from jacobench.strategies import dense, sparse

TOLERANCES = {"float64": 1e-12, "float32": 1e-4}
N_SEEDS = 3

CASES = {
    "stack of products": "bij,bjk->bik",
    "shared weight": "bsi,io->bso",
    "queries and keys": "bqhd,bkhd->bhqk",
    "weights and values": "bhqk,bkhd->bqhd",
    "scalars": ",->",
    "a scalar": "ij,->ij",
    "scalar product": "i,i->",
    "scalar products": "bi,bi->b",
    "outer product": "i,j->ij",
    "entry by entry": "bij,bij->bij",
    "trace of a product": "ij,ji->",
    "diagonal of a factor": "aab,bc->ac",
    "the batch on a diagonal": "bb,bc->bc",
    "summed alone": "ij,kx->j",
    "the batch inside": "cb,bd->dc",
    "merged with a copy": "abc,dcb->da",
    "copied to the result": "ijb,jkb->ikb",
    "the batch of one factor is inside": "ba,cba->bc",
    "letters of the seeds": "zaZ,bZ->zab",
}


def node_of(subscripts, dtype="float64"):
    """Return the node of a product, its output and its factors; each letter has its own length."""
    terms = subscripts.split("->")[0].split(",")
    lengths = {letter: 2 + k % 3 for k, letter in enumerate(sorted(set("".join(terms))))}
    g = GraphBuilder(dtype)
    factors = [g.input(f"x{k}", [lengths[letter] for letter in term]) for k, term in enumerate(terms)]
    graph = g.build(g.einsum(*factors, subscripts=subscripts), wrt="all")
    (node,), xs = graph.nodes, tuple(graph.sample().values())
    return node, np.asarray(node.op.forward(NUMPY, *xs, **node.attrs)), xs


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("case", CASES)
def test_values_and_rules_are_those_of_einsum(case, dtype):
    """The product is linear in each factor, so its values at the unit arrays are the columns of the Jacobian."""
    subscripts, tolerance = CASES[case], TOLERANCES[dtype]
    node, y, xs = node_of(subscripts, dtype)
    np.testing.assert_allclose(y, np.einsum(subscripts, *xs), rtol=0, atol=tolerance)
    assert y.dtype == dtype
    rng = np.random.default_rng(1)
    for k, ctx in enumerate(node.contexts):
        argument = node.op.argument(k)
        J = dense.materialize(argument.jacobian, y, xs, ctx)
        units = np.eye(ctx.n_in).reshape(-1, *ctx.x)
        columns = [np.einsum(subscripts, *(unit if i == k else x for i, x in enumerate(xs))) for unit in units]
        np.testing.assert_allclose(J, np.stack(columns, -1).reshape(J.shape), rtol=0, atol=tolerance)
        S = sparse.materialize(argument.jacobian, argument.jacobian.structure.pattern(ctx), y, xs, ctx)
        assert S.has_canonical_format
        np.testing.assert_array_equal(S.toarray(), J)
        np.testing.assert_array_equal(block_diag(dense.materialize_blocks(argument.jacobian, y, xs, ctx)).toarray(), J)
        u = rng.standard_normal((N_SEEDS, *ctx.out)).astype(dtype)
        v = rng.standard_normal((N_SEEDS, *ctx.x)).astype(dtype)
        x_bar, y_dot = argument.vjp(u, y, xs, ctx), argument.jvp(v, y, xs, ctx)
        assert x_bar.dtype == y_dot.dtype == dtype
        np.testing.assert_allclose(x_bar, (u.reshape(N_SEEDS, -1) @ J).reshape(v.shape), rtol=0, atol=10 * tolerance)
        np.testing.assert_allclose(y_dot, (v.reshape(N_SEEDS, -1) @ J.T).reshape(u.shape), rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("case", [case for case, subscripts in CASES.items() if not subscripts.endswith(">")])
def test_the_vjp_of_each_sample_is_that_of_its_cotangent(case):
    """The cotangents of sample i are those of a seed that is zero for all other samples."""
    node, y, xs = node_of(CASES[case])
    u = np.random.default_rng(2).standard_normal((N_SEEDS, *node.shape))
    for k, ctx in enumerate(node.contexts):
        argument = node.op.argument(k)
        each = argument.per_sample_vjp(u, y, xs, ctx)
        into = np.full_like(each, np.nan)
        run(argument.per_sample_floor(u, y, xs, into, ctx))
        for i, x_bar in enumerate(each):
            alone = np.zeros_like(u)
            alone[:, i] = u[:, i]
            np.testing.assert_allclose(x_bar, argument.vjp(alone, y, xs, ctx), rtol=0, atol=1e-12)
            np.testing.assert_allclose(into[i], x_bar, rtol=0, atol=1e-12)


def test_products_of_matrices_are_products_of_the_blas():
    """Others would take ten times as long."""
    for case in ("stack of products", "shared weight", "queries and keys", "weights and values", "the batch inside"):
        plans = node_of(CASES[case])[0].attrs["subscripts"]
        assert all(plan.is_matrix_product for plan in (plans.forward, *plans.vjp, *plans.jvp)), case


def test_attention_and_dense_layers_are_not_copied():
    for case in ("stack of products", "shared weight", "queries and keys", "weights and values"):
        plans = node_of(CASES[case])[0].attrs["subscripts"]
        for plan in (plans.forward, *plans.vjp):
            assert plan.is_direct
            assert plan.scratch == plan.scratch_once == 0, (case, plan.subscripts)


def test_samples_are_those_of_the_factor_whose_leading_axis_is_that_of_the_output():
    samples = {case: [ctx.samples for ctx in node_of(text)[0].contexts] for case, text in CASES.items()}
    assert samples["stack of products"] == [2, 2]
    assert samples["shared weight"] == [2, 1]
    assert samples["the batch inside"] == [1, 1]
    assert samples["summed alone"] == [1, 1]


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("ij", "expected letters of two arguments and the output: 'bij,bjk->bik'"),
        ("...ij,jk->ik", "expected letters of two arguments"),
        (None, "the subscripts are None: expected letters"),
        ("ij,jk->ii", "expected an output of different letters of the arguments"),
        ("ij,jk->il", "expected an output of different letters of the arguments"),
        ("ij,ik->jk", r"shapes \(2, 3\) and \(3, 4\) do not fit the subscripts 'ij,ik->jk': expected one length"),
        ("ijk,jk->i", "expected one length for each letter"),
    ],
)
def test_subscripts_that_do_not_fit_are_named(subscripts, message):
    g = GraphBuilder()
    with pytest.raises(BadInput, match=f"einsum: .*{message}"):
        g.einsum(g.input("x", (2, 3)), g.input("y", (3, 4)), subscripts=subscripts)


def test_it_is_a_general_op():
    assert OPS["einsum"].is_general
