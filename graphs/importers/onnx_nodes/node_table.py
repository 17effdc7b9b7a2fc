"""All ONNX operators that can be imported."""

from __future__ import annotations

from jacobench.graphs.importers.onnx_nodes import elementwise_nodes, layer_nodes, movement_nodes, reduction_nodes

RULES = {**elementwise_nodes.RULES, **reduction_nodes.RULES, **movement_nodes.RULES, **layer_nodes.RULES}
"""Name of the operator → how it is imported."""
