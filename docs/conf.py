"""Configuration of the documentation."""

import dataclasses
import math

from sphinx.application import Sphinx

from hface_trio import __version__

project = "hface_trio"
author = "The hface_trio authors"
copyright = "The hface_trio authors"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"hface_trio {release}"
exclude_patterns = ["_build"]
default_role = "literal"

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Cancellation", "Backpressure", ("Raises, Cancellation", "notes_style")]
html_static_path = ["_static"]
html_css_files = ["tables.css"]


def show_defaults(_app: Sphinx, what: str, _name: str, subject: object, _options: object, lines: list[str]) -> None:
    """Put the defaults of limits, timeouts and settings into what is said of them."""
    if what != "class" or not dataclasses.is_dataclass(subject):
        return
    for field in dataclasses.fields(subject):
        start = next((n for n, line in enumerate(lines) if line.startswith(f"    {field.name}: ")), None)
        if start is None or type(field.default) not in {int, float}:
            continue
        end = start + 1
        while end < len(lines) and lines[end].startswith("     "):  # it goes on
            end += 1
        lines[end - 1] += f" *Default: {readable(field.default, field.name)}.*"


def readable(value: float, name: str) -> str:
    """Write a number as a person would."""
    if value == math.inf:
        return "none"
    if name.endswith("_octets"):
        for unit, octets in (("MiB", 1024**2), ("KiB", 1024)):
            if value >= octets and value % octets == 0:
                return f"{value // octets:,.0f} {unit}"
    return (f"{value:,.0f}" if value == int(value) else f"{value:g}") + (" s" if name.endswith("_seconds") else "")


def setup(app: Sphinx) -> None:
    """Register what this file adds, in front of what reads docstrings."""
    app.connect("autodoc-process-docstring", show_defaults, priority=400)
