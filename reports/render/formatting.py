"""A line of the verdict table as text, the same in every format."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from jacobench.bench.row.columns import HEAP
from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY
from jacobench.reports.data.units import (
    BELOW_RESOLUTION,
    COUNTS,
    MISSING,
    format_bytes,
    format_change,
    format_ratio,
    format_seconds,
    format_tick,
)
from jacobench.reports.regression.gate_sentences import detectable_text
from jacobench.reports.regression.outcome import VERDICTS, has_other_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

HEADLINES: Mapping[str, str] = {
    "clear": "No regression",
    "regressed": "Regression",
    "inconclusive": "Inconclusive",
    "contaminated": "The machine changed: no verdict",
    "nothing": "Nothing was measured",
}
"""State → headline."""


def _count(count: float) -> str:
    return f"{count:.0f}" if count < 1e4 else format_tick(count, COUNTS)


QUANTITIES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "seconds": ("time", format_seconds),
    "peak_bytes": ("peak memory", format_bytes),
    "retained_bytes": ("retained memory", format_bytes),
    "n_nonzeros": ("non-zeros", _count),
    "predicted_flops": ("flops", _count),
}
"""Quantity → its name, and the format of its values."""


HEADINGS = ("verdict", "case", "strategy", "phase", "quantity", "base", "head", "change", "95 % interval", "detectable")
"""Headings of the fields of `VerdictText`, without the reason."""

N_NAMES = 5
"""The first columns are names and left-aligned; the others are numbers."""


class VerdictText(NamedTuple):
    """A line of the verdict table as text; ``interval`` and ``reason`` may be empty."""

    verdict: str
    case: str
    strategy: str
    phase: str
    quantity: str
    base: str
    head: str
    change: str
    interval: str
    detectable: str
    reason: str

    @property
    def sentence(self) -> str:
        """The line as one sentence."""
        values = "" if self.base == self.head == MISSING else f" ({self.base} → {self.head})"
        change = "" if self.change == MISSING else f" {self.change}{self.interval and ' '}{self.interval}"
        reason = f"; {self.reason}" if self.reason else ""
        row = self.case if self.is_benchmark else f"{self.case} · {self.strategy} · {self.phase}"
        return f"{row}: {self.quantity} {self.verdict}{change}{values}{reason}"

    @property
    def is_benchmark(self) -> bool:
        """Whether the row is a benchmark of pytest-benchmark, which has no strategy and one phase."""
        return (self.strategy, self.phase) == (STRATEGY, PHASE)


def names_shown(lines: Iterable[VerdictText]) -> list[int]:
    """Return the positions of the columns that name rows; those of strategies and phases only if they differ."""
    kept = [HEADINGS.index(name) for name in ("strategy", "phase")]
    only = all(line.is_benchmark for line in lines)
    return [n for n in range(N_NAMES) if not (only and n in kept)]


def verdict_texts(table: pd.DataFrame) -> list[VerdictText]:
    """Return the lines of a verdict table as text: the worst verdict first, then the largest change first."""
    order = table["verdict"].map({verdict: number for number, verdict in enumerate(VERDICTS)})
    size = -table["ratio"].astype(float).fillna(1.0).sub(1).abs()
    ranked = table.assign(_order=order, _size=size).sort_values(["_order", "_size"], kind="stable")
    return [_text(line) for line in ranked.to_dict("records")]


def _text(line: Mapping[Any, Any]) -> VerdictText:
    quantity, show = _shown(str(line["quantity"]))
    is_exponent = "~" in str(line["quantity"])
    low, high, detectable, reason = (line[name] for name in ("low", "high", "detectable", "reason"))
    has_interval = not is_exponent and low > 0 and math.isfinite(high)  # six pairs are the fewest with both ends
    missing = BELOW_RESOLUTION if line["quantity"] in HEAP else MISSING
    least = f"{detectable:.2f}" if is_exponent and math.isfinite(detectable) else detectable_text(detectable)
    return VerdictText(
        verdict=str(line["verdict"]),
        case=on_one_line(str(line["case"])),
        strategy=on_one_line(str(line["strategy"])),
        phase=str(line["phase"]),
        quantity=quantity,
        base=missing if math.isnan(line["base"]) else show(line["base"]),
        head=missing if math.isnan(line["head"]) else show(line["head"]),
        change=f"{line['head'] - line['base']:+z.2f}" if is_exponent else format_change(line["ratio"]),
        interval=f"[{format_change(low)}, {format_change(high)}]" if has_interval else "",
        detectable=least,
        reason=on_one_line(reason)
        if isinstance(reason, str) and not has_other_verdict(str(line["verdict"]), reason)
        else "",
    )


def on_one_line(text: str) -> str:
    r"""Return a text without line breaks and non-printable characters: names and messages of plug-ins may contain them.

    >>> on_one_line("a\n\x1b[31m b")
    'a [31m b'
    """
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def counted(verdicts: Iterable[str]) -> str:
    """Return the number of each verdict, worst first.

    >>> counted(["unchanged", "regressed", "unchanged"])
    '1 regressed · 2 unchanged'
    """
    found = Counter(verdicts)
    return " · ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict])


def _shown(quantity: str) -> tuple[str, Callable[[float], str]]:
    """Return the name of a quantity and its format: ``/`` is a ratio to a reference, ``~`` an exponent."""
    of, _, reference = quantity.partition("/")
    if reference:
        return f"{QUANTITIES[of][0]} over {reference}", format_ratio
    of, _, knob = quantity.partition("~")
    name, show = QUANTITIES.get(of, (of, lambda value: f"{value:.3g}"))
    return (f"growth of {name} with {knob}", lambda exponent: f"{exponent:z.2f}") if knob else (name, show)
