"""The forms in which an outcome leaves the gate: one entry each, from outcome and title to text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.reports.verdicts.outcome import Outcome

    Format = Callable[[Outcome, str], str]

FORMATS: Mapping[str, Format] = {}
"""``markdown`` (a comment on a pull request), ``summary`` (GitHub's step summary, at most 1 MiB as UTF-8), ``annotations`` (workflow commands,
a line each, for standard output), ``junit`` (XML). ``FORMATS[name](outcome, title)``; the title says what was compared in what, such as
``"1a2b3c → 4d5e6f · standard"``."""
