"""How the command line words an error."""

from __future__ import annotations

import json
import logging

import pytest
from tests.runtime.cli.painted import STYLE

from adain_models.errors import AdainError
from adain_rt.cli.terminal import word_error
from adain_rt.stylizer import Stylizer

ERROR = AdainError("no bf16 here", hint="use another `precision`")
WORDED = "no bf16 here; use another --precision"


@pytest.mark.parametrize(
    ("hint", "worded"),
    [
        ("use another `precision`", "use another --precision"),
        ("set `trust_engines`, or `cuda_graph` to no", "set --trust-engines, or --cuda-graph to no"),
        ("run `adain-rt export --model lite`", "run `adain-rt export --model lite`"),
        ("`adain-rt`, `Stylizer`, `./x` and `2` are others", "`adain-rt`, `Stylizer`, `./x` and `2` are others"),
    ],
)  # fmt: skip
def test_a_parameter_in_a_hint_becomes_its_option(hint, worded):
    assert word_error(AdainError("wrong", hint=hint)) == f"wrong; {worded}"


def test_without_a_hint_the_message_stands_as_it_is():
    assert word_error(AdainError("`precision` is wrong")) == "`precision` is wrong"
    assert word_error(OSError("disk")) == "disk"


@pytest.fixture
def failing(monkeypatch):
    """A Stylizer that fails at every picture with a hint."""

    def fail(*_, **__):
        raise ERROR

    monkeypatch.setattr(Stylizer, "stylize", fail)


def test_an_error_that_ends_the_command_is_worded(run, desk, failing):
    result = run("grid", "photo.jpg", "--style", "@great-wave", "--size", 0, "-o", "g.png")
    assert result.err == f"adain-rt: photo.jpg: {WORDED}\n"


def test_the_failure_of_a_picture_is_worded_on_stderr_and_in_json(run, desk, failing):
    result = run("stylize", "photo.jpg", *STYLE, "--json", "-o", "out.png")
    assert result.err == f"adain-rt: photo.jpg: {WORDED}\n"
    assert json.loads(result.out)["failures"] == [{"source": "photo.jpg", "error": f"photo.jpg: {WORDED}"}]


def test_an_error_in_a_warning_is_worded(run, monkeypatch):
    def warn(*_):
        logging.getLogger("adain_rt").warning("%s: %s; trying another", "openvino", ERROR)
        return {"openvino": "no bf16 here"}

    monkeypatch.setattr("adain_rt.cli.info.candidates", warn)
    assert f"adain-rt: openvino: {WORDED}; trying another\n" in run("info").err
