"""Elementary functions of one and two arguments, which broadcast."""

from __future__ import annotations

from jacobench.graphs.op import OUTPUT
from jacobench.graphs.ops.pointwise import factor, pointwise

OPS = (pointwise("exp", lambda xp, x: xp.exp(x), (factor(OUTPUT),), source="the exponential function"),)
