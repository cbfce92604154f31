"""Check a release: what its two files hold, and that the wheel installs and paints on every Python of this machine.

    python tools/check_release.py dist photo.jpg

``make release`` runs it. Each Python gets a clean environment with the wheel and its dependencies in it, nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PYTHONS = ("3.10", "3.11", "3.12", "3.13")

PACKAGES = ("adain_models", "adain_rt", "adain_export", "adain_bench")

BUNDLED = "adain_models/bundled/lite"

IN_WHEEL = (
    *(f"{package}/{name}" for package in PACKAGES for name in ("__init__.py", "py.typed")),
    *(f"{BUNDLED}/{name}.onnx" for name in ("encode", "stylize", "stylize_fixed", "stylize_regions")),
    *(f"{BUNDLED}/int8/{name}.onnx" for name in ("encode", "stylize", "stylize_fixed", "stylize_regions")),
    f"{BUNDLED}/weights.safetensors",
    f"{BUNDLED}/int8/weights.safetensors",
    f"{BUNDLED}/presets/starry-night.safetensors",
    *(
        f"adain_rt/serve/page/{name}"
        for name in ("index.html", "page.css", "main.js", "texts/zh.js", "icon.svg", "sample.jpg")
    ),
    *(f"adain_export/triton/served/{name}" for name in ("README.md", "client.py", "model.py")),
)
"""What a wheel must hold."""

IN_SDIST = (
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "pyproject.toml",
    "docs/images/grid.webp",
    ".dockerignore",
    "containers/Dockerfile.cpu",
    "examples/stylize.py",
    "tests/conftest.py",
    "tests/constraints.txt",
    "tools/check_release.py",
    f"models/{BUNDLED}/weights.safetensors",
)
"""What an sdist must hold."""

NOWHERE = ("__pycache__", ".venv", "build", "demo", "dist", "engines", ".git")
"""The folders that neither may hold."""

PAINT = """
import sys
import numpy, PIL.Image
import adain_rt
photo = numpy.asarray(PIL.Image.open(sys.argv[1]))
stylizer = adain_rt.Stylizer()
painted = stylizer.stylize(photo, stylizer.encode(photo[::-1]))
assert painted.shape == photo.shape
assert painted.std() > 10, "the picture is flat"
print(f"adain-rt {adain_rt.__version__} paints")
"""


def check_wheel(wheel: Path) -> None:
    """Fail if the wheel lacks a file or holds one that is not for users."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    require(wheel, names, IN_WHEEL)
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if strays := tops - set(PACKAGES):
        sys.exit(f"{wheel.name}: holds {', '.join(sorted(strays))} beside the packages")
    if "adain_export/bundle.py" in names or "adain_export/presets.json" in names:
        sys.exit(f"{wheel.name}: holds what makes the bundled model, which works only in the repository")


def check_sdist(sdist: Path) -> None:
    """Fail if the sdist lacks a file."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    require(sdist, names, IN_SDIST)


def require(path: Path, names: set[str], wanted: tuple[str, ...]) -> None:
    """Fail if one of the wanted names is missing, or a name is in a folder that no release holds."""
    if missing := [name for name in wanted if name not in names]:
        sys.exit(f"{path.name}: lacks {', '.join(missing)}")
    if strays := sorted(name for name in names if set(name.split("/")) & set(NOWHERE)):
        sys.exit(f"{path.name}: holds {strays[0]} and {len(strays) - 1} more that are not for a release")
    print(f"{path.name}: {len(names)} files, {path.stat().st_size / 1e6:.1f} MB")


def find_python(version: str) -> Path | None:
    """Return this version's interpreter, from pyenv or the search path, or ``None``."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [folder / "bin" for folder in sorted(root.glob(f"versions/{version}.*"))]
    folders += [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if "shims" not in folder]
    return next((folder / f"python{version}" for folder in folders if (folder / f"python{version}").is_file()), None)


def paint(python: Path, wheel: Path, photo: Path) -> None:
    """Install the wheel in a clean environment, and paint with it from the command line and from Python."""
    with tempfile.TemporaryDirectory() as folder:
        binaries = Path(folder) / "venv" / "bin"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        picture = Path(folder) / "picture.jpg"
        for command in (
            [python, "-m", "venv", Path(folder) / "venv"],
            [binaries / "pip", "install", "--quiet", "--disable-pip-version-check", wheel],
            [binaries / "adain-rt", "stylize", photo, "--style", "@starry-night", "-o", picture],
            [binaries / "python", "-c", PAINT, photo],
        ):
            subprocess.run(command, check=True, cwd=folder, env=environment)
        if not picture.is_file():
            sys.exit(f"{python}: adain-rt stylize wrote no picture")


def main() -> None:
    """Check the files of a release and paint with its wheel."""
    dist, photo = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    check_wheel(wheel.resolve())
    check_sdist(sdist)
    for version in PYTHONS:
        python = find_python(version)
        if python is None:
            print(f"Python {version}: not on this machine, not tried")
            continue
        print(f"Python {version}, {python}:", flush=True)
        paint(python, wheel.resolve(), photo)


if __name__ == "__main__":
    main()
