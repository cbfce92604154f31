"""The command line, run as a person runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from adain_rt.cli import main
from adain_rt.contract import Pixels


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status and what it said."""

    status: int
    out: str
    err: str

    def refused(self, *parts: str) -> None:
        """Hold a refusal to its form: status 2, one line on stderr with all the parts, nothing on stdout."""
        assert (self.status, self.out) == (2, "")
        assert self.err.startswith("adain-rt: ")
        assert self.err.count("\n") == 1
        for part in parts:
            assert part in self.err


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., Result]:
    """Run ``adain-rt`` with arguments."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr("sys.argv", ["adain-rt", *map(str, arguments)])
        monkeypatch.setattr(logging.getLogger("adain_rt"), "handlers", [])  # as in a program that begins
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Result(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def desk(tmp_path, monkeypatch, china: Pixels, flower: Pixels) -> Path:
    """A working directory with a photograph and a picture to take the style from."""
    Image.fromarray(china[200:264, 100:196]).save(tmp_path / "photo.jpg", quality=95)
    Image.fromarray(flower[150:214, 250:314]).save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path
