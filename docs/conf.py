"""Configuration of the documentation."""

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
