"""One setting of the process that strategies share: how it is read, compared and restored."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Changes:
    """Settings that a strategy changed, each with details."""

    undone: tuple[str, ...] = ()  # they have their earlier values again
    lasting: tuple[str, ...] = ()  # they cannot be restored

    def __add__(self, other: Changes) -> Changes:
        """Return the changes of both, each once."""
        return Changes(
            tuple(dict.fromkeys(self.undone + other.undone)), tuple(dict.fromkeys(self.lasting + other.lasting))
        )

    def note(self) -> str:
        """Return a note for the strategy's rows; empty without changes."""
        undone = f"its changes to the process were undone: {', '.join(self.undone)}" if self.undone else ""
        lasting = (
            "its changes to the process cannot be undone, so no other strategy follows it in this process: "
            f"{', '.join(self.lasting)}"
            if self.lasting
            else ""
        )
        return "; ".join(filter(None, (undone, lasting)))


# ---- differences between two values of a setting: a description, empty if there is none


def value_change(before: Any, after: Any) -> str:
    """Return both values."""
    return "" if before == after else f"{before} → {after}"


def unlike(before: Any, after: Any) -> str:
    """Return that they differ, for values that are too long to be shown."""
    return "" if before == after else "changed"


def changed_names(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Return the names whose values differ."""
    before, after = before or {}, after or {}
    return ", ".join(sorted(str(name) for name in {*before, *after} if before.get(name) != after.get(name)))


def common_changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Return the names of changed values; those of a library that was loaded in between are not changes."""
    before, after = before or {}, after or {}
    return ", ".join(str(name) for name in before if name in after and before[name] != after[name])


def changed_start(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Compare lists that are searched from the start; entries after the earlier ones hide nothing."""
    return "" if list(after[: len(before)]) == list(before) else "changed"


@dataclass(frozen=True)
class SharedSetting:
    """How one setting is read, restored and compared. `read` may raise where the system does not have the setting."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]
    difference: Callable[[Any, Any], str] = unlike

    def value(self) -> Any:
        """Return the value; None where there is none."""
        try:
            return self.read()
        except Exception:  # noqa: BLE001  (the system has no such setting, or a strategy has broken it)
            return None

    def undo(self, before: Any) -> tuple[Any, Changes]:
        """Restore the value if it has changed; return the present value and the change."""
        value = self.value()
        found = self.difference(before, value)
        if not found:
            return value, Changes()
        with suppress(Exception):  # whether it has succeeded is read below
            self.restore(before)
        value = self.value()
        described = (self.name if found == "changed" else f"{self.name} ({found})",)
        return value, Changes(lasting=described) if self.difference(before, value) else Changes(undone=described)
