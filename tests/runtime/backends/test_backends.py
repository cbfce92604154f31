"""Each backend by itself: its pictures against the float64 reference, its files, its threads, its cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends import BACKENDS, Settings, open_backend
from adain_rt.backends.onnxruntime import cpu as onnxruntime_backend
from adain_rt.contract import GRAPHS

if TYPE_CHECKING:
    import torch

LITE = store.model_dir("lite")
SIZES = [(96, 128), (16, 16), (432, 640), (128, 96), (16, 400), (96, 128)]

Arrays = dict[str, np.ndarray]


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name == "openvino" else [])
        for name, spec in BACKENDS.items()
        if spec.device == "cpu"
    ]
)
def name(request) -> str:
    """The name of each backend for processors."""
    return request.param


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own, which is not there yet."""
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


@pytest.fixture
def copied(tmp_path) -> Path:
    """The bundled model in a directory of the test's own."""
    return Path(shutil.copytree(LITE, tmp_path / "mine"))


def distance(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference in levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def widened(photo: np.ndarray, height: int, width: int) -> np.ndarray:
    """A batch of one, of a photograph mirrored below and at the right, and cut to a size."""
    mirrored = np.pad(photo, [(0, 16), (0, 16), (0, 0)], mode="reflect")
    return np.ascontiguousarray(mirrored[None, :height, :width])


def styled(image: np.ndarray, channels: int = 128) -> Arrays:
    """The inputs of ``stylize`` for pictures, in a style of no picture."""
    generator = np.random.default_rng(0)
    mean, std = (generator.uniform(*span, (1, channels)).astype(np.float32) for span in ((0, 1.5), (0.6, 2.4)))
    count = len(image)
    return {
        "image": image,
        "style_mean": np.repeat(mean, count, 0),
        "style_std": np.repeat(std, count, 0),
        "strength": np.ones(count, np.float32),
    }


def stylized(backend, image: np.ndarray) -> np.ndarray:
    (made,) = backend.run("stylize", styled(image))
    return made


def tensors(inputs: Arrays, *names: str) -> tuple[torch.Tensor, ...]:
    import torch

    return tuple(torch.from_numpy(inputs[name]).double() for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lite", "vgg19"])
def test_every_graph_agrees_with_the_float64_reference_within_one_level(name, model, request, china, flower):
    import torch

    from adain_models import reference
    from adain_models.weights import checkpoint

    directory = LITE if model == "lite" else request.getfixturevalue("vgg19_dir")
    network, backend = checkpoint.load(directory / store.WEIGHTS_NAME).double(), open_backend(name, directory)
    image, paintings = china[None, 200:328, 100:252], np.stack([flower[150:278, 250:346], china[200:328, 300:396]])

    codes = reference.encode(network, torch.from_numpy(paintings))
    for made, code in zip(backend.run("encode", {"image": paintings}), codes, strict=True):
        np.testing.assert_allclose(made, code.numpy(), rtol=0, atol=1e-4 * code.abs().max().item())

    means, stds = (code.float().numpy() for code in codes)
    masks = np.zeros((1, 2, *image.shape[1:3]), np.uint8)
    masks[:, 0, :, :80], masks[:, 1, 20:, 60:] = 255, 130
    plain = {"image": image, "style_mean": means[:1], "style_std": stds[:1], "strength": np.full(1, 0.9, np.float32)}
    fixed = plain | {"content_mean": means[1:], "content_std": stds[1:]}
    regions = plain | {"style_mean": means[None], "style_std": stds[None], "masks": masks}
    pictures, (strength,) = torch.from_numpy(image), tensors(plain, "strength")
    style, content = tensors(plain, "style_mean", "style_std"), tensors(fixed, "content_mean", "content_std")
    styles = tensors(regions, "style_mean", "style_std")
    for graph, inputs, expected in (
        ("stylize", plain, reference.stylize(network, pictures, style, strength)),
        ("stylize_fixed", fixed, reference.stylize(network, pictures, style, strength, content)),
        (
            "stylize_regions",
            regions,
            reference.stylize_regions(network, pictures, styles, torch.from_numpy(masks), strength),
        ),
    ):
        (made,) = backend.run(graph, inputs)
        assert made.dtype == np.uint8
        assert expected.numpy().std() > 20  # a picture, not a grey sheet on which everything agrees
        assert distance(made, expected.numpy()) <= 1, graph


@pytest.mark.slow
def test_sizes_one_after_another_agree_with_the_float64_reference_within_one_level(name, china):
    import torch

    from adain_models import reference
    from adain_models.weights import checkpoint

    network, backend = checkpoint.load(LITE / store.WEIGHTS_NAME).double(), open_backend(name, LITE)
    for height, width in SIZES:
        inputs = styled(widened(china, height, width))
        style, (strength,) = tensors(inputs, "style_mean", "style_std"), tensors(inputs, "strength")
        expected = reference.stylize(network, torch.from_numpy(inputs["image"]), style, strength)
        (made,) = backend.run("stylize", inputs)
        assert distance(made, expected.numpy()) <= 1, (height, width)


def test_a_batch_is_its_pictures_one_by_one(name, china, flower):
    backend = open_backend(name, LITE)
    batch = np.stack([china[:96, :128], flower[:96, :128], china[96:192, :128]])
    made = stylized(backend, batch)
    for picture, result in zip(batch, made, strict=True):
        assert distance(result, stylized(backend, picture[None])[0]) <= 1


def test_threads_at_the_same_time_make_the_pictures_that_one_makes(name, china, flower):
    backend = open_backend(name, LITE)
    images = [photo[None, :height, :width] for photo in (china, flower) for height, width in SIZES[:2] * 6]
    expected = [stylized(backend, image) for image in images[::6]]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda image: stylized(backend, image), images))
    for result, image in zip(made, images, strict=True):
        assert result.shape == image.shape
    for result, alone in zip(made[::6], expected, strict=True):
        assert distance(result, alone) <= 1


