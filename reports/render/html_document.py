"""HTML documents: one file each, with style and script inside and no external resources."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from jacobench.reports.plots.style import DARK


def render_html(template: str, **values: Any) -> str:
    """Return an HTML document from a template, a path below ``reports/``, and its variables.

    The template extends ``render/base.html.j2``, which adds ``base.css`` and ``base.js``. Text is escaped unless it is
    `markupsafe.Markup`.
    """
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template(template)
    return page.render(
        css=Markup(_read("render/base.css")),  # noqa: S704  (a file of this package)
        js=Markup(_read("render/base.js")),  # noqa: S704
        dark={light[1:].lower(): dark for light, dark in DARK.items()},
        **values,
    )


def _read(name: str) -> str:
    return files("jacobench.reports").joinpath(name).read_text(encoding="utf-8")
