"""The graphs that engines are built from: whole, the same each time, and refused where the files are not right."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from adain_export.graphs.engine_graph import PRECISIONS, UPSAMPLINGS, engine_graph
from adain_export.graphs.footprint import bytes_per_pixel
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends import open_backend

LITE = store.model_dir("lite")
KINDS = [(graph, precision, ups) for graph in contract.GRAPHS for precision in PRECISIONS for ups in UPSAMPLINGS]


@pytest.fixture
def copied(tmp_path) -> Path:
    """A directory of the bundled model's graphs in fp32."""
    for path in LITE.iterdir():
        if path.is_file():
            shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {prop.key: prop.value for prop in model.metadata_props}


@pytest.mark.parametrize(("graph", "precision", "upsampling"), KINDS)
def test_a_graph_is_whole_and_valid_and_says_what_it_is(graph, precision, upsampling):
    model = onnx.load_from_string(engine_graph(LITE, graph, precision, upsampling))
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    fp32 = metadata(onnx.load(LITE / contract.graph_file(graph), load_external_data=False))
    expected = fp32 | {"precision": precision, "bytes_per_pixel": str(bytes_per_pixel(model))}
    assert metadata(model) == expected


@pytest.mark.parametrize(("graph", "precision", "upsampling"), KINDS)
def test_nothing_is_left_to_fold_and_nothing_is_unused(graph, precision, upsampling):
    model = onnx.load_from_string(engine_graph(LITE, graph, precision, upsampling)).graph
    constants = {tensor.name for tensor in model.initializer}
    read = {name for node in model.node for name in node.input} | {value.name for value in model.output}
    for node in model.node:
        assert not constants >= {name for name in node.input if name}
        assert read.intersection(node.output)
    assert constants <= read


def test_half_precision_takes_half_the_memory_for_a_pixel():
    fp32, fp16 = (onnx.load_from_string(engine_graph(LITE, "stylize", precision)) for precision in ("fp32", "fp16"))
    assert bytes_per_pixel(fp16) == pytest.approx(bytes_per_pixel(fp32) / 2, rel=0.05)


def test_the_same_files_give_the_same_bytes_in_another_process():
    command = (
        "import sys; from adain_export.graphs.engine_graph import engine_graph; from adain_models.weights import store;"
        "sys.stdout.buffer.write(engine_graph(store.model_dir('lite'), 'stylize_regions', 'fp16', 'phases'))"
    )
    made = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True).stdout  # noqa: S603
    assert made == engine_graph(LITE, "stylize_regions", "fp16", "phases")


def test_making_a_graph_loads_no_torch():
    command = (
        "import sys; from adain_export.graphs.engine_graph import engine_graph; from adain_models.weights import store;"
        "engine_graph(store.model_dir('lite'), 'encode', 'fp16', 'phases');"
        "sys.exit(len({'torch', 'onnxscript', 'onnxruntime'} & set(sys.modules)))"
    )
    made = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)  # noqa: S603
    assert (made.returncode, made.stderr) == (0, "")


def test_fp32_computes_what_the_model_directory_does(china):
    image = {"image": china[None, :96, :128]}
    session = onnxruntime.InferenceSession(engine_graph(LITE, "encode", "fp32"))
    for made, expected in zip(
        session.run(None, image), open_backend("onnxruntime", LITE).run("encode", image), strict=True
    ):
        np.testing.assert_array_equal(made, expected)


def test_weights_of_another_export_are_refused(copied):
    weights = copied / store.WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(AdainError, match=r"encode.onnx: the graph was not exported from the weights there"):
        engine_graph(copied, "encode", "fp32")


def test_missing_weights_are_refused(copied):
    (copied / store.WEIGHTS_NAME).unlink()
    with pytest.raises(AdainError, match=r"weights.safetensors: there is no such file"):
        engine_graph(copied, "encode", "fp32")


def test_a_graph_that_reads_a_file_that_is_not_there_is_refused(copied):
    path = copied / "encode.onnx"
    path.write_bytes(path.read_bytes().replace(b"weights.safetensors", b"weights.safetensorz"))
    with pytest.raises(AdainError, match=r"there is no such file"):
        engine_graph(copied, "encode", "fp16")


def test_a_missing_or_damaged_graph_is_refused(copied):
    (copied / "stylize.onnx").unlink()
    with pytest.raises(AdainError, match=r"stylize.onnx: there is no such graph"):
        engine_graph(copied, "stylize", "fp16")
    (copied / "encode.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(AdainError, match=r"encode.onnx: the graph cannot be loaded"):
        engine_graph(copied, "encode", "fp16")


@pytest.mark.parametrize("choice", [("fp8", "nearest"), ("fp16", "cubic")])
def test_an_unknown_precision_or_upsampling_is_refused(choice):
    with pytest.raises(AdainError, match=r"'(fp8|cubic)' is unknown; use "):
        engine_graph(LITE, "encode", *choice)
