"""What TensorRT-RTX cannot build, or warns of."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import onnx
import onnx_ir as ir
import pytest

from adain_export.tensorrt import build
from adain_export.tensorrt.builder import Builder
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends.tensorrt.flavors import LOG
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.backends.tensorrt.profiles import DEFAULTS, static_profile

LITE = store.model_dir("lite")
SMALL = Recipe("tensorrt-rtx", "fp32", (static_profile("64"),))


def test_a_node_that_the_parser_does_not_know_is_named(tmp_path, monkeypatch):
    tensor = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Mystery", ["image"], ["stylized"], name="the_node")
    types = onnx.TensorProto
    ends = ([tensor("image", types.UINT8, [1, 16])], [tensor("stylized", types.UINT8, [1, 16])])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "stylize", *ends))
    monkeypatch.setattr(build, "convert", lambda *_: ir.from_proto(model))
    with pytest.raises(
        AdainError, match=r"stylize\.onnx: tensorrt-rtx [\d.]+ cannot take the node the_node \(Mystery\)"
    ):
        Builder().build(LITE, "stylize", SMALL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_the_builder_cannot_do_is_one_line_with_its_reason(tmp_path, caplog):
    with pytest.raises(AdainError, match=r"tensorrt-rtx built no engine of stylize: .*OutOfMemory") as raised:
        Builder().build(LITE, "stylize", replace(SMALL, profiles=DEFAULTS, workspace=1), tmp_path)
    assert "\n" not in str(raised.value)
    assert (list(tmp_path.iterdir()), caplog.records) == ([], [])


def test_a_warning_of_the_builder_reaches_the_user(tmp_path, caplog, monkeypatch):
    configure = build._configure

    def configure_oddly(trt: Any, *arguments: Any) -> Any:
        config = configure(trt, *arguments)
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        return config

    monkeypatch.setattr(build, "_configure", configure_oddly)
    Builder().build(LITE, "encode", SMALL, tmp_path)
    assert [(record.name, record.levelno) for record in caplog.records] == [("adain_rt", logging.WARNING)]
    assert "unsupported in TensorRT-RTX" in caplog.text


def test_an_error_that_the_library_goes_on_after_is_a_failed_build(tmp_path, monkeypatch):
    configure = build._configure

    def configure_badly(*arguments: Any) -> Any:
        LOG.error("kMAX values are not self-consistent\nand more")
        return configure(*arguments)

    monkeypatch.setattr(build, "_configure", configure_badly)
    with pytest.raises(AdainError, match=r"built no engine of encode: kMAX values are not self-consistent$"):
        Builder().build(LITE, "encode", SMALL, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("capability", ["9.0", "8", "89", "SM86", ""])
def test_a_gpu_that_tensorrt_rtx_does_not_build_for_is_refused(tmp_path, capability):
    with pytest.raises(AdainError, match=r"tensorrt-rtx does not build for compute capability .*: there are .*8\.6"):
        Builder().build(LITE, "encode", replace(SMALL, compute_capabilities=(capability,)), tmp_path)
