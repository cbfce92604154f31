"""int8 graphs: what the engine contract asks, how close they are to fp32, and the command that makes them."""

from __future__ import annotations

import filecmp
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, numpy_helper
from PIL import Image
from safetensors.numpy import save_file

from adain_export.cli.quantize import command
from adain_export.graphs.footprint import bytes_per_pixel
from adain_export.int8 import quantize
from adain_export.int8.calibration import Calibration, Pair, calibrate
from adain_export.int8.quantize import CALIBRATION_NAME, compare, quantize_model, uint8_file
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends import open_backend
from adain_rt.backends.openvino import CORE
from adain_rt.contract import Pixels

FILES = [name(graph) for graph in contract.GRAPHS for name in (contract.graph_file, uint8_file)]
CONVOLUTIONS = {"Conv", "ConvTranspose"}
TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def crops(china: Pixels, flower: Pixels, seed: int, count: int = 6) -> list[Pair]:
    """Return pairs of squares of 128 pixels from the lower, detailed part of two photographs."""
    generator = np.random.default_rng(seed)
    pairs = []
    for strength in np.linspace(0, 1, count):
        squares = []
        for photo in (china, flower):
            top, left = generator.integers(150, 299), generator.integers(0, 512)
            squares.append(np.ascontiguousarray(photo[top : top + 128, left : left + 128]))
        pairs.append((squares[0], squares[1], float(strength)))
    return pairs


def copy_of(source: Path, directory: Path) -> Path:
    """Return a new model directory with the weights and fp32 graphs of another."""
    directory.mkdir(parents=True)
    for name in (store.WEIGHTS_NAME, *map(contract.graph_file, contract.GRAPHS)):
        shutil.copyfile(source / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def lite_dir(tmp_path_factory, china, flower) -> Path:
    """A directory of the bundled model, its int8 graphs made from two photographs."""
    directory = copy_of(store.model_dir("lite"), tmp_path_factory.mktemp("models") / "lite")
    calibration = calibrate(directory, crops(china, flower, seed=0, count=24))
    assert list(quantize_model(directory, calibration)) == list(contract.GRAPHS)
    return directory


@pytest.fixture(scope="module")
def wide_dir(tmp_path_factory, vgg19_dir, china, flower) -> Path:
    """The same of vgg19 with random weights, of which rounding them to 8 bits alone leaves less than 25 dB."""
    directory = copy_of(vgg19_dir, tmp_path_factory.mktemp("models") / "vgg19")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "_LEAST_PSNR", 10)
        list(quantize_model(directory, calibrate(directory, crops(china, flower, seed=0, count=2))))
    return directory


@pytest.fixture(params=["lite", "vgg19"], scope="module")
def int8_dir(request) -> Path:
    """The folder of each model's int8 graphs."""
    return request.getfixturevalue("lite_dir" if request.param == "lite" else "wide_dir") / "int8"


@pytest.fixture
def photos(tmp_path, china, flower) -> Path:
    """A directory with two photographs."""
    directory = tmp_path / "photos"
    directory.mkdir()
    for name, pixels in (("china", china), ("flower", flower)):
        Image.fromarray(pixels).save(directory / f"{name}.png")
    return directory


def load(path: Path) -> onnx.ModelProto:
    return onnx.load(path, load_external_data=False)


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {prop.key: prop.value for prop in model.metadata_props}


def psnr(made: np.ndarray, expected: np.ndarray) -> float:
    error = np.square(made.astype(float) - expected).mean()
    return float(10 * np.log10(255**2 / error))


def stylized(directory: Path, pair: Pair) -> list[Pixels]:
    """Return a pair's picture from fp32 and from int8, both in ONNX Runtime, and from int8 in OpenVINO."""
    content, style, strength = pair
    backend = open_backend("onnxruntime", directory)
    mean, std = backend.run("encode", {"image": style[None]})
    inputs = {"image": content[None], "style_mean": mean, "style_std": std, "strength": np.float32([strength])}
    session = onnxruntime.InferenceSession(directory / "int8" / uint8_file("stylize"))
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = CORE.compile_model(directory / "int8" / "stylize.onnx", "CPU", settings)
    return [backend.run("stylize", inputs)[0], session.run(None, inputs)[0], compiled(inputs)[0]]


