"""The other commands, and the command line as a whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.cli.painted import AS_IT_IS, pixels

from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.cli import cli
from adain_rt.media.pictures import resize_to
from adain_rt.media.sheet import Cell, draw
from adain_rt.style import Style

LIGHT = {"PIL", "click", "numpy", "safetensors"}
"""What answers may load that come at once, beside Python's own library and this project's packages."""


@pytest.mark.parametrize(
    "code", ["import adain_rt", "from adain_rt.cli import main; sys.argv[1:] = ['--help']; main()"]
)
def test_importing_and_asking_for_help_load_nothing_heavy(code):
    """So the command line answers at once."""
    watch = "import sys, atexit; atexit.register(lambda: print(*{name.split('.')[0] for name in sys.modules}))"
    before, after = (
        subprocess.run([sys.executable, "-c", f"{watch}\n{each}"], capture_output=True, check=True, text=True).stdout  # noqa: S603
        for each in ("", code)
    )
    loaded = {*after.splitlines()[-1].split()} - {*before.split()} - sys.stdlib_module_names
    assert {name for name in loaded if not name.startswith("adain_")} <= LIGHT


@pytest.mark.parametrize("group", [(), ("style",), ("weights",), ("bench",)], ids=" ".join)
def test_a_group_without_a_command_shows_its_help(run, group):
    result = run(*group)
    assert (result.status, result.err) == (0, "")
    assert result.out == run(*group, "--help").out


@pytest.mark.parametrize("name", cli.list_commands(None))
def test_every_command_has_help_and_the_list_says_what_it_says(run, name):
    summary = run(name, "--help").out.splitlines()[2].strip()
    assert summary
    assert any(line.split(maxsplit=1) == [name, summary] for line in run("--help").out.splitlines())


def test_an_unknown_command_is_refused(run):
    run("paint").refused("'paint'", "adain-rt --help")


@pytest.mark.parametrize(
    ("typed", "meant"), [(["vidoe"], "video"), (["exprot"], "export"), (["bench", "latncy"], "latency")]
)
def test_a_mistyped_command_is_refused_with_the_one_that_was_meant(run, typed, meant):
    run(*typed).refused(f"'{typed[-1]}'", f"Did you mean '{meant}'?")


@pytest.mark.parametrize("command", ["stylize", "video", "grid", "live", "bench normalization"])
def test_without_a_style_a_picture_or_a_preset_is_asked_for(run, desk, command):
    run(*command.split(), "photo.jpg").refused("'--style'", "a picture, or a preset such as @starry-night")


def test_without_a_style_to_save_a_picture_or_a_preset_is_asked_for(run):
    run("style", "save", "-o", "s.safetensors").refused("a picture, or a preset such as @starry-night")


def test_a_saved_style_is_the_pictures_code(run, desk, stylizer):
    assert (
        run("style", "save", "painting.png", "--style-size", 0, "-o", "s.safetensors", "--title", "A dahlia").status
        == 0
    )
    saved, code = Style.load(desk / "s.safetensors"), stylizer.encode(pixels("painting.png"))
    np.testing.assert_array_equal(saved.mean, code.mean)
    np.testing.assert_array_equal(saved.std, code.std)
    assert saved.about == {"title": "A dahlia"}
    shown = run("style", "show", "s.safetensors").out
    assert "A dahlia" in shown
    assert stylizer.weights_sha256 in shown


def test_a_mixture_can_be_saved_and_shown_as_json(run, desk, stylizer):
    assert run("style", "save", "@great-wave:2", "@starry-night", "-o", "m.safetensors").status == 0
    shown = json.loads(run("style", "show", "m.safetensors", "--json").out)
    paths = [stylizer.directory / "presets" / f"{name}.safetensors" for name in ("great-wave", "starry-night")]
    np.testing.assert_allclose(shown["mean"], Style.mix([Style.load(path) for path in paths], [2, 1]).mean, rtol=1e-6)
    assert shown["title"] == "great-wave + starry-night"


def test_a_style_is_not_saved_onto_its_picture_nor_under_another_suffix(run, desk):
    run("style", "save", "painting.png", "-o", "s.png").refused("s.png", ".safetensors")
    assert run("style", "save", "painting.png", "-o", "s.safetensors").status == 0
    run("style", "save", "painting.png", "-o", "s.safetensors").refused("exists already")
    run("style", "save", "s.safetensors", "-o", "s.safetensors", "--overwrite").refused("is an input")


def test_a_dozen_presets_and_more_are_listed_with_their_works(run):
    listed = run("style", "list").out
    assert listed.count("@") >= 12
    assert "Vincent van Gogh, The Starry Night, 1889" in listed
    facts = json.loads(run("style", "list", "--json").out)
    assert all(int(about["died"]) < 1954 for about in facts.values())


def test_what_is_no_style_cannot_be_shown(run, desk):
    run("style", "show", "painting.png").refused("painting.png", "@name")
    run("style", "show", "@nothing").refused("@nothing", "style list")


def test_every_preset_paints_with_the_bundled_weights(stylizer, desk):
    photo = pixels("photo.jpg")
    paths = sorted((stylizer.directory / "presets").iterdir())
    made = [stylizer.stylize(photo, Style.load(path)).astype(int) for path in paths]
    for i, one in enumerate(made):
        assert all(np.abs(one - other).mean() > 2 for other in made[i + 1 :]), paths[i].stem


def preset(stylizer, name: str) -> Style:
    return Style.load(stylizer.directory / "presets" / f"{name}.safetensors")


def test_a_grid_has_a_row_for_each_content_and_a_column_for_each_style(run, desk, stylizer):
    styles = ("--style", "painting.png", "--style", "@great-wave")
    sizes = ("--size", 0, "--style-size", 0, "--cell", 64, *AS_IT_IS)
    assert run("grid", "photo.jpg", "painting.png", *styles, *sizes, "-o", "g.png").status == 0
    painting, codes = pixels("painting.png"), [stylizer.encode(pixels("painting.png")), preset(stylizer, "great-wave")]
    rows = [[Cell(), Cell("painting", painting), Cell("great-wave")]]
    for name, content in (("photo", pixels("photo.jpg")), ("painting", painting)):
        rows.append([Cell(name, content), *(Cell(pixels=stylizer.stylize(content, code)) for code in codes)])
    np.testing.assert_array_equal(pixels("g.png"), draw(rows, 64))


def test_a_grid_sweeps_alpha(run, desk, stylizer):
    sweep = ("--style", "@great-wave", "--alphas", "0,0.5,1", "--size", 0, "--cell", 64, *AS_IT_IS)
    assert run("grid", "photo.jpg", *sweep, "-o", "a.png").status == 0
    content, code = pixels("photo.jpg"), preset(stylizer, "great-wave")
    cells = [Cell(f"alpha {a:g}", stylizer.stylize(content, code, strength=a)) for a in (0, 0.5, 1)]
    np.testing.assert_array_equal(pixels("a.png"), draw([[Cell("photo", content), *cells, Cell("great-wave")]], 64))


def test_a_grid_mixes_between_four_corners(run, desk, stylizer):
    names = ("great-wave", "starry-night", "the-scream", "stables")
    four = [part for name in names for part in ("--style", f"@{name}")]
    options = ("--corners", "--size", 32, "--cell", 48, *AS_IT_IS)
    assert run("grid", "photo.jpg", *four, *options, "-o", "c.png").status == 0
    content, codes = resize_to(pixels("photo.jpg"), 32), [preset(stylizer, name) for name in names]
    rows = []
    for y in (0, 0.25, 0.5, 0.75, 1):
        weights = [((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y) for x in (0, 0.25, 0.5, 0.75, 1)]
        labels = [names[each.index(1)] if 1 in each else "" for each in weights]
        mixed = [stylizer.stylize(content, Style.mix(codes, each)) for each in weights]
        rows.append([Cell(label, picture) for label, picture in zip(labels, mixed, strict=True)])
    np.testing.assert_array_equal(pixels("c.png"), draw(rows, 48))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--style", "@great-wave", "--corners"], ["between corners takes one content and four styles, not 1 and 1"]),
        (["--style", "@great-wave", "--alphas", "0,x"], ["--alphas 0,x", "not a list of numbers"]),
        (["--style", "@great-wave", "--alphas", "0,2"], ["--alphas 0,2", "2 is not from 0 to 1"]),
        (["--style", "missing.png"], ["missing.png", "no such file"]),
        (["--style", "@great-wave:2"], ["no weights"]),
        (["--style", "@great-wave", "--alphas", "0,1", "--alpha", "0.5"], ["leave out --alpha or --alphas"]),
    ],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_refused(run, desk, arguments, said):
    run("grid", "photo.jpg", *arguments, "-o", "g.png").refused(*said)
    assert not (desk / "g.png").exists()


@pytest.mark.slow
def test_info_says_which_backend_auto_takes_and_why(run):
    facts = json.loads(run("info", "--json").out)
    assert facts["auto"].startswith(
        "openvino: the first of tensorrt, tensorrt-rtx, onnxruntime-cuda, torch, openvino, "
    )
    assert facts["models"]["lite"] == "ready in fp32 and int8"
    assert "onnxruntime" in run("info").out


@pytest.mark.slow
def test_export_refuses_to_write_into_the_package_unasked(run):
    run("export", "--model", "lite").refused("-o")


@pytest.mark.slow
def test_an_exported_model_paints_and_a_failed_export_leaves_the_one_that_was_there(run, desk, monkeypatch):
    from adain_models.networks.vgg19 import Vgg19
    from adain_models.weights import checkpoint

    checkpoint.save(Vgg19(width=4), desk / "mine" / "weights.safetensors")
    result = run("export", "--model", "mine")
    assert (result.status, result.err) == (0, "")
    assert result.out == "mine: 6 graphs in fp32, within one level of 256 of PyTorch\n"
    assert run("stylize", "photo.jpg", "--style", "painting.png", "--model", "mine", "-o", "one.png").status == 0
    before = {path: path.read_bytes() for path in (desk / "mine").iterdir()}

    def disagree(directory: Path) -> None:
        raise AdainError(f"{directory}: the graph stylize differs from PyTorch by 9 of 256 levels")

    monkeypatch.setattr("adain_export.torch.export.verify", disagree)
    monkeypatch.setattr(contract, "GRAPHS", {"encode": contract.GRAPHS["encode"]})  # one is enough to disagree
    checkpoint.save(Vgg19(width=8), desk / "other" / "weights.safetensors")
    run("export", "--model", "other", "-o", "mine").refused("differs from PyTorch")
    assert {path: path.read_bytes() for path in (desk / "mine").iterdir()} == before


@pytest.mark.slow
def test_export_in_int8_calibrates_on_pictures_and_needs_them(run, desk, stylizer, monkeypatch):
    def copy_graphs(source: Path, model: str, destination: Path) -> Iterator[str]:
        for graph in contract.GRAPHS:
            shutil.copy(stylizer.directory / contract.graph_file(graph), destination)
            yield graph

    monkeypatch.setattr("adain_export.torch.export.export_model", copy_graphs)  # of these weights, it makes the same
    (desk / "mine").mkdir()
    (desk / "mine" / "weights.safetensors").write_bytes((stylizer.directory / "weights.safetensors").read_bytes())
    run("export", "--model", "mine", "--precision", "int8").refused("--calibration DIR go together")
    result = run("export", "--model", "mine", "--precision", "int8", "--calibration", ".")
    assert (result.status, result.err) == (0, "adain-rt: .: passed over 1 of its 3 entries (subfolders: 1)\n")
    assert "graphs in int8" in result.out
    options = ("--model", "mine", "--precision", "int8", "-o", "out.png")
    assert run("stylize", "photo.jpg", "--style", "painting.png", *options).status == 0


@pytest.mark.parametrize(
    "arguments", [("quantize", "--calibration", "."), ("bench", "quality", ".", "--style", ".", "--teacher", "t")]
)
def test_other_commands_without_their_packages_say_what_to_install(desk, arguments):
    absent = "import sys; sys.modules.update(dict.fromkeys(('torch', 'onnx', 'onnx_ir')))"
    command = [sys.executable, "-c", f"{absent}; from adain_rt.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - our own program
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'adain-rt[export]'" in done.stderr


def test_export_without_its_packages_says_what_to_install(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("adain_export.")]:
        monkeypatch.delitem(sys.modules, name)
    run("export", "-o", tmp_path / "x").refused("torch", "pip install 'adain-rt[export]'")
    assert not (tmp_path / "x").exists()
