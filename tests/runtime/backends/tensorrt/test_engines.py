"""Which engines are taken, refused or built."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.runtime.backends.tensorrt.engines_on_disk import ADA, FACTS, LITE, VERSION, put_engine

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends.tensorrt import engines
from adain_rt.backends.tensorrt.engine_file import EngineFile, engines_dir
from adain_rt.backends.tensorrt.engines import Engines
from adain_rt.backends.tensorrt.flavors import FLAVORS, Flavor
from adain_rt.backends.tensorrt.manifest import Recipe, manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import static_profile
from adain_rt.cuda import Gpu
from adain_rt.errors import UnusableBackend

HOPPER = Gpu("NVIDIA H200", "9.0", "13.0", 141 << 30)


@pytest.fixture(autouse=True)
def library(monkeypatch) -> None:
    """A TensorRT of which only the version is asked for."""
    monkeypatch.setattr(Flavor, "library", lambda _: SimpleNamespace(__version__=VERSION))


def found(folder: Path | None, gpu: Gpu = ADA, **options: object) -> Engines:
    return Engines(LITE, "fp16", FLAVORS["tensorrt"], gpu, folder, **options)


def sizes(count: int, height: int, width: int) -> dict[str, int]:
    return {"N": count, "H": height, "W": width}


def test_a_picture_runs_in_the_profile_that_serves_it_best(tmp_path):
    path = put_engine(tmp_path)
    for size, place in (((1, 512, 512), 0), ((1, 320, 480), 0), ((1, 1080, 1920), 1), ((2, 64, 64), 1)):
        file, profile = found(tmp_path).find("stylize", sizes(*size))
        assert (file.path, profile) == (path, place)


def test_an_engine_for_one_size_is_preferred_at_that_size(tmp_path):
    dynamic, static = put_engine(tmp_path), put_engine(tmp_path, b"static", profiles=(static_profile("1x320x480"),))
    engines = found(tmp_path)
    assert engines.find("stylize", sizes(1, 320, 480))[0].path == static
    assert engines.find("stylize", sizes(1, 328, 480))[0].path == dynamic


def test_a_size_beyond_all_profiles_is_refused_with_those_there_are(tmp_path):
    put_engine(tmp_path)
    with pytest.raises(AdainError, match=r"1x5000x64; there are 1x16x16:1x256x256:1x512x512, 1x16x16.*adain-rt build"):
        found(tmp_path).find("stylize", sizes(1, 5000, 64))


def test_too_many_regions_are_named(tmp_path):
    put_engine(tmp_path, graph="stylize_regions")
    with pytest.raises(AdainError, match=r"stylize_regions is for 1x64x64 in 16 regions \(up to 15 usually\)"):
        found(tmp_path).find("stylize_regions", sizes(1, 64, 64) | {"R": 16})
    assert found(tmp_path).find("stylize_regions", sizes(1, 64, 64) | {"R": 15})[1] == 0


def test_any_engine_of_a_graph_has_its_facts(tmp_path):
    put_engine(tmp_path, profiles=(static_profile("1080x1920"),))
    assert found(tmp_path).first("stylize").manifest.origin.facts == FACTS


def test_an_engine_is_given_as_it_was_built(tmp_path):
    put_engine(tmp_path, b"\0code")
    assert found(tmp_path).find("stylize", sizes(1, 64, 64))[0].read() == b"\0code"


def test_an_engine_that_its_manifest_does_not_describe_is_not_loaded(tmp_path):
    path = put_engine(tmp_path)
    path.write_bytes(b"malice")
    with pytest.raises(AdainError, match=f"{path.name}: is not the engine that its manifest.*`trust_engines`"):
        found(tmp_path).find("stylize", sizes(1, 64, 64))[0].read()


def test_an_engine_that_its_manifest_does_not_describe_is_loaded_on_trust(tmp_path):
    put_engine(tmp_path).write_bytes(b"edited")
    assert found(tmp_path, trust=True).find("stylize", sizes(1, 64, 64))[0].read() == b"edited"


def test_an_engine_without_a_manifest_is_not_taken_even_on_trust(tmp_path):
    manifest_file(put_engine(tmp_path)).unlink()
    with pytest.raises(AdainError, match=r"no engine of this model's stylize.*manifest cannot be read"):
        found(tmp_path, trust=True).find("stylize", sizes(1, 64, 64))


@pytest.mark.parametrize(
    ("change", "gpu", "said"),
    [
        ({"version": "10.13.0"}, ADA, r"built by tensorrt 10\.13\.0, and 11\.4\.0 is installed"),
        ({}, HOPPER, r"built on NVIDIA L4 \(8\.9\), and this is NVIDIA H200 \(9\.0\)"),
        ({"gpu": "", "compute_capabilities": ("8.6", "8.9")}, HOPPER, r"for compute capabilities 8\.6, 8\.9, not 9\.0"),
        ({"version": "12.0.0", "version_compatible": True}, ADA, r"built by tensorrt 12\.0\.0, and 11\.4\.0 is"),
        ({"hardware_compatibility": "same_compute_capability"}, HOPPER, "built on NVIDIA L4"),
        ({"onnx_sha256": "1" * 64}, ADA, "no engine of this model's stylize in fp16 for tensorrt"),
        ({"precision": "fp32"}, ADA, "no engine of this model's stylize in fp16 for tensorrt"),
        ({"flavor": "tensorrt-rtx"}, ADA, "no engine of this model's stylize in fp16 for tensorrt"),
    ],
)
def test_an_engine_of_another_model_library_or_gpu_is_refused_with_the_reason(tmp_path, change, gpu, said):
    put_engine(tmp_path, **change)
    with pytest.raises(UnusableBackend, match=said):
        found(tmp_path, gpu).find("stylize", sizes(1, 64, 64))


@pytest.mark.parametrize(
    ("change", "gpu"),
    [
        ({"version": "11.0.0", "version_compatible": True}, ADA),
        ({"hardware_compatibility": "ampere_plus"}, HOPPER),
        ({"hardware_compatibility": "same_compute_capability"}, replace(ADA, name="NVIDIA L40S")),
        ({"gpu": "", "compute_capabilities": ("8.9", "12.0")}, ADA),
        ({"gpu": ""}, HOPPER),
    ],
)
def test_an_engine_that_is_made_to_be_compatible_is_taken(tmp_path, change, gpu):
    path = put_engine(tmp_path, **change)
    assert found(tmp_path, gpu).find("stylize", sizes(1, 64, 64))[0].path == path


def test_an_engine_older_than_ampere_is_not_taken_for_ampere_plus(tmp_path):
    put_engine(tmp_path, hardware_compatibility="ampere_plus")
    turing = Gpu("NVIDIA T4", "7.5", "13.0", 16 << 30)
    with pytest.raises(AdainError, match="built on NVIDIA L4"):
        found(tmp_path, turing).find("stylize", sizes(1, 64, 64))


class FakeBuilder:
    """Builds by putting a file into the folder; ``paths`` are those that it built."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def build(self, directory: Path, graph: str, recipe: Recipe, folder: Path) -> EngineFile:
        folder.mkdir(parents=True, exist_ok=True)
        built_as = {"profiles": recipe.profiles, "flavor": recipe.flavor, "precision": recipe.precision}
        path = put_engine(folder, b"new", graph, **built_as)
        self.paths.append(path)
        return EngineFile(path, read_manifest(manifest_file(path)), trust=False)


