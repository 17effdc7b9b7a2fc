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

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        *linear.OPS,
        *low_rank.OPS,
        *convolution.OPS,
        *pooling.OPS,
        *arithmetic.OPS,
        *products.OPS,
        *sums.OPS,
        *elementwise.OPS,
        *dropout.OPS,
        *data_movement.OPS,
        *normalization.OPS,
        *losses.OPS,
    )
}