def run(*arguments: object) -> Result:
    return CliRunner(catch_exceptions=True).invoke(command, list(map(str, arguments)))


def test_int8_pictures_are_close_to_fp32s_in_both_runtimes(lite_dir, china, flower):
    for pair in crops(china, flower, seed=1):
        fp32, ort, ov = stylized(lite_dir, pair)
        assert fp32.std() > 15  # so there is something to be close to
        assert psnr(ort, fp32) >= 32
        assert psnr(ov, fp32) >= 32
        assert psnr(ort, ov) >= 32


def test_a_network_with_max_pooling_runs_in_both_runtimes(wide_dir, china, flower):
    fp32, ort, ov = stylized(wide_dir, crops(china, flower, seed=1)[-1])
    assert psnr(ort, fp32) > 12
    assert psnr(ov, fp32) > 12
    assert psnr(ort, ov) > 12


def test_int8_codes_are_close_to_fp32s(lite_dir, flower):
    image = {"image": flower[None, 40:296, 100:356]}
    fp32 = open_backend("onnxruntime", lite_dir).run("encode", image)
    for file in (uint8_file("encode"), contract.graph_file("encode")):
        int8 = onnxruntime.InferenceSession(lite_dir / "int8" / file).run(None, image)
        for made, expected in zip(int8, fp32, strict=True):
            assert np.abs(made - expected).max() < 0.05 * np.abs(expected).max()


def test_compare_tells_the_psnr_of_each_pair(lite_dir, china, flower):
    pairs = crops(china, flower, seed=1, count=2)
    assert compare(lite_dir, pairs) == pytest.approx([psnr(*stylized(lite_dir, pair)[1::-1]) for pair in pairs])


@pytest.mark.parametrize("file", FILES)
def test_names_types_and_shapes_are_the_contracts(int8_dir, file):
    model = load(int8_dir / file)
    onnx.checker.check_model(int8_dir / file, full_check=True)
    channels = int(metadata(model)["channels"])
    spec = contract.GRAPHS[file.split(".")[0]]
    for values, specs in ((model.graph.input, spec.inputs), (model.graph.output, spec.outputs)):
        assert [value.name for value in values] == [tensor.name for tensor in specs]
        for value, tensor in zip(values, specs, strict=True):
            shape = tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
            assert value.type.tensor_type.elem_type == TYPES[tensor.dtype]
            assert shape == tuple(channels if size == "C" else size for size in tensor.shape)


@pytest.mark.parametrize("file", FILES)
def test_metadata_is_that_of_fp32_and_of_int8s_own_weights_precision_and_memory(int8_dir, file):
    model = load(int8_dir / file)
    fp32 = metadata(load(int8_dir.parent / contract.graph_file(file.split(".")[0])))
    found = metadata(model)
    own = {"precision": "int8", "int8_weights_sha256": sha256_of(int8_dir / store.WEIGHTS_NAME)}
    assert found == fp32 | own | {"bytes_per_pixel": str(bytes_per_pixel(model))}
    assert found["weights_sha256"] == sha256_of(int8_dir.parent / store.WEIGHTS_NAME)


