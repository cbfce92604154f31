"""Load what ``adain-rt triton`` writes into NVIDIA's server, and compare its pictures with the Stylizer's.

    python tools/check_triton.py build/triton

``make check-triton`` runs it. The argument is the folder of a virtual environment. It is made where it is missing, with
the server of the wheel ``nvidia-pytriton``, which is Triton 2.51. That server has the Python backend alone, so a
stand-in runs each graph, by ONNX Runtime. Checked is what Triton itself does with the configurations, and the model
that takes two pictures. What the ONNX Runtime and TensorRT backends do is not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.http import InferenceServerClient, InferInput

from adain_export.triton.repository import Repository
from adain_rt import Stylizer
from adain_rt.contract import GRAPHS
from adain_rt.model import Model

PACKAGES = ("nvidia-pytriton==0.7.0", "numpy<2", "onnxruntime")  # the server's Python backend is older than NumPy 2
SECONDS = 120
EXAMPLE = Path(__file__).parents[1] / "examples" / "inference_server.py"

STAND_IN = """
import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_name"]
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path)

    def execute(self, requests):
        names = [value.name for value in self.session.get_inputs()]
        given = [[pb_utils.get_input_tensor_by_name(each, name).as_numpy() for name in names] for each in requests]
        batch = dict(zip(names, map(np.concatenate, zip(*given))))
        print("computed", self.name, len(batch["image"]), flush=True)
        names = [value.name for value in self.session.get_outputs()]
        ends = np.cumsum([len(each[0]) for each in given])[:-1]
        answers = zip(*(np.split(values, ends) for values in self.session.run(None, batch)))
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(*pair) for pair in zip(names, map(np.ascontiguousarray, each))])
            for each in answers
        ]
"""


def main() -> None:
    """Check one repository."""
    place = prepare_server(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder, "repository")
        list(Repository(Model("lite"), repository, "fp32").write())
        replace_backends(repository)
        log = Path(folder, "server.log")
        with serve(place, repository, log) as url:
            client = InferenceServerClient(url, concurrency=8)
            check_descriptions(client)
            check_pictures(client)
            check_refusals(client)
            check_example(url, Path(folder))
        batches = [int(line.split()[-1]) for line in log.read_text().splitlines() if "computed lite-stylize " in line]
        check("several pictures of one size were computed at once", max(batches) > 1)
        print("batches of lite-stylize, the warm-up's first:", *batches)


def prepare_server(venv: Path) -> Path:
    """Return the environment with the server, and give the server its stub for this version of Python."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    server = find_packages(venv) / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, server / "backends" / "python")
    return venv


def find_packages(venv: Path) -> Path:
    """Return the folder of an environment's packages."""
    return next(venv.glob("lib/python*/site-packages")).absolute()


def replace_backends(repository: Path) -> None:
    """Let the stand-in run each graph, and leave the rest of its configuration as it is."""
    for graph in GRAPHS:
        folder = repository / f"lite-{graph}"
        config = text_format.Parse((folder / "config.pbtxt").read_text(), ModelConfig())
        config.backend = "python"
        (folder / "config.pbtxt").write_text(text_format.MessageToString(config))
        (folder / "1" / "model.py").write_text(STAND_IN)


@contextmanager
def serve(venv: Path, repository: Path, log: Path) -> Iterator[str]:
    """Run the server, and yield its address once it is ready."""
    packages = find_packages(venv)
    server = packages / "pytriton" / "tritonserver"
    ports = [find_port() for _ in range(3)]
    kinds = ("http-port", "grpc-port", "metrics-port")
    options = [f"--{kind}={port}" for kind, port in zip(kinds, ports, strict=True)]
    options += ["--http-address=127.0.0.1", "--grpc-address=127.0.0.1"]
    libraries = f"{packages / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
    path = f"{venv.absolute() / 'bin'}:{os.environ['PATH']}"  # the stub finds packages by the first python3 there
    with (
        log.open("w") as output,
        subprocess.Popen(
            [
                server / "bin" / "tritonserver",
                f"--model-repository={repository}",
                f"--backend-directory={server / 'backends'}",
                *options,
            ],
            stdout=output,
            stderr=output,
            env=os.environ | {"LD_LIBRARY_PATH": libraries, "PATH": path},
        ) as process,
    ):
        try:
            url = f"127.0.0.1:{ports[0]}"
            wait_until_ready(InferenceServerClient(url), process, log)
            yield url
        finally:
            process.terminate()


