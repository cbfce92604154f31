"""The pages that people read: README, docs/, the changelog, the model card; their blocks, links and anchors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (not run|needs): (.+?) -->\n\Z")
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        place: the page and the line.
        language: what stands behind the fence.
        code: the lines between the fences.
        reason: why it is not run, if the comment before it says ``not run: REASON``.
        needs: the module without which it cannot run, if the comment says ``needs: MODULE``.

    """

    place: str
    language: str
    code: str
    reason: str | None = None
    needs: str | None = None


def pages() -> list[Path]:
    """Return every page."""
    top = (ROOT / name for name in ("README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md"))
    found = [page for page in top if page.is_file()]
    return [*found, *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("models/adain_models/bundled/*/*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    for fence in _FENCE.finditer(text):
        place = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, fence.start()) + 1}"
        comment = _COMMENT.search(text, 0, fence.start())
        kind, said = comment.groups() if comment else (None, None)
        yield Block(place, *fence.groups(), said if kind == "not run" else None, said if kind == "needs" else None)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    return _LINK.findall(_CODE.sub("", _prose(page)))


def headings(page: Path) -> list[str]:
    """Return a page's headings, each with its number signs."""
    return re.findall(r"^#{1,6} .+$", _prose(page), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    names = (re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower()) for heading in headings(page))
    return {name.replace(" ", "-") for name in names}


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))
