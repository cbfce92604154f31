"""Each script of ``examples/`` runs as its first lines say, and paints."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adain_rt.contract import Pixels
from adain_rt.stylizer import Stylizer

EXAMPLES = Path(__file__).parents[2] / "examples"

Run = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, china: Pixels, flower: Pixels) -> Run:
    """Run an example in a folder with photos and a painting."""
    Image.fromarray(china[200:264, 100:196]).save(tmp_path / "photo.png")
    Image.fromarray(china[100:180, 300:388]).save(tmp_path / "other.jpg")
    Image.fromarray(flower[150:214, 250:314]).save(tmp_path / "painting.png")
    Image.fromarray(china[:64, :64]).save(tmp_path / "second.png")
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr("sys.argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run


def pixels(path: str) -> Pixels:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def test_every_example_has_a_test() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if f'run("{path.name}"' not in tests] == []


def test_stylize(run: Run) -> None:
    run("stylize.py", "photo.png", "painting.png", "painted.png")
    painted, photo = pixels("painted.png"), pixels("photo.png")
    assert painted.shape == photo.shape
    assert np.abs(painted.astype(int) - photo).mean() > 10


def test_encode_once(run: Run) -> None:
    run("encode_once.py", "painting.png", "style.safetensors", "photo.png", "other.jpg")
    first = pixels("photo_painted.png")
    Path("painting.png").unlink()  # the file of the style is enough
    run("encode_once.py", "painting.png", "style.safetensors", "photo.png")
    assert np.array_equal(pixels("photo_painted.png"), first)
    assert pixels("other_painted.png").shape == pixels("other.jpg").shape


def test_mix_styles(run: Run) -> None:
    run("mix_styles.py", "photo.png", "painting.png", "second.png", "steps.png")
    steps = np.split(pixels("steps.png").astype(int), 5, axis=1)
    assert steps[0].shape == pixels("photo.png").shape
    far = [np.abs(step - steps[0]).mean() for step in steps]
    assert far == sorted(far)
    assert far[4] > 5


def test_regions(run: Run) -> None:
    run("regions.py", "photo.png", "painting.png", "second.png", "painted.png")
    painted, photo = pixels("painted.png"), pixels("photo.png")
    changed = np.abs(painted.astype(int) - photo).mean((1, 2))
    assert changed[:25].min() > 0
    assert changed[26:38].max() == 0  # under no mask
    assert changed[39:].min() > 0


def test_folder(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for name in ("b.jpg", "a.jpg", "c.jpg"):
        Path("photos", name).write_bytes(Path("other.jpg").read_bytes())
    run("folder.py", "photos", "painting.png", "painted")
    assert capsys.readouterr().out.split() == [str(Path("painted", f"{name}.png")) for name in "abc"]
    assert pixels("painted/a.png").shape == pixels("other.jpg").shape


@pytest.mark.gpu
def test_gpu_arrays(run: Run) -> None:
    run("gpu_arrays.py", "photo.png", "painting.png", "painted.png")
    assert pixels("painted.png").shape == pixels("photo.png").shape


@pytest.mark.slow  # it starts a server, and needs the extras of both ends
def test_inference_server(run: Run) -> None:
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", "serve", "--port", "0"]
    options = ["--backend", "onnxruntime", "--precision", "fp32"]
    with subprocess.Popen(  # noqa: S603 - this Python
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            address = server.stdout.readline().split("//")[1].split("/")[0]
            run("inference_server.py", address, "", "painting.png", "photo.png", "other.jpg")
        finally:
            server.terminate()
    with Stylizer("lite", "onnxruntime", "fp32") as stylizer:
        style = stylizer.encode(pixels("painting.png"))
        for name, painted in (("photo.png", "photo_painted.png"), ("other.jpg", "other_painted.png")):
            assert np.array_equal(pixels(painted), stylizer.stylize(pixels(name), style))
