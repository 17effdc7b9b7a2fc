"""Functions and classes of libraries, which a strategy may replace."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PATCHABLE = ("builtins", "math", "time", "numpy", "scipy", "jacobench", "_jacobench_gate_cell")
"""Packages whose functions and classes are compared."""

ABSENT = object()  # in place of a method that a class did not have


@dataclass
class Originals:
    """The functions, classes and methods of the packages in `PATCHABLE`, as they were when they were first seen."""

    _seen: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)  # name → module or class, its content

    def patched(self) -> dict[str, int]:
        """Return the qualified names of those that have been replaced, each with the identity of the replacement."""
        for name, module in list(sys.modules.items()):
            if name not in self._seen and name.partition(".")[0] in PATCHABLE:
                self._add(name, module)
        return {
            f"{name}.{key}": id(vars(owner).get(key, ABSENT))
            for name, (owner, content) in self._seen.items()
            if not _same(vars(owner), content)
            for key in self._replaced(owner, content)
        }

    def _add(self, name: str, module: Any) -> None:
        self._seen[name] = module, dict(vars(module))
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__.partition(".")[0] in PATCHABLE:
                self._seen.setdefault(f"{value.__module__}.{value.__qualname__}", (value, dict(vars(value))))

    def _replaced(self, owner: Any, content: dict[str, Any]) -> list[str]:
        now = vars(owner)
        for key in now.keys() - content.keys():
            is_method = isinstance(owner, type) and _is_code(now[key])
            content[key] = ABSENT if is_method else now[key]  # else, for example, a module imported in between
        return [key for key, value in content.items() if _is_code(value) and now.get(key, ABSENT) is not value]

    def restore(self, before: Mapping[str, int]) -> None:
        """Put the originals back, except where they were already replaced in `before`."""
        for qualified in self.patched().keys() - before.keys():
            name, _, key = qualified.rpartition(".")
            owner, content = self._seen[name]
            if content[key] is ABSENT:
                delattr(owner, key)
            else:
                setattr(owner, key, content[key])


def _same(now: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    try:
        return len(now) == len(content) and bool(now == content)
    except Exception:  # noqa: BLE001  (the values are of any type: an array has no truth value)
        return False


def _is_code(value: Any) -> bool:
    return value is ABSENT or callable(value) or isinstance(value, property | staticmethod | classmethod)
