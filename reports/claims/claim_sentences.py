"""Sentences of the findings, made from numbers: plain text on one line, without a full stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jacobench.graphs.wording import counted, listed
from jacobench.reports.data.units import format_bytes, format_interval, format_ratio, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    Exponent = tuple[str, float, float, float]  # strategy, exponent of its time, and the 95 % interval

ADDS = {
    "nothing": "adds no memory beyond 2 % of W and 8 KiB",
    "one copy": "adds at most the memory of one copy of W",
    "more": "adds more memory than one copy of W",
    "unknown": "adds an amount of memory that is too small to be compared with W",
}


def not_timed(first: str, second: str) -> str:
    """State that two strategies cannot be compared."""
    return f"{first} was not timed together with {second} in two passes or more"


def differs(case: str, reason: str) -> str:
    """State that vjp itself is wrong."""
    return f"vjp disagrees with central differences in {case}: {reason}"


def is_wrong(strategy: str, case: str, reason: str) -> str:
    """State that another strategy is wrong."""
    return f"{strategy} is wrong in {case}: {reason}"


def nothing_compared() -> str:
    """State that no gradient was compared."""
    return "no strategy was compared with vjp in this run"


def same_gradients(n_cells: int, n_cases: int, largest: Sequence[tuple[str, float]], n_failed: int) -> str:
    """Return the largest relative difference of each dtype, rounded up."""
    errors = listed([f"{_rounded_up(error)} in {dtype}" for dtype, error in largest])
    failed = f" ({counted(n_failed, 'cell')} failed)" if n_failed else ""
    return (
        f"in {counted(n_cells, 'cell')} over {counted(n_cases, 'graph')}, gradients differ from those of vjp by at most "
        f"{errors}, relative to the largest entry{failed}"
    )


def by_input_not_timed() -> str:
    """State that claim 2 was not measured."""
    return "no case t = Wz differentiated with respect to z was timed with dense and vjp in two passes or more"


def no_batch_of_one() -> str:
    """State that claim 2 was measured at larger batches only."""
    return "no case of batch 1 was measured"


def jacobian_by_input(adds: str, slowest: str, batched: tuple[float, float] | None) -> str:
    """Return what W as a Jacobian adds, a key of `ADDS`; ``batched``: the largest share of W, and its batch."""
    text = f"at batch 1 the Jacobian {ADDS[adds]}, and a gradient through it takes at most {slowest} as long as vjp"
    if batched is None:
        return text
    share, batch = batched
    return (
        f"{text}; for {counted(batch, 'sample')} as one matrix it adds up to {format_size(share)} times the bytes of W"
    )


def too_few_widths(what: str) -> str:
    """State that a growth is unknown."""
    return f"{what} at fewer than three widths"


def jacobian_by_weights(exponent: float, n_bytes: float, n: float, vjp_peak: str, time: str) -> str:
    """Return how the dense Jacobian grows, and its cost at the largest width; ``time`` is empty if it is unknown."""
    takes = f"; a gradient takes {time} as long" if time else ""
    return (
        f"with n = m the bytes grow as n^{exponent:.2f} (theory: 3), to {format_bytes(n_bytes)} at n = {format_size(n)}, "
        f"where the peak of vjp is {vjp_peak}{takes}"
    )


def growth_of_times(exponents: Sequence[Exponent]) -> str:
    """Return the exponents of the times; empty for none."""
    parts = [f"{name} {power('n', *exponent)}" for name, *exponent in exponents]
    return f" (time grows as {', '.join(parts)})" if parts else ""


def power(base: str, exponent: float, low: float, high: float) -> str:
    """Return a power with the interval of its exponent, if there is one."""
    interval = "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{base}^{exponent:.2f}{interval}"


def constant_product(dense: float, vjp: float) -> str:
    """Return the exponents of the bytes where n·m is constant."""
    return f"; with constant n·m the bytes grow as n^{dense:z.2f}, those of vjp as n^{vjp:z.2f}"


def no_longer_fits(n: float, n_bytes: float) -> str:
    """Return the width above which the Jacobian exceeds the memory."""
    return f"; above n = {format_size(n)} it does not fit in this machine's {format_bytes(n_bytes)}"


def not_as_in_theory() -> str:
    """State why a measured growth is no answer."""
    return "; the measured exponent differs from theory"


def no_interval() -> str:
    """State why a time is no answer."""
    return "; dense and vjp were not timed together in two passes or more"


def sparse_work(n_cases: int, slower: Sequence[float], n_faster: int, n_more: int, not_worse: Sequence[str]) -> str:
    """Compare sparse with vjp; ``slower``: the factors of the cases in which it is clearly slower."""
    up_to = f" (up to {format_ratio(max(slower))})" if slower else ""
    text = (
        f"in {counted(n_cases, 'case')}, sparse is clearly slower than vjp in {len(slower)}{up_to}, clearly faster in "
        f"{n_faster}, and clearly needs more memory in {n_more}"
    )
    return text + (f"; it is not clearly worse in time or memory in {first_three(not_worse)}" if not_worse else "")


def first_three(names: Sequence[str]) -> str:
    """Return up to three names, and how many more there are."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def outer_product(per_entry: float, exponent: float, time: str, factor: float, n: float) -> str:
    """Return the operations of the product; ``factor``: those through the Jacobian, over them, at the width n."""
    grows = f", and its time as {time}" if time else ""
    saved = "" if math.isnan(factor) else f"; dt/dW takes {format_ratio(factor)} as many at n = {format_size(n)}"
    return (
        f"the product takes {per_entry:.2f} operations (a multiplication, and an addition over the batch) for each of the "
        f"n·m entries of W; their number grows as n^{exponent:.2f} with n = m{grows}{saved}"
    )


