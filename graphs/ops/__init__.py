"""Op table: all ops by name."""

from jacobench.graphs.op import Op
from jacobench.graphs.ops import (
    arithmetic,
    convolution,
    data_movement,
    dropout,
    elementwise,
    linear,
    losses,
    low_rank,
    normalization,
    pooling,
    products,
    sums,
)

_MODULES = (
    linear,
    low_rank,
    convolution,
    pooling,
    arithmetic,
    products,
    sums,
    elementwise,
    dropout,
    data_movement,
    normalization,
    losses,
)

OPS: dict[str, Op] = {op.name: op for module in _MODULES for op in module.OPS}