def test_a_picture_stays_as_it_is_when_the_next_is_made(name, china, flower):
    backend = open_backend(name, LITE)
    made = stylized(backend, china[None, :96, :128])
    kept = made.copy()
    assert distance(stylized(backend, flower[None, :96, :128]), kept) > 20
    np.testing.assert_array_equal(made, kept)


def test_threads_that_start_together_open_a_graph_once(name, monkeypatch, china):
    if name == "onnxruntime":
        opens = onnxruntime_backend, "open_session"
    else:
        from adain_rt.backends import openvino as openvino_backend

        opens = openvino_backend, "_read_model"
    opened, really = [], getattr(*opens)

    def slowly(*arguments):
        opened.append(arguments)
        time.sleep(0.1)
        return really(*arguments)

    monkeypatch.setattr(*opens, slowly)
    backend = open_backend(name, LITE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: backend.run("encode", {"image": china[None, :32, :32]}), range(8)))
    assert len(opened) == 1


def test_one_thread_makes_the_same_picture(name, china):
    image = china[None, :96, :128]
    assert (
        distance(
            stylized(open_backend(name, LITE, "fp32", Settings(threads=1)), image),
            stylized(open_backend(name, LITE), image),
        )
        <= 1
    )


def test_no_more_threads_compute_than_are_asked_for(name):
    """One picture's own time on one processor is all the time that it takes, on a machine with any number of them."""
    code = (
        "import sys, time, numpy as np, pathlib; from adain_rt.backends import Settings, open_backend\n"
        "backend = open_backend(sys.argv[1], pathlib.Path(sys.argv[2]), 'fp32', Settings(threads=1))\n"
        "run = lambda: backend.run('encode', {'image': np.zeros((1, 512, 512, 3), np.uint8)})\n"
        "run(); used, passed = time.process_time(), time.perf_counter()\n"
        "for _ in range(5): run()\n"
        "print((time.process_time() - used) / (time.perf_counter() - passed))"
    )
    assert float(said(code, name, LITE).stdout) < 1.2


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_facts_are_what_the_export_wrote(name, graph):
    written = {entry.key: entry.value for entry in onnx.load(LITE / f"{graph}.onnx").metadata_props}
    assert open_backend(name, LITE).facts(graph).to_metadata() == written
    assert written["model"] == "lite"


