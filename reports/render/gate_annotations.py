"""An outcome as GitHub's workflow commands, which it shows beside the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.render.formatting import FAILING, HEADLINES, words, worst_first

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.regression.outcome import Outcome

MOST = 10
"""GitHub shows ten annotations of a kind a step, and drops the others silently."""

LEVELS: Mapping[str, str] = {
    "clear": "notice",
    "regressed": "error",
    "inconclusive": "warning",
    "contaminated": "warning",
    "nothing": "error",
}
"""State → the kind of annotation that tells it."""


def annotate(outcome: Outcome, title: str) -> str:
    """Return workflow commands: one for each regressed or broken line, up to ten, and one for any other state.

    Parameters
    ----------
    outcome : Outcome
        Of a gate, or of two runs.
    title : str
        What was compared, in what.

    Returns
    -------
    str
        A command a line, to be printed to standard output. Empty where all is clear.
    """
    if outcome.state == "clear":
        return ""
    level, headline = LEVELS[outcome.state], f"{HEADLINES[outcome.state]}: {title}"
    if outcome.state != "regressed":
        return command(level, headline, " ".join(outcome.notes))
    failing = worst_first(outcome.verdicts[outcome.verdicts["verdict"].isin(FAILING)])
    told = [words(line).sentence for line in failing.to_dict("records")]
    if len(told) > MOST:
        told = [*told[: MOST - 1], f"and {len(told) - MOST + 1} more regressed or broken lines"]
    return "".join(command(level, headline, sentence) for sentence in told)


def command(level: str, title: str, message: str) -> str:
    r"""Return one workflow command, in which neither title nor message can end it or begin another.

    Examples
    --------
    >>> command("error", "a: b", "50 % slower")
    '::error title=a%3A b::50 %25 slower\n'
    """
    return f"::{level} title={_property(title)}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
