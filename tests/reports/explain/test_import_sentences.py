"""Sentences on an imported model: each function with values whose truth is known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.graph import Origin
from jacobench.reports.explain import import_sentences

NAMES = [(f"w{k}", (2, 3), True) for k in range(14)]

CASES = [
    ("source", ("JAX", 1, 0.5, 0.25), "Imported from JAX: 1 node, in 750 ms (500 ms in JAX, 250 ms for the conversion)."),
    ("leaves", ([("x", (2, 3), False), ("b", (), True)],), "Differentiated with respect to 1 leaf: b scalar. Other leaves: x 2×3."),
    ("leaves", (NAMES,), "Differentiated with respect to 14 leaves: " + ", ".join(f"w{k} 2×3" for k in range(11)) + " and 3 more."),
    ("constants", (0, 0), "No constants."),
    ("constants", (2, 2048), "Constants, which are no leaves: 2 (2.00 KiB)."),
    ("removed", (["a (add)", "b"],), "Removed, because the output does not need them or they are constant: a (add) and b."),
    ("removed", ([],), ""),
    ("general", (Counter({"einsum": 2, "gather": 1}),), "Ops with a general rule, which a special op may beat: einsum (2) and gather (1)."),
    ("general", (Counter(),), ""),
]  # fmt: skip


def test_every_function_has_a_case(sentence_names):
    assert {"imported", *(name for name, _, _ in CASES)} == sentence_names(import_sentences)


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_a_sentence_states_its_values(name, arguments, expected, sentence_flaws):
    assert getattr(import_sentences, name)(*arguments) == expected
    assert sentence_flaws(expected) == []


def test_only_an_imported_graph_has_sentences():
    g = GraphBuilder()
    graph = g.build(g.add(g.parameter("b", (3,)), g.constant(np.ones(3))))
    assert import_sentences.imported(graph) == []
    found = import_sentences.imported(graph.with_origin(Origin("torch", ("dead",), 1.0, 1.0)))
    assert found == [
        "Imported from torch: 1 node, in 2.00 s (1.00 s in torch, 1.00 s for the conversion).",
        "Differentiated with respect to 1 leaf: b 3.",
        "Constants, which are no leaves: 1 (24 B).",
        "Removed, because the output does not need them or they are constant: dead.",
    ]
