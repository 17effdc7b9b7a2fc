"""Functions in a user's file, named ``file.py:function``: import and call, with errors as `BadInput`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput, Unsupported, unknown
from jacobench.strategies.plugin_files import import_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def load_function(path: Path, name: str) -> Callable[..., Any]:
    """Return a function of a Python file; raise BadInput if the file or the function is missing, or the import fails."""
    if path.suffix != ".py" or not path.is_file():
        raise BadInput(f"expected file.py:function, got {f'{path}:{name}'!r}; there is no Python file {path}")
    try:
        module = import_file(path)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{path} fails to import: {_in_words(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise unknown(f"function of {path}", name, own)
    return function  # type: ignore[no-any-return]


def call(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> Any:
    """Call a user's function; its exceptions, also a call of `sys.exit`, become BadInput."""
    try:
        return function(**arguments)
    except (BadInput, Unsupported):
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"{name} raised {_in_words(error)}") from error


def _in_words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
