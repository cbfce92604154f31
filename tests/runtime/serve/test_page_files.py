"""The files of the page, as far as they can be tested without a browser: ``make test-page`` tests the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import adain_rt
from adain_models.weights import store
from adain_rt.jobs.styles import presets
from adain_rt.stylizer import Stylizer

PAGE = Path(adain_rt.__file__).parent / "serve" / "page"
MODULES = sorted(PAGE.rglob("*.js"))
HTML = (PAGE / "index.html").read_text(encoding="utf-8")


def read_texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their keys; a text is in one line."""
    lines = (PAGE / "texts" / f"{language}.js").read_text(encoding="utf-8")
    found = re.findall(r'^  (\w+): "(.*)",$', lines, re.MULTILINE)
    texts = dict(found)
    assert len(texts) == len(found) == len(re.findall(r"^  \w", lines, re.MULTILINE))
    return texts


def find_keys() -> set[str]:
    """Return the keys of the texts that the page uses: in its HTML and in calls of ``say``."""
    in_html = re.findall(r'data-(?:text|label|alt|lang|role-text)="(\w+)"', HTML)
    in_code = [key for module in MODULES for key in re.findall(r'\bsay\("(\w+)"', module.read_text(encoding="utf-8"))]
    return {*in_html, *in_code}


def test_both_languages_say_the_same_things() -> None:
    english, chinese = read_texts("en"), read_texts("zh")
    assert list(english) == list(chinese)
    for key, text in english.items():
        placeholders = re.compile(r"\{\w+\}")
        assert sorted(placeholders.findall(text)) == sorted(placeholders.findall(chinese[key])), key


def test_every_text_that_is_used_exists_and_no_other() -> None:
    by_state = {"statusPreview", "statusBusy"}  # main.js has a table of them
    assert find_keys() | by_state == read_texts("en").keys()
    assert by_state <= set(re.findall(r'"(\w+)"', (PAGE / "main.js").read_text(encoding="utf-8")))


def test_every_preset_of_the_bundled_model_has_a_chinese_title() -> None:
    works = re.findall(
        r'^  "([\w-]+)": \["', (PAGE / "texts" / "works-zh.js").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(works) == sorted(presets(Stylizer(store.model_dir("lite"))))


def test_every_file_that_is_named_exists_and_is_loaded_at_once() -> None:
    named = re.findall(r'(?:href|src)="([^"#]+)"', HTML)
    assert all((PAGE / name).is_file() for name in named)
    scripts = {module.relative_to(PAGE).as_posix() for module in MODULES}
    assert scripts == {name for name in named if name.endswith(".js")}  # none waits until another has named it


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_imports_what_another_exports(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    for names, source in re.findall(r'^import (.+?) from "(.+?)";$', text, re.MULTILINE):
        exports = (module.parent / source).read_text(encoding="utf-8")
        for name in names.strip("{} ").split(", "):
            kind = r"(?:async )?(?:function|class|const)\*?" if names.startswith("{") else "default"
            assert re.search(rf"^export {kind}{f' {name}' if kind != 'default' else ''}\b", exports, re.MULTILINE), name
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"


@pytest.mark.parametrize(
    "path", [*MODULES, PAGE / "index.html", PAGE / "page.css", PAGE / "icon.svg"], ids=lambda path: path.name
)
def test_nothing_is_fetched_from_elsewhere_or_written_in_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    addresses = [found for found in re.findall(r"(?:https?:)?//[\w.]+\.\w+", text) if "www.w3.org" not in found]
    assert addresses == []
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|\beval\(|innerHTML|@import", text)


def test_every_element_that_the_code_finds_is_there() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', HTML))
    assert len(ids) == len(re.findall(r'\bid="', HTML))
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        assert set(re.findall(r'\bfind\("([\w-]+)"\)', text)) <= ids
        assert set(re.findall(r'querySelector\("#([\w-]+)"\)', text)) <= ids
    pointed = re.findall(r'\b(?:for|aria-labelledby|aria-describedby)="([\w-]+)"', HTML)
    assert set(pointed) <= ids