def find_port() -> int:
    """Return a port that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(client: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers; it says why where it ends instead."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.is_server_ready():
                return
        except OSError:
            pass
        time.sleep(0.5)
    sys.exit(f"{log.read_text()}\nthe server is not ready")


def check_descriptions(client: Any) -> None:
    """Compare what the server says of each graph with the contract; strength has one more dimension there."""
    for graph, ends in GRAPHS.items():
        metadata = client.get_model_metadata(f"lite-{graph}")
        names = [[tensor["name"] for tensor in metadata[kind]] for kind in ("inputs", "outputs")]
        wanted = [[tensor.name for tensor in tensors] for tensors in (ends.inputs, ends.outputs)]
        check(f"lite-{graph} is described", names == wanted)


def check_pictures(client: Any) -> None:
    """Ask for pictures of odd sizes, one at a time and many at once."""
    noise = np.random.default_rng(0)
    style = noise.integers(0, 256, (90, 77, 3), np.uint8)
    with Stylizer("lite", "onnxruntime", "fp32") as stylizer:
        code = stylizer.encode(style)
        for height, width in ((203, 301), (64, 64), (9, 130)):
            content = noise.integers(0, 256, (height, width, 3), np.uint8)
            wanted = stylizer.stylize(content, code, strength=0.7)
            painted = ask(client, content=content, style=style, strength=np.array([0.7], np.float32))
            check(f"{width}x{height} is what the Stylizer paints", np.array_equal(painted, wanted))
    content = noise.integers(0, 256, (512, 512, 3), np.uint8)
    wanted = ask(client, content=content, style=style)
    inputs = as_inputs(content=content, style=style)
    waiting = [client.async_infer("lite", inputs) for _ in range(24)]
    answers = [each.get_result().as_numpy("stylized") for each in waiting]
    check("24 requests at once are answered alike", all(np.array_equal(each, wanted) for each in answers))


def check_example(url: str, folder: Path) -> None:
    """Run the example, which asks for the graphs themselves."""
    noise = np.random.default_rng(1)
    photo, painting = (noise.integers(0, 256, (height, 90, 3), np.uint8) for height in (61, 128))
    paths = [folder / "painting.png", folder / "photo.png"]
    for path, pixels in zip(paths, (painting, photo), strict=True):
        Image.fromarray(pixels).save(path)
    subprocess.run([sys.executable, EXAMPLE, url, "lite-", *paths], check=True)
    with Stylizer("lite", "onnxruntime", "fp32") as stylizer, Image.open(folder / "photo_painted.png") as painted:
        wanted = stylizer.stylize(photo, stylizer.encode(painting))
        check("the example paints what the Stylizer paints", np.array_equal(np.asarray(painted), wanted))


def check_refusals(client: Any) -> None:
    """Ask for what cannot be."""
    picture = np.zeros((16, 16, 3), np.uint8)
    for inputs, says in (
        ({"content": picture[:0], "style": picture}, "(0, 16, 3)"),
        ({"content": picture, "style": picture, "strength": np.array([2], np.float32)}, "from 0 to 1"),
        ({"content": picture}, "style"),
    ):
        try:
            ask(client, **inputs)
        except Exception as error:  # the client's own
            check(f"refused: {error}", says in str(error) and "[400]" in str(error))
        else:
            check(f"{inputs} are refused", False)


def ask(client: Any, **tensors: Any) -> Any:
    """Return the picture that the server makes."""
    return client.infer("lite", as_inputs(**tensors)).as_numpy("stylized")


def as_inputs(**tensors: Any) -> list[Any]:
    """Return arrays as a client sends them."""
    inputs = []
    for name, values in tensors.items():
        inputs.append(InferInput(name, list(values.shape), "UINT8" if values.dtype == np.uint8 else "FP32"))
        inputs[-1].set_data_from_numpy(values)
    return inputs


def check(what: str, holds: bool) -> None:
    """Say what holds; end with status 1 where it does not."""
    print(f"{'ok' if holds else 'NOT'}: {what}")
    if not holds:
        sys.exit(1)


if __name__ == "__main__":
    main()
