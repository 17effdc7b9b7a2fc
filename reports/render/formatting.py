"""A line of the verdict table in words, alike in every format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.reports.data.units import COUNTS, MISSING, format_bytes, format_ratio, format_seconds, format_tick
from jacobench.reports.regression.outcome import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from jacobench.reports.regression.outcome import Outcome

HEADLINES: Mapping[str, str] = {
    "clear": "No regression",
    "regressed": "Regression",
    "inconclusive": "Inconclusive",
    "contaminated": "The machine moved: no verdict",
    "nothing": "Nothing was measured",
}
"""State → what stands above everything."""


def _count(count: float) -> str:
    return f"{count:.0f}" if count < 1e4 else format_tick(count, COUNTS)


QUANTITIES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "seconds": ("time", format_seconds),
    "peak_bytes": ("peak memory", format_bytes),
    "retained_bytes": ("retained memory", format_bytes),
    "n_nonzeros": ("non-zeros", _count),
    "predicted_flops": ("flops", _count),
}
"""Quantity → its word, and how its values are written."""

FAILING = ("broken", "regressed")


@dataclass(frozen=True)
class Words:
    """A line of the verdict table as text.

    Attributes
    ----------
    verdict, case, strategy, phase : str
        As in the table.
    quantity, base, head : str
        With units.
    change : str
        Such as ``+12.3%``; interval such as ``[+11.0%, +13.6%]``, or empty.
    visible : str
        The smallest change that could have been seen.
    reason : str
        In a sentence, or empty.
    """

    verdict: str
    case: str
    strategy: str
    phase: str
    quantity: str
    base: str
    head: str
    change: str
    interval: str
    visible: str
    reason: str

    @property
    def sentence(self) -> str:
        """All of it that matters, in one line."""
        values = "" if self.base == self.head == MISSING else f" ({self.base} → {self.head})"
        change = "" if self.change == MISSING else f" {self.change}{self.interval and ' '}{self.interval}"
        reason = f"; {self.reason}" if self.reason else ""
        return f"{self.case} · {self.strategy} · {self.phase}: {self.quantity} {self.verdict}{change}{values}{reason}"


def words(line: Mapping[Any, Any]) -> Words:
    """Return a line of the verdict table as text."""
    quantity = str(line["quantity"])
    word, show = _shown(quantity)
    is_exponent = "~" in quantity
    change = f"{line['head'] - line['base']:+.2f}" if is_exponent else relative(line["ratio"])
    interval = "" if is_exponent else _interval(line["low"], line["high"])
    visible = line["detectable"]
    reason = line["reason"]
    return Words(
        verdict=str(line["verdict"]),
        case=on_one_line(str(line["case"])),
        strategy=on_one_line(str(line["strategy"])),
        phase=str(line["phase"]),
        quantity=word,
        base=_value(line["base"], show),
        head=_value(line["head"], show),
        change=change,
        interval=interval,
        visible=f"{visible:.2f}" if is_exponent else _visible(visible),
        reason=on_one_line(reason) if isinstance(reason, str) else "",
    )


def on_one_line(text: str) -> str:
    r"""Return a text without line breaks and characters that do not print: names and messages of plug-ins may hold anything.

    Examples
    --------
    >>> on_one_line("a\n\x1b[31m b")
    'a [31m b'
    """
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def relative(ratio: float) -> str:
    """Return a ratio as a change in percent, from a doubling on as a factor.

    Examples
    --------
    >>> relative(1.0234), relative(0.9), relative(3.5)
    ('+2.3%', '-10.0%', '3.50×')
    """
    if math.isnan(ratio):
        return MISSING
    if math.isinf(ratio):
        return "∞"
    return f"{ratio:.2f}×" if ratio >= 2 else f"{ratio - 1:+.1%}"


def worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Return the verdict table with the worst verdicts first, and within one the largest changes first."""
    order = table["verdict"].map({verdict: number for number, verdict in enumerate(VERDICTS)})
    size = -table["ratio"].astype(float).fillna(1.0).sub(1).abs()
    return (
        table.assign(_order=order, _size=size)
        .sort_values(["_order", "_size"], kind="stable")
        .drop(columns=["_order", "_size"])
    )


def counted(outcome: Outcome) -> str:
    """Return how many lines have which verdict, worst first, such as ``1 regressed · 59 unchanged``."""
    found = outcome.verdicts["verdict"].value_counts()
    return " · ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if verdict in found.index)


def _shown(quantity: str) -> tuple[str, Callable[[float], str]]:
    over, _, reference = quantity.partition("/")
    if reference:
        return f"{QUANTITIES[over][0]} over {reference}", format_ratio
    of, _, rest = quantity.partition("~")
    word, show = QUANTITIES.get(of, (of, lambda value: f"{value:.3g}"))
    if rest:
        return f"growth of {word} with {rest}", lambda exponent: f"{exponent:.2f}"
    return word, show


def _value(value: float, show: Callable[[float], str]) -> str:
    return MISSING if math.isnan(value) else show(value)


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"[{relative(low)}, {relative(high)}]"


def _visible(share: float) -> str:
    return f"{share:.1%}" if math.isfinite(share) else MISSING
