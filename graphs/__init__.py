"""What is differentiated: ops as a table of rules, the graph, generators, and the catalogue of architectures."""

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import Graph
from jacobench.graphs.mlp import mlp

__all__ = ["BadInput", "Graph", "GraphBuilder", "mlp"]
