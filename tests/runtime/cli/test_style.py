"""``adain-rt style`` with names and texts as the world has them."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from safetensors.numpy import save_file

from adain_models.weights import store
from adain_rt.style import Style


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (b"Screenshot 9.41\xe2\x80\xafAM", "Screenshot 9.41\u202fAM"),
        (b"\xe3\x80\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x8e\xa8", "\u3000👩\u200d🎨"),
        (b"caf\xe9", "caf\ufffd"),
        (b"two\nlines \x1b[31mred\xc2\x9b", "two\ufffdlines \ufffd[31mred\ufffd"),
    ],
)
def test_a_picture_of_any_name_is_saved_shown_and_used(run, desk, name, title):
    picture = Path(name.decode("utf-8", "surrogateescape") + ".png")
    Image.open("painting.png").save(picture)
    assert run("style", "save", picture, "-o", "s.safetensors").status == 0
    assert Style.load("s.safetensors").about == {"title": title}
    assert f"title            {title}\n" in run("style", "show", "s.safetensors").out
    assert run("stylize", "photo.jpg", "--style", "s.safetensors", "-o", "out.png").status == 0


def test_nothing_from_a_file_reaches_the_terminal_as_a_command_to_it(run, desk):
    model = Path(shutil.copytree(store.model_dir("lite"), desk / "mine"))
    good = model / "presets" / "starry-night.safetensors"
    good.rename(model / "presets" / "red\x1b[31m.safetensors")
    listed = run("style", "list", "--model", model).out
    assert "@red\ufffd[31m" in listed
    assert not any(character in listed for character in "\x1b\x9b\r")
    metadata = {"format": "adain-rt style 1", "model": "lite", "weights_sha256": "0" * 64, "about.\x1b[31mkey": "red"}
    save_file({"mean": np.ones(2, np.float32), "std": np.ones(2, np.float32)}, "s.safetensors", metadata)
    run("style", "show", "s.safetensors").refused("s.safetensors", "control characters")


def test_nor_does_the_name_of_a_graphs_node(run, desk):
    graph = onnx.load(store.model_dir("lite") / "encode.onnx", load_external_data=False)
    graph.graph.node[0].name = "\x1b]0;title\x07\x9bred"
    onnx.save(graph, "encode.onnx")
    shown = run("inspect", "encode.onnx", "--layers")
    assert "\ufffd]0;title\ufffd\ufffdred" in shown.out
    assert not any(character in shown.out for character in "\x1b\x07\x9b")


def test_one_style_with_a_shape_that_cannot_be_costs_only_itself(run, desk):
    (desk / "styles").mkdir()
    assert run("style", "save", "painting.png", "-o", "styles/good.safetensors").status == 0
    tensor = {"dtype": "F32", "shape": [0, 1 << 62], "data_offsets": [0, 0]}
    header = json.dumps({"mean": tensor, "std": tensor}).encode()
    (desk / "styles" / "bad.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    result = run("stylize", "photo.jpg", "--style", "styles", "-o", "out/")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "bad.safetensors" in result.err
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_good.jpg"]