def test_a_graph_without_metadata_is_refused_in_one_line(name, copied):
    model = onnx.load(copied / "encode.onnx", load_external_data=False)
    del model.metadata_props[:]
    onnx.save(model, copied / "encode.onnx")
    with pytest.raises(AdainError, match=r"\A\S*encode\.onnx: the graph is damaged \(.* no model\); export it again\Z"):
        open_backend(name, copied).facts("encode")


def test_closed_it_holds_no_graph(name):
    backend = open_backend(name, LITE)
    backend.open("encode")
    held = backend._sessions if name == "onnxruntime" else backend._graphs
    assert list(held) == ["encode"]
    backend.close()
    assert not held


def test_a_missing_graph_is_refused_in_one_line(name, copied, china):
    (copied / "encode.onnx").unlink()
    with pytest.raises(AdainError, match=r"^\S*encode\.onnx: there is no such graph; write it with .*`\Z"):
        open_backend(name, copied).run("encode", {"image": china[None, :32, :32]})


@pytest.mark.parametrize("damage", ["empty", "text", "half", "no weights"])
def test_a_damaged_graph_is_refused_in_one_line(name, copied, china, damage, capfd):
    path = copied / "encode.onnx"
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"not a graph\n" * 9, "half": data[: len(data) // 2]}.get(damage, data))
    if damage == "no weights":
        (copied / store.WEIGHTS_NAME).unlink()
    with pytest.raises(AdainError, match=r"\A\S*encode\.onnx: .*; export it again\Z"):
        open_backend(name, copied).run("encode", {"image": china[None, :32, :32]})
    assert capfd.readouterr() == ("", "")


def test_a_graph_in_anothers_place_is_refused_in_one_line(name, copied):
    shutil.copy(copied / "stylize.onnx", copied / "encode.onnx")
    with pytest.raises(AdainError, match=r"\A\S*encode\.onnx: is not the graph encode, .*; export it again\Z"):
        open_backend(name, copied).open("encode")


@pytest.mark.parametrize("threads", [1, 2])
def test_inputs_that_do_not_fit_are_refused_in_one_line_and_the_next_picture_is_made(name, threads, china):
    backend, image = open_backend(name, LITE, settings=Settings(threads=threads)), china[None, :32, :32]
    with pytest.raises(AdainError, match=r"\Athe graph stylize failed in \w+ ?\w* \(.+\)\Z"):
        backend.run("stylize", styled(image, channels=64))
    assert stylized(backend, image).shape == image.shape


def test_what_is_said_of_memory_is_one_line(name, monkeypatch, china):
    backend = open_backend(name, LITE)

    class Full:
        facts = backend.facts("encode")

        def run(self, *_: object) -> None:
            raise RuntimeError("somewhere in the sources:9:\nFailed to allocate 514050048 bytes of memory\n\n")

    monkeypatch.setattr(backend, "_session" if name == "onnxruntime" else "_graph", lambda _: Full())
    with pytest.raises(AdainError, match=r"\A32x16 pixels need more memory than there is; use a smaller size\Z"):
        backend.run("encode", {"image": china[None, :16, :32]})


def test_onnx_runtime_takes_the_graph_with_uint8_activations_where_there_is_one(copied, china):
    plain, uint8, inputs = copied / "encode.onnx", copied / "encode.uint8.onnx", {"image": china[None, :32, :32]}
    plain.rename(uint8)
    plain.write_bytes(b"not this one")
    mean, _ = open_backend("onnxruntime", copied).run("encode", inputs)
    np.testing.assert_array_equal(mean, open_backend("onnxruntime", LITE).run("encode", inputs)[0])


@pytest.mark.slow
def test_openvino_takes_the_plain_graph_where_there_is_another_beside_it(copied, china):
    (copied / "encode.uint8.onnx").write_bytes(b"not this one")
    mean, _ = open_backend("openvino", copied).run("encode", {"image": china[None, :32, :32]})
    assert np.isfinite(mean).all()


@pytest.mark.slow
def test_the_second_time_openvino_compiles_nothing(cache, monkeypatch, china):
    from adain_rt.backends import openvino as openvino_backend

    image = china[None, :96, :128]
    made = stylized(open_backend("openvino", LITE), image)
    (entry,) = cache.iterdir()
    written = entry.stat().st_mtime_ns
    monkeypatch.setattr(openvino_backend.openvino.Core, "compile_model", None)
    np.testing.assert_array_equal(stylized(open_backend("openvino", LITE), image), made)
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [written]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty", "half", "one bit", "another file", "sound, but not OpenVINO's"])
def test_a_damaged_entry_of_the_cache_is_made_again(cache, china, damage):
    from adain_rt.backends import openvino as openvino_backend

    image = china[None, :96, :128]
    made = stylized(open_backend("openvino", LITE), image)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    middle = len(whole) // 2
    entry.write_bytes(
        {
            "empty": b"",
            "half": whole[:middle],
            "one bit": whole[:middle] + bytes([whole[middle] ^ 64]) + whole[middle + 1 :],
            "another file": bytes(range(256)) * 40,
            "sound, but not OpenVINO's": openvino_backend.sha256(b"other").digest() + b"other",
        }[damage]
    )
    np.testing.assert_array_equal(stylized(open_backend("openvino", LITE), image), made)
    assert len(entry.read_bytes()) > middle
    assert openvino_backend.sha256(entry.read_bytes()[32:]).digest() == entry.read_bytes()[:32]


@pytest.mark.slow
def test_where_nothing_can_be_cached_pictures_are_made_all_the_same(cache, china):
    cache.parent.write_bytes(b"a file where the cache should be")
    assert stylized(open_backend("openvino", LITE), china[None, :96, :128]).std() > 20
    assert cache.parent.read_bytes() == b"a file where the cache should be"


@pytest.mark.slow
def test_the_cache_holds_nothing_of_other_weights_for_the_same_graph(copied, china):
    import torch

    from adain_models.weights import checkpoint

    image = china[None, :96, :128]
    made = stylized(open_backend("openvino", copied), image)
    network = checkpoint.load(copied / store.WEIGHTS_NAME)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(0.9)
    checkpoint.save(network, copied / store.WEIGHTS_NAME)
    assert distance(stylized(open_backend("openvino", copied), image), made) > 20


@pytest.mark.slow
def test_the_cache_keeps_settings_apart(cache, china):
    for threads in (None, 1):
        stylized(open_backend("openvino", LITE, "fp32", Settings(threads=threads)), china[None, :32, :32])
    assert len(list(cache.iterdir())) == 2


def test_nothing_is_printed_and_nothing_is_left_at_home(name, tmp_path):
    code = (
        "import sys, numpy as np, pathlib; from adain_rt.backends import open_backend\n"
        "backend = open_backend(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
        "backend.run('encode', {'image': np.zeros((1, 32, 32, 3), np.uint8)})"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = said(code, name, LITE, HOME=str(home), CI="")
    assert (done.stdout, done.stderr) == ("", "")
    assert list(home.iterdir()) == []  # where a library that reports on its users notes who they are


@pytest.mark.slow
def test_a_signal_after_two_openvino_backends_went_in_the_order_they_came_is_handled():
    code = (
        "import signal, sys, numpy as np, pathlib; from adain_rt.backends import open_backend\n"
        "backends = [open_backend('openvino', pathlib.Path(sys.argv[1])) for _ in range(2)]\n"
        "for backend in backends: backend.run('encode', {'image': np.zeros((1, 32, 32, 3), np.uint8)})\n"
        "del backend, backends[0], backends[0]\n"
        "signal.signal(signal.SIGINT, lambda *_: print('handled'))\n"
        "signal.raise_signal(signal.SIGINT)"
    )
    assert said(code, LITE).stdout == "handled\n"


def said(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, which must succeed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)  # noqa: S603
