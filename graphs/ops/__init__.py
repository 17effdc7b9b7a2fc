"""The op table: every op that a graph can be made of, by name."""

from jacobench.graphs.op import Op
from jacobench.graphs.ops import arithmetic, elementwise, linear, losses, moves, normalization

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        *linear.OPS,
        *arithmetic.OPS,
        *elementwise.OPS,
        *moves.OPS,
        *normalization.OPS,
        *losses.OPS,
    )
}