def convolutions_of_features(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The convolutions, but for those that read a code."""
    codes = {name for node in model.graph.node if node.op_type == "Concat" for name in node.output}
    return [node for node in model.graph.node if node.op_type in CONVOLUTIONS and node.input[0] not in codes]


@pytest.mark.parametrize("file", FILES)
def test_every_convolution_multiplies_8_bits_and_adds_a_float_bias(int8_dir, file):
    model = onnx.load(int8_dir / file)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    activation = np.uint8(128) if file.endswith(".uint8.onnx") else np.int8(0)
    transposed = [node.op_type for node in model.graph.node if node.op_type in CONVOLUTIONS].count("ConvTranspose")
    doublings = 2 if int8_dir.parent.name == "lite" else 3  # lite's last one is in blocks
    assert transposed == (doublings if file.startswith("stylize") and not file.endswith(".uint8.onnx") else 0)
    for node in convolutions_of_features(model):
        read, weight = (made_by[name] for name in node.input[:2])
        assert read.op_type == weight.op_type == "DequantizeLinear"
        assert constants[weight.input[0]].dtype == np.int8
        assert not constants[weight.input[2]].any()
        assert [attribute.i for attribute in weight.attribute if attribute.name == "axis"] == [
            int(node.op_type == "ConvTranspose")
        ]
        assert constants[read.input[2]] == activation
        assert constants[read.input[2]].dtype == activation.dtype
        assert constants[node.input[2]].dtype == np.float32
    assert np.int32 not in {numbers.dtype for numbers in constants.values()}


@pytest.mark.parametrize("file", FILES)
def test_statistics_and_additions_stay_float(int8_dir, file):
    model = load(int8_dir / file)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
    checked = {"Add", "ReduceMean", "ReduceSum", "Mul", "Div", "Sqrt"}
    nodes = [node for node in model.graph.node if node.op_type in checked]
    assert len(nodes) > 5
    assert all(types[node.output[0]] == TensorProto.FLOAT for node in nodes if node.output[0] in types)


def test_all_graphs_read_the_same_8_bit_weights_from_one_file(int8_dir):
    fp32 = (int8_dir.parent / store.WEIGHTS_NAME).stat().st_size
    assert (int8_dir / store.WEIGHTS_NAME).stat().st_size < 0.4 * fp32  # lite's modulations stay float
    for file in FILES:
        model = load(int8_dir / file)
        outside = {tensor.name for tensor in model.graph.initializer if tensor.external_data}
        convolutions = [node for node in model.graph.node if node.op_type in CONVOLUTIONS]
        biases = {node.input[2] for node in convolutions}
        scaled = {node.input[2] for node in convolutions_of_features(model)}
        names = {f"{bias.removesuffix('bias')}weight" for bias in biases}
        assert outside == biases | names | {f"{bias.removesuffix('bias')}weight_scale" for bias in scaled}
        assert (int8_dir / file).stat().st_size < 64 << 10


def test_the_same_calibration_gives_the_same_bytes(lite_dir, tmp_path):
    again = copy_of(lite_dir, tmp_path / "again")
    list(quantize_model(again, Calibration.load(lite_dir / "int8" / CALIBRATION_NAME)))
    names = [store.WEIGHTS_NAME, CALIBRATION_NAME, *FILES]
    assert sorted(path.name for path in (again / "int8").iterdir()) == sorted(names)
    assert filecmp.cmpfiles(lite_dir / "int8", again / "int8", names, shallow=False) == (names, [], [])


def test_graphs_that_are_far_from_fp32_are_refused_and_nothing_is_left(lite_dir, tmp_path):
    directory = copy_of(lite_dir, tmp_path / "model")
    calibration = Calibration.load(lite_dir / "int8" / CALIBRATION_NAME)
    narrow = Calibration(calibration.weights_sha256, {name: ends / 10 for name, ends in calibration.ranges.items()})
    with pytest.raises(AdainError, match=r"dB from fp32, less than 30; calibrate with more pairs"):
        list(quantize_model(directory, narrow))
    assert not list((directory / "int8").iterdir())


def test_another_models_calibration_is_refused(lite_dir, wide_dir):
    with pytest.raises(AdainError, match="the calibration is of another model; calibrate this one"):
        list(quantize_model(lite_dir, Calibration.load(wide_dir / "int8" / CALIBRATION_NAME)))


def test_a_model_directory_without_graphs_is_refused(tmp_path, china):
    with pytest.raises(AdainError, match=r"encode.onnx: there is no such graph; write it with `adain-rt export`"):
        calibrate(tmp_path, [(china[:64, :64], china[:64, :64], 1.0)])


def test_a_damaged_graph_is_refused(lite_dir, tmp_path):
    directory = copy_of(lite_dir, tmp_path / "model")
    (directory / "stylize.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(AdainError, match=r"stylize.onnx: the graph cannot be loaded"):
        list(quantize_model(directory, Calibration.load(lite_dir / "int8" / CALIBRATION_NAME)))


def test_a_calibration_comes_back_from_its_file(lite_dir, tmp_path, china, flower):
    calibration = calibrate(lite_dir, crops(china, flower, seed=2, count=1))
    calibration.save(tmp_path / "c.safetensors")
    again = Calibration.load(tmp_path / "c.safetensors")
    assert again.weights_sha256 == calibration.weights_sha256
    assert again.ranges.keys() == calibration.ranges.keys()
    for name, ends in calibration.ranges.items():
        np.testing.assert_array_equal(again.ranges[name], ends)


@pytest.mark.parametrize(
    "ends",
    [
        np.zeros((2, 4), np.float64),
        np.zeros((3, 4), np.float32),
        np.zeros(2, np.float32),
        np.array([[1, 2], [3, np.nan]], np.float32),
        np.array([[1, 2], [0, 3]], np.float32),
    ],
    ids=["type", "ends", "channels", "nan", "order"],
)
def test_what_is_no_calibration_is_refused(tmp_path, ends):
    path = tmp_path / "c.safetensors"
    save_file({"encoder.conv1.output": ends}, path, metadata={"weights_sha256": "0" * 64})
    with pytest.raises(AdainError, match="is not a calibration; make one with"):
        Calibration.load(path)


def test_a_missing_or_damaged_calibration_is_refused(tmp_path):
    with pytest.raises(AdainError, match="there is no such file"):
        Calibration.load(tmp_path / "none.safetensors")
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    with pytest.raises(AdainError, match="is not a safetensors file, or is damaged"):
        Calibration.load(tmp_path / "c.safetensors")


def test_a_range_leaves_out_what_one_pair_in_twenty_does(lite_dir, china, flower):
    grey = np.full((32, 32, 3), 128, np.uint8)
    flat = [(grey, grey, 1.0)]
    wild = (china[200:232, :32], flower[200:232, :32], 1.0)
    ranges = calibrate(lite_dir, flat).ranges
    with_one, with_two = (calibrate(lite_dir, flat * 20 + [wild] * count).ranges for count in (1, 2))
    name = "decoder.up2.output"
    np.testing.assert_allclose(with_one[name], ranges[name], atol=1e-5)
    assert with_two[name][1].max() > ranges[name][1].max() * 1.01


def test_a_calibration_without_pairs_is_refused(lite_dir):
    with pytest.raises(AdainError, match="at least one pair"):
        calibrate(lite_dir, [])


def test_quantize_copies_a_bundled_model_and_says_how_close_int8_is(photos, tmp_path):
    result = run("--model", "lite", "--calibration", photos, "--pairs", 4, "-o", tmp_path / "out")
    assert result.exception is None
    folder = tmp_path / "out" / "int8"
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert result.stdout.startswith(f"{folder}: 6 graphs in int8, {size:,} bytes, median PSNR to fp32 ")
    assert float(result.stdout.split()[-2]) > 32
    assert (tmp_path / "out" / store.WEIGHTS_NAME).is_file()
    assert {path.name for path in folder.iterdir()} == {store.WEIGHTS_NAME, CALIBRATION_NAME, *FILES}


def test_quantize_works_in_the_models_own_directory(lite_dir, photos, tmp_path):
    directory = copy_of(lite_dir, tmp_path / "model")
    assert run("--model", directory, "--calibration", photos, "--style", photos, "--pairs", 1).exception is None
    assert (directory / "int8" / uint8_file("stylize")).is_file()


def test_quantize_does_not_touch_a_bundled_model(photos):
    result = run("--model", "lite", "--calibration", photos)
    assert "model lite ships with its graphs; give another directory with -o" in str(result.exception)


def test_quantize_names_a_broken_picture(lite_dir, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    result = run("--model", "lite", "--calibration", photos, "--pairs", 3, "-o", tmp_path / "out")
    assert isinstance(result.exception, AdainError)
    assert "broken.jpg" in str(result.exception)
    assert not (tmp_path / "out" / "int8").exists()


def test_quantize_without_its_packages_says_what_to_install(photos, monkeypatch):
    monkeypatch.delitem(sys.modules, "adain_export.int8.calibration")
    monkeypatch.delattr("adain_export.int8.calibration")
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    result = run("--model", "lite", "--calibration", photos, "-o", photos / "out")
    assert str(result.exception) == "quantize needs onnx_ir: pip install 'adain-rt[export]'"
