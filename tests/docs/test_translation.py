"""The Chinese README has the content of the English one."""

from __future__ import annotations

from tests.docs.pages import ROOT, blocks, headings, links

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def code(page):
    """Return the blocks of a page without their comments, which are translated."""
    lines = [(block.language, block.code.splitlines(), bool(block.reason)) for block in blocks(page)]
    return [(language, [line.split("  #")[0].rstrip() for line in each], skipped) for language, each, skipped in lines]


def test_the_code_is_the_same():
    assert code(CHINESE) == code(ENGLISH)


def test_the_headings_are_as_many_and_as_deep():
    levels = [[heading.split(" ")[0] for heading in headings(page)] for page in (ENGLISH, CHINESE)]
    assert levels[0] == levels[1]


def test_the_links_are_the_same_but_for_those_from_one_to_the_other():
    english, chinese = (sorted(links(page)) for page in (ENGLISH, CHINESE))
    english.remove(CHINESE.name)
    chinese.remove(ENGLISH.name)
    assert english == chinese


def test_the_tables_have_as_many_rows():
    rows = [[line.count("|") for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
            for page in (ENGLISH, CHINESE)]  # fmt: skip
    assert rows[0] == rows[1]
