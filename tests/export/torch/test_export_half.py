"""`adain-rt export --precision fp16`: the folder it writes, and what it refuses."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from adain_export.cli.export import command
from adain_export.graphs.engine_graph import engine_model
from adain_export.graphs.footprint import bytes_per_pixel
from adain_export.graphs.staging import read_graph
from adain_export.torch import export, verify
from adain_export.torch.export import export_half
from adain_export.torch.verify import half_session
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract

NAMES = [store.WEIGHTS_NAME, *map(contract.graph_file, contract.GRAPHS)]


def copy_lite(directory: Path) -> Path:
    """Put the bundled model's weights and fp32 graphs into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        shutil.copyfile(store.model_dir("lite") / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def lite_dir(tmp_path_factory) -> Path:
    """A directory of the bundled model, its fp16 graphs beside."""
    directory = copy_lite(tmp_path_factory.mktemp("models") / "lite")
    assert list(export_half(directory)) == list(contract.GRAPHS)
    return directory


def test_the_folder_holds_valid_graphs_that_read_one_file_of_halves(lite_dir):
    folder = contract.graph_dir(lite_dir, "fp16")
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    numbers = load_file(folder / store.WEIGHTS_NAME)
    assert {each.dtype for name, each in numbers.items() if ".style" not in name} == {np.dtype(np.float16)}
    assert {each.dtype for name, each in numbers.items() if ".style" in name} == {np.dtype(np.float32)}  # modulations
    assert (folder / store.WEIGHTS_NAME).stat().st_size < 0.57 * (lite_dir / store.WEIGHTS_NAME).stat().st_size
    for graph in contract.GRAPHS:
        path = folder / contract.graph_file(graph)
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path, load_external_data=False)
        layers = [name for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:]]
        assert {tensor.name for tensor in model.graph.initializer if tensor.external_data} == set(layers)
        assert path.stat().st_size < 64 << 10


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_metadata_is_that_of_fp32_but_for_precision_and_memory(lite_dir, graph):
    fp32, fp16 = (
        onnx.load(folder / contract.graph_file(graph), load_external_data=False)
        for folder in (lite_dir, contract.graph_dir(lite_dir, "fp16"))
    )
    before, after = ({prop.key: prop.value for prop in model.metadata_props} for model in (fp32, fp16))
    assert after == before | {"precision": "fp16", "bytes_per_pixel": str(bytes_per_pixel(fp16))}


def test_the_files_compute_what_engines_are_built_from(lite_dir, flower):
    image = {"image": flower[None, :96, :128]}
    models = (read_graph(contract.graph_dir(lite_dir, "fp16"), "encode"), engine_model(lite_dir, "encode", "fp16"))
    for written, engine in zip(*(half_session(model).run(None, image) for model in models), strict=True):
        np.testing.assert_array_equal(written, engine)


def test_the_same_model_gives_the_same_bytes(lite_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "verify_half", lambda *_: None)
    list(export_half(copy_lite(tmp_path)))
    assert filecmp.cmpfiles(
        contract.graph_dir(lite_dir, "fp16"), contract.graph_dir(tmp_path, "fp16"), NAMES, shallow=False
    ) == (NAMES, [], [])


def test_graphs_far_from_pytorch_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "LEAST_PSNR", 200)
    with pytest.raises(AdainError, match=r"the graph encode in fp16 is [0-9.]+ dB from PyTorch; use fp32"):
        list(export_half(copy_lite(tmp_path)))
    assert not list((contract.graph_dir(tmp_path, "fp16")).iterdir())


def test_a_graph_that_gives_no_numbers_is_refused(lite_dir, tmp_path):
    broken = tmp_path / "fp16"
    shutil.copytree(contract.graph_dir(lite_dir, "fp16"), broken)
    model = onnx.load(broken / "encode.onnx", load_external_data=False)
    epsilon = next(tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    epsilon.CopyFrom(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), epsilon.name))
    onnx.save(model, broken / "encode.onnx")
    with pytest.raises(AdainError, match=r"the graph encode in fp16 is nan dB from PyTorch"):
        verify.verify_half(lite_dir, broken)


def test_the_command_writes_fp16_beside_fp32(tmp_path, monkeypatch):
    def exported(source: Path, model: str, destination: Path) -> Iterator[str]:
        copy_lite(destination)
        yield from contract.GRAPHS

    monkeypatch.setattr(export, "export_model", exported)
    result = CliRunner().invoke(command, ["--model", "lite", "--precision", "fp16", "-o", str(tmp_path / "out")])
    assert result.exception is None
    folder = contract.graph_dir(tmp_path / "out", "fp16")
    assert result.stdout.splitlines()[-1] == f"{folder}: 6 graphs in fp16, PSNR to PyTorch at least 35 dB"
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_the_command_takes_a_calibration_for_int8_alone(tmp_path):
    arguments = ["--model", "lite", "--precision", "fp16", "--calibration", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(command, arguments)
    assert "--precision int8 and --calibration DIR go together" in str(result.exception)
