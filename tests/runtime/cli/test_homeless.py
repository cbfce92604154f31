"""Users as containers have them: without a home, a name, or a cache that they may write to."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import adain_rt
from adain_models.weights import store

SOMEBODY = 12345
STYLIZE = ("stylize", "photo.jpg", "--style", "@starry-night", "-o", "out.png")
NO_HOME = "this user has no home directory for a cache; set ADAIN_RT_CACHE to a directory"

PROGRAM = """
import os, sys
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({user})
    os.setuid({user})
from adain_rt.cli import main
main()
"""


def everybody_reaches(path: Path) -> bool:
    return path.exists() and all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def readable_python() -> str | None:
    """Return a Python of this version that every user can run: root's own is often in root's home."""
    version = f"python3.{sys.version_info.minor}"
    pythons = (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}")
    return next((python for python in pythons if everybody_reaches(Path(python))), None)


@dataclass(frozen=True)
class Somebody:
    """A user without a home and without a name, if the tests may run as another one; else this one, without a home."""

    folder: Path
    python: str

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ours = [path for path in sys.path if path and ("site-packages" in path or not path.startswith(sys.base_prefix))]
        return subprocess.run(  # noqa: S603 - our own program
            [self.python, "-B", "-c", PROGRAM.format(user=SOMEBODY), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(ours), "PYTHONWARNINGS": "ignore"}
            | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def somebody(desk) -> Iterator[Somebody]:
    python = readable_python() if os.getuid() == 0 else sys.executable
    if python is None or (os.getuid() == 0 and not everybody_reaches(Path(adain_rt.__file__))):
        pytest.skip("another user can run no Python here, or not this project")
    place = Path("/tmp") if os.getuid() == 0 else desk.parent  # noqa: S108 - pytest's folder is its user's alone
    folder = place / f"adain-rt-{os.getpid()}-{desk.name}"
    shutil.copytree(desk, folder)
    folder.chmod(0o777)
    yield Somebody(folder, python)
    shutil.rmtree(folder)


def test_somebody_without_a_home_paints(somebody):
    done = somebody(*STYLIZE)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in somebody.folder.iterdir()) == ["out.png", "painting.png", "photo.jpg"]


def test_somebody_without_a_home_is_told_what_has_no_place(somebody):
    done = somebody("info", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["cache"] == facts["models"]["vgg19"] == NO_HOME
    assert facts["models"]["lite"].startswith("ready in ")
    done = somebody("weights", "list", "--json")
    assert (done.returncode, done.stderr) == (0, f"adain-rt: vgg19: {NO_HOME}\n")
    states = {row["name"]: (row["state"], row["directory"]) for row in json.loads(done.stdout)}
    assert states == {"lite": ("bundled", str(store.model_dir("lite"))), "vgg19": ("no cache", None)}
    assert somebody("weights", "path", "lite").returncode == 0
    for command in (("weights", "path", "vgg19"), ("weights", "fetch", "vgg19"), (*STYLIZE, "--model", "vgg19")):
        done = somebody(*command)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"adain-rt: {NO_HOME}\n")


@pytest.fixture(params=["not writable", "not readable", "a file", "in a file", "nowhere"])
def odd_cache(request, somebody) -> str:
    """The path of a cache that cannot be used."""
    odd = somebody.folder / "odd"
    if request.param == "not writable":
        odd.mkdir(mode=0o555)
    elif request.param == "not readable":
        odd.mkdir(mode=0o700)
    elif request.param != "nowhere":
        odd.touch()
    return {"in a file": str(odd / "cache"), "nowhere": "/proc/cache"}.get(request.param, str(odd))


def test_a_cache_that_cannot_be_used_costs_no_picture(somebody, odd_cache):
    done = somebody(*STYLIZE, ADAIN_RT_CACHE=odd_cache)
    assert (done.returncode, done.stderr) == (0, "")
    assert somebody("info", ADAIN_RT_CACHE=odd_cache).returncode == 0
    listed = somebody("weights", "list", ADAIN_RT_CACHE=odd_cache)
    assert listed.returncode == 0
    assert listed.stderr.count("\n") <= 1
    for command in (("weights", "path", "vgg19"), (*STYLIZE, "--overwrite", "--model", "vgg19")):
        done = somebody(*command, ADAIN_RT_CACHE=odd_cache)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("unexpanded", [True, False], ids=["older", "newer"])
def test_both_ways_of_platformdirs_are_understood(run, monkeypatch, unexpanded):
    def user_cache_path(*_: object, **__: object) -> Path:
        if unexpanded:
            return Path("~/.cache/adain-rt")
        raise RuntimeError("could not determine the home directory for '~/.cache'")

    monkeypatch.delenv("ADAIN_RT_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", user_cache_path)
    run("weights", "path", "vgg19").refused(NO_HOME)
