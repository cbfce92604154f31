"""Profiles, manifests, and which engines are taken, refused or built."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.base import UnusableBackend
from adain_rt.backends.tensorrt import engines, flavors, manifest
from adain_rt.backends.tensorrt.engine_file import EngineFile, engines_dir, gpu_label
from adain_rt.backends.tensorrt.engines import Engines
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe, engine_stem, manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS, Profile, parse_profile, static_profile
from adain_rt.cuda import Gpu

LITE = store.model_dir("lite")
ADA = Gpu("NVIDIA L4", "8.9", "13.0", 24 << 30)
HOPPER = Gpu("NVIDIA H200", "9.0", "13.0", 141 << 30)
VERSION = "11.4.0"
METADATA = {
    "model": "lite",
    "weights_sha256": "0" * 64,
    "contract": "1",
    "channels": "128",
    "precision": "fp32",
    "bytes_per_pixel": "160",
}
SMALL = parse_profile("16:256:512")
LARGE = parse_profile("1x16x16:1x1080x1920:2x4096x4096")


@pytest.fixture(autouse=True)
def library(monkeypatch) -> None:
    """A TensorRT of which only the version is asked for."""
    monkeypatch.setattr(flavors, "library", lambda _: SimpleNamespace(__version__=VERSION))


def put(folder: Path, content: bytes = b"engine", graph: str = "stylize", **changes: object) -> Path:
    """Write an engine with its manifest as a build on ADA leaves them, but for some changes."""
    origin = Origin(graph, sha256_of(LITE / contract.graph_file(graph)), METADATA)
    recipe = Recipe("tensorrt", "fp16", (SMALL, LARGE))
    digest = sha256(content).hexdigest()
    made = Manifest(
        origin, recipe, VERSION, gpu_label(ADA), "0.1.0", "2026-01-01T00:00:00+00:00", digest, len(content), ()
    )
    for name in ("origin", "recipe"):
        fields = {key: changes.pop(key) for key in list(changes) if hasattr(getattr(made, name), key)}
        made = replace(made, **{name: replace(getattr(made, name), **fields)})
    made = replace(made, **changes)
    path = folder / f"{engine_stem(made.origin, made.recipe, made.version, made.gpu)}.engine"
    path.write_bytes(content)
    manifest_file(path).write_text(made.to_json(), "utf-8")
    return path


def found(folder: Path, gpu: Gpu = ADA, **options: object) -> Engines:
    return Engines(LITE, "fp16", "tensorrt", gpu, folder, **options)


def sizes(count: int, height: int, width: int) -> dict[str, int]:
    return {"N": count, "H": height, "W": width}


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("256:512:1024", ((1, 1, 1), (256, 512, 1024), (256, 512, 1024))),
        ("64x96:720x1280:1080x1920", ((1, 1, 1), (64, 720, 1080), (96, 1280, 1920))),
        ("1x16x16:2x512x512:4X1024x1024", ((1, 2, 4), (16, 512, 1024), (16, 512, 1024))),
    ],
)
def test_a_profile_is_read_as_sides_heights_and_widths_and_batches(text, ranges):
    assert parse_profile(text) == Profile(*ranges)


@pytest.mark.parametrize("profile", [*DEFAULTS, SMALL, LARGE, static_profile("4x512x768")])
def test_a_profile_is_written_as_it_is_read(profile):
    assert parse_profile(str(profile)) == profile


def test_a_static_profile_is_one_size():
    assert static_profile("512x768") == Profile((1, 1, 1), (512, 512, 512), (768, 768, 768))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("512", "MIN:OPT:MAX"),
        ("256:512:1024:2048", "MIN:OPT:MAX"),
        ("512:256:1024", "must rise"),
        ("256:512:500", "multiples of 8"),
        ("8:512:1024", "from 16 to 16384"),
        ("0x64x64:1x64x64:1x64x64", "N at least 1"),
        ("a:b:c", "'a' is none"),
        ("1x2x3x4:512:1024", "is none"),
        (":512:1024", "is none"),
        ("16:512:1000000", "from 16 to 16384"),
        ("-16:512:1024", "from 16 to 16384"),
    ],
)
def test_a_profile_that_no_graph_can_take_is_refused(text, said):
    with pytest.raises(AdainError, match=said):
        parse_profile(text)


def test_the_shapes_of_a_profile_are_those_of_the_contract():
    profile = parse_profile("1x16x24:2x512x768:4x1024x1024")
    image, mean, _, masks, strength = contract.GRAPHS["stylize_regions"].inputs
    assert profile.shapes(image, 128) == [(1, 16, 24, 3), (2, 512, 768, 3), (4, 1024, 1024, 3)]
    assert profile.shapes(mean, 128) == [(1, 1, 128), (2, 2, 128), (4, 15, 128)]
    assert profile.shapes(masks, 128) == [(1, 1, 16, 24), (2, 2, 512, 768), (4, 15, 1024, 1024)]
    assert profile.shapes(strength, 128) == [(1,), (2,), (4,)]


def test_no_default_profile_lets_a_tensor_of_vgg19_have_two_to_the_31_numbers():
    for profile in DEFAULTS:
        assert 64 * profile.N[2] * profile.H[2] * profile.W[2] < 2**31  # the first block: 64 channels, full size
        assert 512 * profile.R[2] * profile.N[2] * profile.H[2] * profile.W[2] // 64 < 2**31  # regions, at an eighth


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    layer = {"name": "conv", "type": "kgen", "inputs": ["Half[1]"], "outputs": ["Half[2]"], "nodes": ["a", "b"]}
    path = put(tmp_path, layers=(layer,), workspace=64)
    read = read_manifest(manifest_file(path))
    assert read.origin == Origin("stylize", sha256_of(LITE / "stylize.onnx"), METADATA)
    assert read.recipe == Recipe("tensorrt", "fp16", (SMALL, LARGE), workspace=64)
    assert (read.version, read.gpu, read.engine_bytes) == (VERSION, "NVIDIA L4 (8.9)", 6)
    assert read.layers == (layer,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "[]",
        lambda _: "null",
        lambda text: text.replace('"version"', '"vorsion"'),
        lambda text: text.replace('"engine_bytes": 6', '"engine_bytes": "6"'),
        lambda text: text.replace('"contract": "1"', '"contract": 1'),
        lambda text: text.replace('"gpu": "NVIDIA L4 (8.9)"', '"gpu": null'),
        lambda text: json.dumps(json.loads(text) | {"recipe": json.loads(text)["recipe"] | {"profiles": [{"N": [1]}]}}),
        lambda _: "[" * 100_000,
        lambda text: text.replace("256", "1e400"),
        lambda text: text.replace("256", "0"),
        lambda text: text.replace('"graph": "stylize"', '"graph": "dance"'),
        lambda text: text.replace('"flavor": "tensorrt"', '"flavor": "vanilla"'),
        lambda text: text.replace('"channels": "128"', '"channels": "many"'),
        lambda text: text.replace('"model": "lite",', ""),
        lambda text: text.replace('"layers": []', '"layers": [1]'),
        lambda text: text.replace('"layers": []', '"layers": [{}]'),
        lambda text: text.replace('"compute_capabilities": []', '"compute_capabilities": [8]'),
        lambda text: " " * (17 << 20) + text,
    ],
)
def test_a_damaged_manifest_is_refused_with_its_name(tmp_path, damage):
    path = manifest_file(put(tmp_path))
    path.write_text(damage(path.read_text()))
    with pytest.raises(AdainError, match=f"{path.name}: is not an engine's manifest"):
        read_manifest(path)


def test_a_manifest_of_another_format_is_refused(tmp_path, monkeypatch):
    path = manifest_file(put(tmp_path))
    monkeypatch.setattr(manifest, "FORMAT", 2)
    with pytest.raises(AdainError, match="another version of adain-rt"):
        read_manifest(path)


def test_all_that_an_engine_depends_on_is_in_its_name():
    origin, recipe = Origin("stylize", "1" * 64, METADATA), Recipe("tensorrt", "fp16", (SMALL,))
    stems = {
        engine_stem(origin, recipe, VERSION, "a"),
        engine_stem(origin, recipe, VERSION, "b"),
        engine_stem(origin, recipe, "11.3.0", "a"),
        engine_stem(replace(origin, onnx_sha256="2" * 64), recipe, VERSION, "a"),
        engine_stem(replace(origin, metadata=METADATA | {"weights_sha256": "3" * 64}), recipe, VERSION, "a"),
        engine_stem(origin, replace(recipe, profiles=(LARGE,)), VERSION, "a"),
        engine_stem(origin, replace(recipe, profiles=(replace(SMALL, R=(1, 1, 2)),)), VERSION, "a"),
        engine_stem(origin, replace(recipe, precision="fp32"), VERSION, "a"),
        engine_stem(origin, replace(recipe, flavor="tensorrt-rtx"), VERSION, "a"),
        engine_stem(origin, replace(recipe, compute_capabilities=("8.9",)), VERSION, "a"),
        engine_stem(origin, replace(recipe, hardware_compatibility="ampere_plus"), VERSION, "a"),
        engine_stem(origin, replace(recipe, version_compatible=True), VERSION, "a"),
        engine_stem(origin, replace(recipe, weights="stripped"), VERSION, "a"),
        engine_stem(origin, replace(recipe, upsampling="nearest"), VERSION, "a"),
        engine_stem(origin, replace(recipe, optimization_level=5), VERSION, "a"),
        engine_stem(origin, replace(recipe, workspace=64), VERSION, "a"),
    }
    assert len(stems) == 16
    assert engine_stem(origin, recipe, VERSION, "a").startswith("lite-stylize-fp16-tensorrt-")


def test_a_models_name_does_not_lead_out_of_the_folder():
    for name in ("../escaped/x", "/etc/x", "a b/c"):
        origin = Origin("stylize", "1" * 64, METADATA | {"model": name})
        assert "/" not in engine_stem(origin, Recipe("tensorrt", "fp16", (SMALL,)), VERSION, "")


def test_a_picture_runs_in_the_profile_that_serves_it_best(tmp_path):
    path = put(tmp_path)
    for size, place in (((1, 512, 512), 0), ((1, 320, 480), 0), ((1, 1080, 1920), 1), ((2, 64, 64), 1)):
        file, profile = found(tmp_path).find("stylize", sizes(*size))
        assert (file.path, profile) == (path, place)


def test_an_engine_for_one_size_is_preferred_at_that_size(tmp_path):
    dynamic, static = put(tmp_path), put(tmp_path, b"static", profiles=(static_profile("1x320x480"),))
    engines = found(tmp_path)
    assert engines.find("stylize", sizes(1, 320, 480))[0].path == static
    assert engines.find("stylize", sizes(1, 328, 480))[0].path == dynamic


def test_a_size_beyond_all_profiles_is_refused_with_those_there_are(tmp_path):
    put(tmp_path)
    with pytest.raises(AdainError, match=r"1x5000x64; there are 1x16x16:1x256x256:1x512x512, 1x16x16.*adain-rt build"):
        found(tmp_path).find("stylize", sizes(1, 5000, 64))


def test_too_many_regions_are_named(tmp_path):
    put(tmp_path, graph="stylize_regions")
    with pytest.raises(AdainError, match=r"stylize_regions is for 1x64x64 in 16 regions \(up to 15 usually\)"):
        found(tmp_path).find("stylize_regions", sizes(1, 64, 64) | {"R": 16})
    assert found(tmp_path).find("stylize_regions", sizes(1, 64, 64) | {"R": 15})[1] == 0


def test_any_engine_of_a_graph_tells_its_metadata(tmp_path):
    put(tmp_path, profiles=(static_profile("1080x1920"),))
    assert found(tmp_path).first("stylize").manifest.origin.metadata == METADATA


def test_an_engine_is_given_as_it_was_built(tmp_path):
    put(tmp_path, b"\0code")
    assert found(tmp_path).find("stylize", sizes(1, 64, 64))[0].read() == b"\0code"


def test_an_engine_that_its_manifest_does_not_describe_is_not_loaded(tmp_path):
    path = put(tmp_path)
    path.write_bytes(b"malice")
    with pytest.raises(AdainError, match=f"{path.name}: is not the engine that its manifest.*`trust_engines`"):
        found(tmp_path).find("stylize", sizes(1, 64, 64))[0].read()


def test_an_engine_that_its_manifest_does_not_describe_is_loaded_on_trust(tmp_path):
    put(tmp_path).write_bytes(b"edited")
    assert found(tmp_path, trust=True).find("stylize", sizes(1, 64, 64))[0].read() == b"edited"


def test_an_engine_without_a_manifest_is_not_taken_even_on_trust(tmp_path):
    manifest_file(put(tmp_path)).unlink()
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
    put(tmp_path, **change)
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
    path = put(tmp_path, **change)
    assert found(tmp_path, gpu).find("stylize", sizes(1, 64, 64))[0].path == path


def test_an_engine_older_than_ampere_is_not_taken_for_ampere_plus(tmp_path):
    put(tmp_path, hardware_compatibility="ampere_plus")
    turing = Gpu("NVIDIA T4", "7.5", "13.0", 16 << 30)
    with pytest.raises(AdainError, match="built on NVIDIA L4"):
        found(tmp_path, turing).find("stylize", sizes(1, 64, 64))


@pytest.fixture
def built(monkeypatch, tmp_path) -> list[Path]:
    """Let a build in the cache be a file put there; return what was built."""
    paths: list[Path] = []

    def build_engine(directory: Path, graph: str, recipe: Recipe, folder: Path) -> EngineFile:
        folder.mkdir(parents=True, exist_ok=True)
        path = put(folder, b"new", graph, profiles=recipe.profiles, flavor=recipe.flavor, precision=recipe.precision)
        paths.append(path)
        return EngineFile(path, read_manifest(manifest_file(path)), trust=False)

    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "import_module", lambda _: SimpleNamespace(build_engine=build_engine))
    return paths


def test_an_engine_that_lacks_is_built_once_and_said_before(built, caplog):
    first = found(None).find("stylize", sizes(1, 64, 64))[0]
    assert first.path.parent == engines_dir()
    assert "building the engine of stylize for NVIDIA L4" in caplog.text
    caplog.clear()
    assert found(None).find("stylize", sizes(1, 64, 64))[0] == first
    assert (len(built), caplog.text) == (1, "")


def test_a_stale_engine_is_built_anew_with_the_reason(built, caplog):
    engines_dir().mkdir(parents=True)
    stale = put(engines_dir(), version="11.3.0")
    file, _ = found(None).find("stylize", sizes(1, 64, 64))
    assert [file.path] == built
    assert f"{stale.name} is built by tensorrt 11.3.0, and 11.4.0 is installed; it is built anew" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_a_damaged_engine_in_the_cache_is_built_anew(built, caplog):
    engines_dir().mkdir(parents=True)
    damaged = put(engines_dir())
    damaged.write_bytes(b"half of it")
    file, _ = found(None).find("stylize", sizes(1, 64, 64))
    assert ([file.path], file.read()) == (built, b"new")
    assert f"{damaged.name} is damaged; it is built anew" in caplog.text


def test_what_cannot_be_read_in_the_cache_is_nobodys_and_not_spoken_of(built, caplog):
    engines_dir().mkdir(parents=True)
    manifest_file(put(engines_dir())).write_text("{}")
    found(None).find("stylize", sizes(1, 64, 64))
    assert (len(built), len(caplog.records)) == (1, 1)


def test_an_engine_for_one_size_in_the_cache_leaves_the_usual_one_to_be_built_for_others(built):
    engines_dir().mkdir(parents=True)
    static = put(engines_dir(), profiles=(static_profile("1080x1920"),))
    there = found(None)
    assert there.find("stylize", sizes(1, 1080, 1920))[0].path == static
    assert built == []
    assert [there.find("stylize", sizes(1, 480, 640))[0].path] == built
    assert there.find("stylize", sizes(1, 1080, 1920))[0].path == static
    with pytest.raises(AdainError, match="no engine of stylize is for 1x5000x5000"):
        there.find("stylize", sizes(1, 5000, 5000))
    assert len(built) == 1


def test_nothing_is_built_in_a_folder_that_is_named(built, tmp_path):
    with pytest.raises(AdainError, match="no engine of this model's stylize"):
        found(tmp_path).find("stylize", sizes(1, 64, 64))
    assert built == []


def test_what_is_missing_to_build_is_said_in_one_line(monkeypatch, tmp_path):
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")

    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "import_module", missing)
    with pytest.raises(AdainError, match=r"stylize, onnx is needed: pip install 'adain-rt\[tensorrt\]'"):
        found(None).find("stylize", sizes(1, 64, 64))
