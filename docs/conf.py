"""How Sphinx makes HTML of these pages: `make docs`. Whoever reads them loads nothing from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import flask_linked_auth

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "flask_linked_auth"
author = "the flask_linked_auth contributors"
version = release = flask_linked_auth.__version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]
nitpicky = True
# Headings are linked as on GitHub: settings.md#linked_auth_prefix.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "flask_linked_auth"
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", plain_markdown)


def plain_markdown(app: Sphinx, docname: str, content: list[str]) -> None:
    """Let the pages be plain Markdown, which is read in the repository too."""
    # Files beside this folder are none of these pages.
    content[0] = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", content[0])
    if docname == app.config.root_doc:
        content[0] += "".join(_contents(content[0]))


def _contents(index: str) -> list[str]:
    """The table of contents, from the headings and links of the first page."""
    trees = []
    for section in index.split("\n## ")[1:]:
        caption = section.partition("\n")[0]
        pages = re.findall(r"\]\(([\w/-]+)\.md\)", section)
        trees.append("\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n")
    return trees
