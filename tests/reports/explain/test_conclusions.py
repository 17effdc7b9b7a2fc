"""Sentences of the conclusions, word by word where they are promised."""

import jacobench as jb
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.conclusions import VJP_BY_OP, VJP_BY_STRUCTURE, follows
from jacobench.reports.explain.jacobian_costs import jacobian_costs

GIB = 2**30


def said(graph, memory_bytes=24 * GIB):
    return follows(jacobian_costs(graph), memory_bytes)


def test_the_sentence_that_answers_the_question():
    assert said(jb.mlp([784, 256, 10])[0])[0] == (
        "At batch 1, ∂affine1/∂W1 has 51,380,224 entries (392 MiB), of which 200,704 are not zero; "
        "its VJP is the outer product of two vectors you already have."
    )


def test_a_batch_makes_matrices_of_the_vectors():
    sentences = said(jb.mlp([784, 256, 10], batch=32)[0])
    assert sentences[0].startswith("At batch 32, ∂affine1/∂W1 has 1,644,167,168 entries (12.2 GiB)")
    assert sentences[0].endswith("its VJP is the product of two matrices you already have.")
    assert any("it is W, repeated 32 times" in sentence for sentence in sentences)


def test_the_jacobian_that_is_a_weight_is_called_so():
    assert any("it is W itself" in sentence for sentence in said(jb.mlp([8, 6, 4])[0]))


def test_one_sentence_a_structure_the_largest_first():
    sentences = said(jb.mlp([9, 8, 7, 6])[0])
    assert [sentence.split(" has ")[0] for sentence in sentences[1:5]] == [
        "∂affine1/∂b1", "∂tanh1/∂affine1", "∂affine2/∂tanh1", "∂mse/∂affine3",
    ]  # fmt: skip


def test_what_does_not_fit_is_named_the_heaviest_first():
    *_, fits, _ = said(jb.mlp([100, 100, 10], batch=8)[0], memory_bytes=2**20)
    assert fits.startswith("Would not fit in this machine's 1.00 MiB of memory: dense ∂affine1/∂W1 (61.0 MiB), dense ")
    assert "sparse ∂affine1/∂W1" not in fits
    *_, fits, _ = said(jb.mlp([100, 100, 10], batch=8)[0], memory_bytes=2**17)
    assert "and 1 more" in fits


def test_what_fits_one_by_one_need_not_fit_together():
    graph = jb.mlp([100, 100, 100, 100])[0]
    weights = [cost.dense_bytes for cost in jacobian_costs(graph).jacobians]
    *_, fits, _ = said(graph, memory_bytes=(max(weights) + sum(weights)) // 2)
    assert "Each Jacobian by itself fits" in fits
    assert "but not the dense ones together" in fits
    assert "but not" not in said(graph)[-2]


def test_the_strategies_are_compared():
    *_, compared = said(jb.mlp([784, 256, 10])[0])
    assert "1.55 MiB matrix-free, 395 MiB (254×) with dense Jacobians and 3.92 MiB (2.52×) with sparse ones" in compared


def test_words_are_of_things_that_are_there():
    structures = {argument.jacobian.structure.name for op in OPS.values() for argument in op.arguments if argument}
    assert set(VJP_BY_STRUCTURE) <= structures
    for name, k in VJP_BY_OP:
        OPS[name].argument(k)


def test_without_a_wording_the_arithmetic_is_given(monkeypatch):
    monkeypatch.delitem(VJP_BY_STRUCTURE, "diagonal")
    graph = op_graph("tanh", batch=1, size=1000)
    assert said(graph)[0].endswith("of which 1,000 are not zero; its VJP takes 3.00k flops and no matrix.")


def test_every_op_has_its_sentences():
    for name in OPS:
        for sentence in said(op_graph(name, batch=2, size=8)):
            assert "  " not in sentence
            assert sentence.endswith(".")


def test_one_entry_is_one():
    g = jb.GraphBuilder()
    assert "∂tanh/∂p has 1 entry (8 B), of which all are not zero" in said(g.build(g.tanh(g.parameter("p", ()))))[0]
