"""How Sphinx builds the site: ``make docs``. Every page is Markdown that GitHub shows as well."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT / source) for source in ("models", "export", "runtime", "benchmarks")]

project = "adain-rt"
author = "The adain-rt authors"
copyright = "The adain-rt authors, Apache License 2.0"  # noqa: A001 - Sphinx reads this name
release = importlib.metadata.version("adain-rt")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_heading_anchors = 4  # GitHub's anchors, so that a link works in both places

# Docstrings write code in single or double backquotes.
default_role = "code"
smartquotes = False  # it would make a dash of the two in front of an option
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True
python_use_unqualified_type_names = True

html_theme = "furo"  # its fonts are the reader's, so that the site is whole without a network
html_title = "adain-rt"
html_copy_source = False
html_show_sphinx = False


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn the lists of links in ``index.md`` into the site's navigation, one part for each heading."""
    del app
    if page != "index":
        return
    parts = re.split(r"^## (.+)$", source[0], flags=re.MULTILINE)[1:]
    for heading, part in zip(parts[::2], parts[1::2], strict=True):
        entries = [
            f"{title} <{target}>" for title, target in re.findall(r"^- \[(.+?)\]\((.+?)\.md\)", part, re.MULTILINE)
        ]
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {heading}", "", *entries, "```", ""])


def use_dashes(app: Sphinx, page: nodes.document, name: str) -> None:
    """Write a dash between a parameter and what it is, as ``smartquotes`` would."""
    del app, name
    for text in list(page.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def setup(app: Sphinx) -> None:
    """Register the hooks."""
    app.connect("source-read", add_navigation)
    app.connect("doctree-resolved", use_dashes)