@pytest.fixture
def fake(monkeypatch, tmp_path) -> FakeBuilder:
    """A builder, and an empty cache."""
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    return FakeBuilder()


def test_an_engine_that_lacks_is_built_once_and_said_before(fake, caplog):
    first = found(None, builder=fake).find("stylize", sizes(1, 64, 64))[0]
    assert first.path.parent == engines_dir()
    assert "building the engine of stylize for NVIDIA L4" in caplog.text
    caplog.clear()
    assert found(None, builder=fake).find("stylize", sizes(1, 64, 64))[0] == first
    assert (len(fake.paths), caplog.text) == (1, "")


def test_a_stale_engine_is_built_anew_with_the_reason(fake, caplog):
    engines_dir().mkdir(parents=True)
    stale = put_engine(engines_dir(), version="11.3.0")
    file, _ = found(None, builder=fake).find("stylize", sizes(1, 64, 64))
    assert [file.path] == fake.paths
    assert f"{stale.name} was built by tensorrt 11.3.0, and 11.4.0 is installed; it is built anew" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_a_damaged_engine_in_the_cache_is_built_anew(fake, caplog):
    engines_dir().mkdir(parents=True)
    damaged = put_engine(engines_dir())
    damaged.write_bytes(b"half of it")
    file, _ = found(None, builder=fake).find("stylize", sizes(1, 64, 64))
    assert ([file.path], file.read()) == (fake.paths, b"new")
    assert f"{damaged.name} is damaged; it is built anew" in caplog.text


def test_what_cannot_be_read_in_the_cache_is_nobodys_and_not_spoken_of(fake, caplog):
    engines_dir().mkdir(parents=True)
    manifest_file(put_engine(engines_dir())).write_text("{}")
    found(None, builder=fake).find("stylize", sizes(1, 64, 64))
    assert (len(fake.paths), len(caplog.records)) == (1, 1)


def test_an_engine_for_one_size_in_the_cache_leaves_the_usual_one_to_be_built_for_others(fake):
    engines_dir().mkdir(parents=True)
    static = put_engine(engines_dir(), profiles=(static_profile("1080x1920"),))
    there = found(None, builder=fake)
    assert there.find("stylize", sizes(1, 1080, 1920))[0].path == static
    assert fake.paths == []
    assert [there.find("stylize", sizes(1, 480, 640))[0].path] == fake.paths
    assert there.find("stylize", sizes(1, 1080, 1920))[0].path == static
    with pytest.raises(AdainError, match="no engine of stylize is for 1x5000x5000"):
        there.find("stylize", sizes(1, 5000, 5000))
    assert len(fake.paths) == 1


def test_nothing_is_built_in_a_folder_that_is_named(fake, tmp_path):
    with pytest.raises(AdainError, match="no engine of this model's stylize"):
        found(tmp_path, builder=fake).find("stylize", sizes(1, 64, 64))
    assert fake.paths == []


def test_the_builder_that_is_installed_builds_by_default(fake, monkeypatch):
    asked = []
    monkeypatch.setattr(engines, "load_builder", lambda purpose: asked.append(purpose) or fake)
    there = found(None)
    assert [there.find(graph, sizes(1, 64, 64))[0].path for graph in ("stylize", "encode")] == fake.paths
    assert asked == ["building the engine of stylize"]
