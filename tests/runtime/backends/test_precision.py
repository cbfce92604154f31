"""Which precision is taken, and that it is the one that was asked for."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import Stylizer
from adain_rt.backends.openvino import CORE


@pytest.mark.parametrize(("instructions", "precision"), [(["avx2", "avx512_vnni"], "int8"), (["avx2"], "fp32")])
def test_auto_takes_int8_where_the_processor_multiplies_it_fast(monkeypatch, instructions, precision):
    monkeypatch.setattr("adain_rt.auto.instructions", lambda: instructions)
    assert Stylizer().precision == precision


def test_auto_paints_smooth_pictures_in_fp32_and_others_in_int8(monkeypatch, china, flower):
    monkeypatch.setattr("adain_rt.auto.instructions", lambda: ["avx512_vnni"])
    by_itself, fp32, int8 = Stylizer(), Stylizer(precision="fp32"), Stylizer(precision="int8")
    style = fp32.encode(flower[100:356, 200:456])
    sky = np.linspace((80, 120, 200), (160, 200, 240), 128).round().astype(np.uint8)[:, None].repeat(160, 1)
    np.testing.assert_array_equal(by_itself.stylize(sky, style), fp32.stylize(sky, style))
    np.testing.assert_array_equal(by_itself.stylize(china, style), int8.stylize(china, style))
    np.testing.assert_array_equal(by_itself.encode(sky).mean, fp32.encode(sky).mean)
    masks = np.full((1, 128, 160), 255, np.uint8)
    np.testing.assert_array_equal(by_itself.stylize(sky, style, masks=masks), fp32.stylize(sky, style, masks=masks))
    with pytest.raises(AssertionError):  # so that int8 would have been seen
        np.testing.assert_allclose(int8.stylize(sky, style), fp32.stylize(sky, style), atol=16)


def test_auto_takes_fp32_where_a_model_has_nothing_else(monkeypatch, vgg19_dir):
    monkeypatch.setattr("adain_rt.auto.instructions", lambda: ["avx512_vnni"])
    assert Stylizer(str(vgg19_dir)).precision == "fp32"


def test_a_precision_that_a_model_lacks_is_refused_with_the_way_to_it(vgg19_dir, china):
    with pytest.raises(AdainError, match=r"has no int8 graphs .*run `adain-rt quantize --model vgg19-random"):
        Stylizer(str(vgg19_dir), precision="int8").encode(china)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_int8_pictures_are_close_to_fp32s_and_styles_serve_both(backend, china, flower):
    fp32 = Stylizer(backend="onnxruntime", precision="fp32")
    int8 = Stylizer(backend=backend, precision="int8")
    style = fp32.encode(flower)
    error = (int8.stylize(china, style).astype(float) - fp32.stylize(china, style)) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 32  # decibels
    assert int8.stylize(china, int8.encode(flower)).shape == china.shape


def test_graphs_of_another_precision_in_its_place_are_refused(tmp_path, china):
    directory = store.model_dir("lite")
    (tmp_path / "int8").mkdir()
    for path in directory.iterdir():
        if path.is_file():
            for target in (tmp_path, tmp_path / "int8"):
                (target / path.name).write_bytes(path.read_bytes())
    with pytest.raises(AdainError, match="another precision"):
        Stylizer(str(tmp_path), backend="onnxruntime", precision="int8").encode(china)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_int8_weights_with_another_byte_are_refused(backend, tmp_path, china):
    shutil.copytree(store.model_dir("lite"), tmp_path, dirs_exist_ok=True)
    Stylizer(str(tmp_path), backend=backend, precision="int8").encode(china)
    weights = tmp_path / "int8" / store.WEIGHTS_NAME
    content = bytearray(weights.read_bytes())
    content[-1000] ^= 1
    weights.write_bytes(content)
    with pytest.raises(AdainError, match=r"the graph encode is not of the weights there.*`adain-rt quantize"):
        Stylizer(str(tmp_path), backend=backend, precision="int8").encode(china)


def test_bf16_is_openvinos_where_the_processor_has_it_and_close_to_fp32(china, flower):
    with pytest.raises(AdainError, match=r"does not compute in bf16; .*`backend` openvino"):
        Stylizer(backend="onnxruntime", precision="bf16").encode(china)
    fp32, bf16 = (Stylizer(backend="openvino", precision=precision) for precision in ("fp32", "bf16"))
    style = fp32.encode(flower)
    if "BF16" in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        error = (bf16.stylize(china, style).astype(float) - fp32.stylize(china, style)) ** 2
        assert 40 < 10 * np.log10(255**2 / error.mean()) < 70  # decibels: near, and not the same
    else:
        with pytest.raises(AdainError, match="this processor does not compute in bf16"):
            bf16.encode(china)


def test_a_processor_without_bf16_is_said(monkeypatch, china):
    monkeypatch.setattr("adain_rt.backends.openvino.openvino.Core.get_property", lambda *_: ["FP32"])
    with pytest.raises(AdainError, match="this processor does not compute in bf16"):
        Stylizer(backend="openvino", precision="bf16").encode(china)
