"""What the pages tell people to type runs as it stands.

All blocks of a page run in its order in one directory, which has the files that the pages speak of. A block that needs
what is not there says so in a comment before it, which no reader sees: ``<!-- not run: needs an NVIDIA GPU -->``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.docs.pages import ROOT, Block, blocks, pages
from tests.runtime.media.clips.made import make_clip

RUNNABLE = ("sh", "python")
PAGES = [page for page in pages() if page.name != "README.zh-CN.md"]  # it has the README's blocks
WITH_BLOCKS = [page for page in PAGES if any(block.language in RUNNABLE and not block.reason for block in blocks(page))]


@pytest.fixture(scope="session")
def path(tmp_path_factory) -> str:
    """A search path whose ``adain-rt`` is this checkout's and whose ``python`` has it."""
    folder = tmp_path_factory.mktemp("bin")
    programs = {
        "adain-rt": f"#!{sys.executable}\nfrom adain_rt.cli import main\nmain()\n",
        "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
    }
    for name, text in programs.items():
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def desk(tmp_path, monkeypatch, china, flower) -> Path:
    """A directory with small pictures under the names that the pages use."""
    photo, painting = Image.fromarray(china[200:296, 100:228]), Image.fromarray(flower[150:246, 250:346])
    for folder in ("photos", "paintings"):
        (tmp_path / folder).mkdir()
    for name, picture in {
        "photo": photo, "a": painting, "b": photo.rotate(90), "painting": painting,
        "photos/first": photo, "photos/second": photo.rotate(180), "paintings/one": painting, "paintings/two": photo,
    }.items():  # fmt: skip
        picture.save(tmp_path / f"{name}.jpg", quality=95)
    sky = np.zeros((96, 128), np.uint8)
    sky[:48] = 255
    Image.fromarray(sky).save(tmp_path / "sky.png")
    Image.fromarray(255 - sky).save(tmp_path / "ground.png")
    make_clip(tmp_path / "clip.mp4", sound="mono")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page, desk, path, monkeypatch):
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(each for each in sys.path if each))
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language not in RUNNABLE or block.reason or (block.needs and find_spec(block.needs) is None):
            continue
        if block.language == "python":
            exec(compile("\n" * int(block.place.rsplit(":")[1]) + block.code, page, "exec"), names)  # noqa: S102
        else:
            run(block, desk)


def run(block: Block, desk: Path) -> None:
    """Run a block of commands, all of which must succeed."""
    command = ["bash", "-euo", "pipefail", "-c", block.code]
    ended = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == 0, f"{block.place}: exit status {ended.returncode}\n{ended.stdout}{ended.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_of_a_known_language(page):
    for block in blocks(page):
        assert block.language in {*RUNNABLE, "", "bibtex"} or block.language.startswith("{"), block.place
