"""A Stylizer in several processes: given to them, or inherited by a fork. Each child ends in time, or is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

PARENT = """
import logging, os, signal, sys
import numpy as np
from adain_rt import AdainError, Stylizer

backend, precision, fresh = sys.argv[1], sys.argv[2], sys.argv[3] == "fresh"
picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
logging.basicConfig(stream=sys.stdout, format="warned %(message)s")
inherited = Stylizer(backend=backend, precision=precision)
if "onnxruntime" in sys.argv[4:]:  # what ``auto`` may choose
    from adain_rt import backends
    kept = ("openvino", "onnxruntime")
    for name in [each for each in backends.BACKENDS if each not in kept]:
        del backends.BACKENDS[name]
style = inherited.encode(picture)
before = inherited.stylize(picture, style)
sys.stdout.flush()
child = os.fork()
if child:
    status = os.waitpid(child, 0)[1]
    print("ended", os.waitstatus_to_exitcode(status))
    sys.exit(0)
signal.alarm(60)  # a child that hangs is killed
try:
    stylizer = Stylizer(backend=backend, precision=precision) if fresh else inherited
    after = stylizer.stylize(picture, style)
    inherited.close()
    print("painted", stylizer.backend, int(np.abs(after.astype(int) - before).max()))
except AdainError as error:
    print("refused", error)
sys.exit(0)  # an end that frees everything, as of a script
"""


def fork(*arguments: str) -> list[str]:
    """Let a process paint, fork, and its child paint; return what they said."""
    command = [sys.executable, "-c", PARENT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("which", ["inherited", "fresh"])
def test_onnx_runtime_is_opened_anew_in_a_forked_child(which):
    assert fork("onnxruntime", "fp32", which) == ["painted onnxruntime 0", "ended 0"]


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
@pytest.mark.parametrize("which", ["inherited", "fresh"])
def test_openvino_is_refused_in_a_forked_child(which):
    said, ended = fork("openvino", "fp32", which)
    assert said.startswith("refused openvino was used before this process was forked")
    assert "get_context('spawn')" in said
    assert ended == "ended 0"


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
@pytest.mark.parametrize("which", ["inherited", "fresh"])
def test_auto_goes_on_to_a_backend_that_survives_the_fork(which):
    warned, painted, ended = fork("auto", "fp32", which, "openvino", "onnxruntime")
    assert warned.startswith("warned openvino: openvino was used before this process was forked")
    assert warned.endswith("going on with onnxruntime")
    assert painted.startswith("painted onnxruntime ")
    assert int(painted.split()[-1]) <= 2  # levels, between two libraries in fp32
    assert ended == "ended 0"


def test_a_pool_of_spawned_processes_takes_a_stylizer(tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(
        """
import multiprocessing
from functools import partial
import numpy as np
from adain_rt import Stylizer

if __name__ == "__main__":
    stylizer = Stylizer(precision="fp32")
    pictures = list(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    style = stylizer.encode(pictures[0])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        made = pool.map(partial(stylizer.stylize, style=style), pictures)
    print([int(np.abs(one.astype(int) - stylizer.stylize(two, style)).max()) for one, two in zip(made, pictures)])
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert done.stdout == "[0, 0]\n", done.stderr
