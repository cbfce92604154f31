"""``adain-rt info``: what a bug report needs."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import click

from adain_models import spec, store
from adain_models.errors import AdainError
from adain_rt import backends, contract

__all__ = ["command"]

_PACKAGES = ("adain-rt", "onnxruntime", "numpy", "pillow", "torch", "onnx")


@click.command("info")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """Show versions, devices and the backend in use."""
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": {package: _version(package) for package in _PACKAGES},
        "contract": contract.VERSION,
        "backends": {choice.name: _said(choice) for choice in backends.candidates()},
        "auto": _auto(),
        "models": {name: _state(name) for name in spec.MODELS},
        "cache": str(store.cache_dir()),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        if not isinstance(value, dict):
            click.echo(f"{key:<12} {value}")
            continue
        for name, item in value.items():
            click.echo(f"{key:<12} {name:<12} {item}")


def _said(choice: backends.Choice) -> str:
    return f"{'usable' if choice.usable else 'not usable'}: {choice.reason}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _auto() -> str:
    """Say which backend ``auto`` takes, and why."""
    try:
        choice = backends.choose()
    except AdainError as error:
        return str(error)
    return f"{choice.name} ({choice.reason})"


def _state(model: str) -> str:
    directory = store.model_dir(model)
    if not (directory / store.WEIGHTS_NAME).is_file():
        return f"no weights; adain-rt weights fetch {model}"
    if not all((directory / contract.graph_file(graph)).is_file() for graph in contract.GRAPHS):
        return f"weights, no graphs; adain-rt export --model {model}"
    return "ready"
