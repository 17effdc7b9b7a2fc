"""Op table: all ops by name."""

from jacobench.graphs.op import Op
from jacobench.graphs.ops import (
    activations,
    arithmetic,
    box_copies,
    choices,
    convolution,
    cumulative,
    data_movement,
    einsum,
    elementwise,
    functions,
    indexing,
    linear,
    losses,
    masked_linear,
    normalization,
    pooling,
    products,
    reductions,
)

_MODULES = (
    linear,
    masked_linear,
    convolution,
    pooling,
    arithmetic,
    functions,
    choices,
    products,
    einsum,
    reductions,
    cumulative,
    elementwise,
    activations,
    box_copies,
    data_movement,
    indexing,
    normalization,
    losses,
)

OPS: dict[str, Op] = {op.name: op for module in _MODULES for op in module.OPS}