def off_by_m(*, is_right: bool) -> str:
    """State what is wrong about claim 5; ``is_right``: the Jacobian takes more than twice the operations."""
    return "; the claim is off by a factor of m" + (", but its conclusion is right" if is_right else "")


def no_chain() -> str:
    """State that claim 6 was not measured."""
    return "no chain was timed with direct rules and with an explicit matrix in two passes or more"


def explicit_matrices(n_cells: int, n_slower: int, n_more: int, largest: Sequence[str], faster: Sequence[str]) -> str:
    """Compare matrices with direct rules; ``largest``: the texts of `link_cost` at the largest sizes."""
    text = (
        f"with explicit matrices a gradient is clearly slower in {n_slower} of {counted(n_cells, 'cell')} and needs at "
        f"least 8 KiB more memory in {n_more}; at the largest size {', '.join(largest)}"
    )
    return text + (f"; a matrix is clearly faster for {first_three(faster)}" if faster else "")


def link_cost(link: str, time: float, memory: float, peaks: tuple[str, str]) -> str:
    """Return the cost of a matrix over that of the direct rule; without a ratio of memory, both peaks."""
    shown = f"{peaks[0]} instead of {peaks[1]} of" if math.isnan(memory) else f"{format_ratio(memory)} the"
    return f"{link} {format_ratio(time)} the time and {shown} memory"


def jacobians_first(low: float, high: float) -> str:
    """Return the smallest and the largest factor of one product in the other order."""
    factors = " to ".join(dict.fromkeys(map(format_ratio, (low, high))))
    return f"for one vector, multiplying the Jacobians first takes {factors} as long as starting with the vector"


def growth_of_orders(exponents: Sequence[tuple[str, float, float]]) -> str:
    """Return for each order the exponents of operations and time in the width; empty for none."""
    parts = [f"{name} width^{flops:.2f} and width^{seconds:.2f}" for name, flops, seconds in exponents]
    return f" (operations and time grow as {', '.join(parts)})" if parts else ""


def from_seeds(size: float, low: float, high: float) -> str:
    """Return the number of seeds from which the Jacobians first are cheaper."""
    return f"from {format_size(size)} [{format_size(low)}, {format_size(high)}] seeds at once"


def after_uses(uses: str, n_cases: int) -> str:
    """Return the number of uses after which the Jacobians first are cheaper."""
    return f"after {counted(uses, 'use')} of one Jacobian by one vector each ({counted(n_cases, 'case')})"


def pays_off(parts: Sequence[str]) -> str:
    """Return when the Jacobians first are cheaper."""
    return f"; it pays off {listed(parts)}" if parts else "; this run shows no number of vectors at which it pays off"


def nothing_stored() -> str:
    """State that claim 8 was not measured."""
    return "no strategy that stores a Jacobian was measured"


def stored_jacobians(n_wins: int, n_cases: int, n_more: int) -> str:
    """Return in how many cases a stored Jacobian wins at once, and in how many more if it is used again."""
    return (
        f"a stored Jacobian is clearly the fastest way to one gradient in {n_wins} of {counted(n_cases, 'case')}; "
        f"in {n_more} more it becomes cheaper than vjp if it is used again"
    )


def at_once(runner_up: str, factor: float, low: float, high: float) -> str:
    """Return by how much a stored Jacobian is the fastest."""
    return f"at once: {runner_up} takes {format_interval(factor, low, high)}"


def after_products(uses: float, low: float, high: float) -> str:
    """Return the number of products after which a stored Jacobian is cheaper; "from the first" if it is NaN."""
    if math.isnan(uses):
        return "from the first product"
    return f"after {format_size(uses)} [{format_size(low)}, {format_size(high)}] products with it"


def _rounded_up(error: float) -> str:
    """Return a number rounded up to one digit."""
    if error == 0:
        return "0"
    power = 10.0 ** math.floor(math.log10(error))
    return f"{math.ceil(error / power - 1e-9) * power:.0e}"
