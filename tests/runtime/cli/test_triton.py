"""``adain-rt triton`` as a person runs it."""

from __future__ import annotations

import sys

import pytest

from adain_models.weights import store

pytestmark = pytest.mark.slow  # it needs the extra


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache without engines."""
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))


def test_triton_says_what_runs_by_what_and_what_comes_next(run, tmp_path):
    result = run("triton", "--precision", "fp32", "-o", tmp_path / "repository")
    assert (result.status, result.err) == (0, "")
    assert "lite-stylize: ONNX Runtime, fp32\n" in result.out
    assert result.out.endswith(f"Next: see {tmp_path / 'repository' / 'lite' / 'README.md'}\n")


def test_triton_replaces_no_model_unless_told(run, tmp_path):
    assert run("triton", "--precision", "fp32", "-o", tmp_path / "repository").status == 0
    again = ("triton", "--precision", "int8", "-o", tmp_path / "repository")
    run(*again).refused("lite: exists already", "add --overwrite")
    assert run(*again, "--overwrite").status == 0


def test_triton_refuses_in_one_line_what_it_cannot_do(run, tmp_path):
    output = ("-o", tmp_path / "repository")
    (tmp_path / "engines").mkdir()
    run("triton", "--engines", tmp_path / "engines", *output).refused(
        "no engine of this model in fp16", "adain-rt build"
    )
    run("triton", "--engines", tmp_path / "engines", "--precision", "int8", *output).refused("leave out --engines")
    run("triton", "--model", "vgg19", *output).refused("adain-rt weights fetch vgg19")
    run("triton", "--max-batch", "0", *output).refused("--max-batch")
    (tmp_path / "file").write_text("")
    run("triton", "-o", tmp_path / "file").refused("file")
    assert not (tmp_path / "repository").exists() or not any((tmp_path / "repository").iterdir())


def test_triton_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tritonclient", None)
    for name in [name for name in sys.modules if name.startswith(("adain_export.triton", "tritonclient."))]:
        monkeypatch.delitem(sys.modules, name)
    run("triton", "-o", tmp_path).refused("triton needs tritonclient", "pip install 'adain-rt[triton]'")
