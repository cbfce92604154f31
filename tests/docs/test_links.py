"""Every link of the pages leads somewhere."""

from __future__ import annotations

import itertools
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, anchors, headings, links, pages

from adain_rt.backends import BACKENDS
from adain_rt.cli import cli

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_to_a_heading_in_it(page):
    for link in links(page):
        if link.startswith(("https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), f"{link}: no such file"
        assert not anchor or anchor in anchors(_included(file)), f"{link}: no such heading"


def test_every_page_of_the_docs_is_in_their_index():
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / link).resolve() for link in links(index)}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - listed == {index}


def test_pages_have_one_title_and_no_level_is_skipped():
    for page in PAGES:
        levels = [len(heading.split(" ")[0]) for heading in headings(_included(page))]
        assert levels.count(1) == 1, page
        assert levels[0] == 1, page
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), page


def test_the_command_reference_has_every_command():
    (line,) = (
        line
        for line in (ROOT / "docs/reference/commands.md").read_text("utf-8").splitlines()
        if line.strip().startswith(":commands:")
    )
    listed = line.split(":", 2)[2].replace(" ", "").split(",")
    assert sorted(listed) == sorted(cli.list_commands(None))


def test_the_table_of_backends_has_every_backend_in_its_order():
    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs/reference/backends.md").read_text("utf-8"), re.MULTILINE)
    assert rows == list(BACKENDS)


def test_pages_name_no_module_that_is_not_there():
    """A dotted name in backquotes is a module, something in one, or a group of entry points."""
    groups = (ROOT / "pyproject.toml").read_text("utf-8")
    for page in PAGES:
        for name in re.findall(r"`(adain_(?:rt|models|export|bench)(?:\.\w+)+)`", page.read_text("utf-8")):
            assert _is_there(name) or f'"{name}"' in groups, f"{page}: {name}"


def _is_there(name: str) -> bool:
    package, *parts = name.split(".")
    place = Path(find_spec(package).submodule_search_locations[0])
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    module = place / f"{parts[0]}.py" if parts else place / "__init__.py"
    if parts and module.is_file():
        parts.pop(0)
    elif parts:
        module = place / "__init__.py"
    return not parts or re.search(rf"\b{parts[0]}\b", module.read_text("utf-8")) is not None


def _included(page: Path) -> Path:
    """Return the page that a page of one include is."""
    first = page.read_text("utf-8").splitlines()[0]
    return (page.parent / first.removeprefix("```{include} ")).resolve() if first.startswith("```{include}") else page
