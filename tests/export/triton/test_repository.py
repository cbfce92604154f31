"""A repository as it is written, read back by Triton's own protobuf; engines are as a build leaves them."""

from __future__ import annotations

import shutil

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format
from tests.runtime.backends.tensorrt.engines_on_disk import LARGE, SMALL, VERSION, put_engine
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from adain_export.triton.repository import Repository
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.model import Model

NUMBERS = {"TYPE_UINT8": "tensor(uint8)", "TYPE_FP32": "tensor(float)"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache without engines."""
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path):
    """Write a repository of the bundled model, and return its folder."""

    def write(**settings):
        folder = tmp_path / "repository"
        list(Repository(Model("lite"), folder, **settings).write())
        return folder

    return write


def read_config(folder, name) -> ModelConfig:
    config = text_format.Parse((folder / name / "config.pbtxt").read_text("utf-8"), ModelConfig())
    assert config.name == name
    return config


def get_shape(tensor) -> list[int]:
    """Return the shape that a backend gets, batch included."""
    return [-1, *(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_graph_loads_from_where_it_lies_with_the_ends_that_its_configuration_names(write, precision):
    folder = write(precision=precision)
    for graph in contract.GRAPHS:
        config = read_config(folder, f"lite-{graph}")
        assert config.backend == "onnxruntime"
        session = onnxruntime.InferenceSession(folder / config.name / "1" / "model.onnx")
        for tensors, values in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            described = [(each.name, NUMBERS[tensor_type(each)], get_shape(each)) for each in tensors]
            assert described == [(each.name, each.type, as_dims(each.shape)) for each in values]


def tensor_type(tensor) -> str:
    return tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[tensor.data_type].name


def as_dims(shape) -> list[int]:
    return [-1 if isinstance(axis, str) else axis for axis in shape]


def test_graphs_batch_and_warm_up_in_sizes_that_they_take(write):
    folder = write(precision="fp32", max_batch=4, instances=2)
    for graph, ends in contract.GRAPHS.items():
        config = read_config(folder, f"lite-{graph}")
        assert (config.max_batch_size, config.HasField("dynamic_batching")) == (4, True)
        assert [group.count for group in config.instance_group] == [2]
        (warmup,) = config.model_warmup
        dims = {name: list(each.dims) for name, each in warmup.inputs.items()}
        shapes = {name: [warmup.batch_size, *sides] for name, sides in dims.items() if name != "strength"}
        if "strength" in dims:
            shapes["strength"] = [warmup.batch_size]
        sizes = ends.sizes_of(shapes)
        assert not sizes["H"] % contract.MULTIPLE
        assert sizes.get("C", 128) == 128


def test_single_pictures_are_not_batched(write):
    config = read_config(write(precision="fp32", max_batch=1), "lite-stylize")
    assert (config.max_batch_size, config.HasField("dynamic_batching")) == (1, False)


@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        ("fp16", ModelInstanceGroup.KIND_GPU),
        ("fp32", ModelInstanceGroup.KIND_AUTO),
        ("int8", ModelInstanceGroup.KIND_CPU),
    ],
)
def test_each_precision_runs_where_it_is_fast(write, precision, kind):
    assert read_config(write(precision=precision), "lite-stylize").instance_group[0].kind == kind


def test_the_model_of_two_pictures_names_the_graphs_and_takes_any_size(write):
    folder = write(precision="fp32", max_batch=3, instances=2)
    config = read_config(folder, "lite")
    assert (config.backend, config.max_batch_size, config.instance_group[0].count) == ("python", 0, 6)
    named = {key: value.string_value for key, value in config.parameters.items()}
    assert named == {"encode": "lite-encode", "stylize": "lite-stylize", "multiple": "8", "min_side": "16"}
    assert [(each.name, list(each.dims), each.optional) for each in config.input] == [
        ("content", [-1, -1, 3], False),
        ("style", [-1, -1, 3], False),
        ("strength", [1], True),
    ]
    compile((folder / "lite" / "1" / "model.py").read_text("utf-8"), "model.py", "exec")


def test_no_more_processes_prepare_pictures_than_a_machine_can_bear(write):
    assert read_config(write(precision="fp32", max_batch=64, instances=4), "lite").instance_group[0].count == 16


def test_the_readme_starts_the_container_and_the_client(write):
    text = (write(precision="int8") / "lite" / "README.md").read_text("utf-8")
    assert "$" not in text.replace("$PWD", "")
    assert "--gpus" not in text
    assert "tritonserver --model-repository=/models" in text
    assert "python lite/client.py lite photo.jpg painting.jpg" in text


def test_a_model_of_another_name_is_called_so(write, tmp_path):
    copy = shutil.copytree(store.model_dir("lite"), tmp_path / "my model")
    list(Repository(Model(str(copy)), tmp_path / "repository", "fp32").write())
    config = read_config(tmp_path / "repository", "my-model")
    assert config.parameters["encode"].string_value == "my-model-encode"


def test_a_graph_with_an_engine_runs_as_a_plan_and_the_others_do_not(write, tmp_path):
    put_engine(tmp_path, b"a plan")
    folder = write(engines=tmp_path)
    config = read_config(folder, "lite-stylize")
    assert (config.backend, config.default_model_filename) == ("tensorrt", "model-8.9.plan")
    assert dict(config.cc_model_filenames) == {"8.9": "model-8.9.plan"}
    assert config.instance_group[0].kind == ModelInstanceGroup.KIND_GPU
    assert [path.name for path in (folder / "lite-stylize" / "1").iterdir()] == ["model-8.9.plan"]
    assert (folder / "lite-stylize" / "1" / "model-8.9.plan").read_bytes() == b"a plan"
    assert read_config(folder, "lite-encode").backend == "onnxruntime"
    assert VERSION in (folder / "lite" / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("wanted", "batch", "profiles"), [(1, 1, ["0", "1"]), (2, 2, ["1"]), (8, 2, ["1"])])
def test_a_plan_is_used_in_the_profiles_that_take_the_whole_batch(write, tmp_path, wanted, batch, profiles):
    assert [profile.N.most for profile in (SMALL, LARGE)] == [1, 2]
    put_engine(tmp_path)
    config = read_config(write(engines=tmp_path, max_batch=wanted), "lite-stylize")
    assert (config.max_batch_size, list(config.instance_group[0].profile)) == (batch, profiles)


def test_each_gpu_gets_the_newest_plan_of_its_own(write, tmp_path):
    put_engine(tmp_path, b"old", built="2026-01-01T00:00:00+00:00", optimization_level=1)
    put_engine(tmp_path, b"new", built="2026-02-01T00:00:00+00:00")
    put_engine(tmp_path, b"other GPU", gpu="NVIDIA H200 (9.0)", built="2026-01-01T00:00:00+00:00")
    put_engine(tmp_path, b"other version", gpu="NVIDIA A100 (8.0)", version="10.13", built="2025-01-01T00:00:00+00:00")
    put_engine(tmp_path, b"other sizes", gpu="Tesla T4 (7.5)", profiles=(SMALL,), built="2025-01-01T00:00:00+00:00")
    folder = write(engines=tmp_path)
    files = {path.name: path.read_bytes() for path in (folder / "lite-stylize" / "1").iterdir()}
    assert files == {"model-8.9.plan": b"new", "model-9.0.plan": b"other GPU"}
    assert read_config(folder, "lite-stylize").default_model_filename == "model-8.9.plan"


def test_a_server_has_one_version_so_a_graph_of_an_older_one_runs_by_onnx_runtime(write, tmp_path):
    put_engine(tmp_path, graph="encode", version="10.13", built="2026-01-01T00:00:00+00:00")
    put_engine(tmp_path, graph="stylize", built="2026-02-01T00:00:00+00:00")
    folder = write(engines=tmp_path)
    assert read_config(folder, "lite-stylize").backend == "tensorrt"
    assert read_config(folder, "lite-encode").backend == "onnxruntime"


def test_another_model_and_other_files_may_be_in_the_repository(write, tmp_path):
    (tmp_path / "repository" / "other").mkdir(parents=True)
    (tmp_path / "repository" / "README.md").write_text("mine")
    folder = write(precision="fp32")
    assert (folder / "README.md").read_text() == "mine"
    assert (folder / "other").is_dir()


@pytest.mark.parametrize("unfit", [{"flavor": "tensorrt-rtx"}, {"weights": "stripped"}, {"precision": "fp32"}])
def test_a_folder_without_an_engine_that_triton_loads_is_refused(write, tmp_path, unfit):
    put_engine(tmp_path, **unfit)
    with pytest.raises(AdainError, match="no engine of this model in fp16 is there that Triton can load"):
        write(engines=tmp_path)
    assert not any((tmp_path / "repository").iterdir())


def test_a_damaged_engine_is_refused_and_nothing_is_left(write, tmp_path):
    put_engine(tmp_path).write_bytes(b"changed")
    with pytest.raises(AdainError, match="is not the engine that its manifest describes"):
        write(engines=tmp_path)
    assert not any((tmp_path / "repository").iterdir())


def test_overwriting_leaves_no_file_of_what_was_there(write, tmp_path):
    put_engine(tmp_path)
    write(engines=tmp_path)
    with pytest.raises(AdainError, match="lite: exists already"):
        write(precision="fp32")
    folder = write(precision="fp32", overwrite=True)
    assert {path.name for path in (folder / "lite-stylize" / "1").iterdir()} == {"model.onnx", "weights.safetensors"}


def test_half_graphs_paint_what_the_others_paint(write, china):
    folder = write(precision="fp16")
    session = onnxruntime.InferenceSession(folder / "lite-encode" / "1" / "model.onnx")
    plain = onnxruntime.InferenceSession(store.model_dir("lite") / "encode.onnx")
    picture = np.ascontiguousarray(china[None, :64, :96])
    for half, single in zip(session.run(None, {"image": picture}), plain.run(None, {"image": picture}), strict=True):
        assert half.dtype == np.float32
        np.testing.assert_allclose(half, single, rtol=0.05, atol=0.05)  # float16 has three digits
