"""TensorRT comes as two libraries with one interface, the full one and TensorRT-RTX. Only here are they told apart.

Both are driven as TensorRT 11 is, strongly typed; TensorRT 10.13 and later takes the same calls.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from adain_models.errors import AdainError

__all__ = ["FLAVORS", "LOG", "Flavor", "compute_capabilities", "first_installed", "library", "logger"]

LOG = logging.getLogger("adain_rt.tensorrt")
"""What the libraries say: errors, warnings, and all else for debugging."""


@dataclass(frozen=True)
class Flavor:
    """A library: the module to import, and what it can do.

    Attributes:
        module: the name to import it by.
        extra: of this distribution, which installs it.
        builds_without_gpu: whether it makes engines where no GPU is.
        portable: whether its engines run on any GPU of the compute capabilities that they are built for. They are
            finished there, at the first run. An engine that is not portable is for the GPU that it was built on.

    """

    module: str
    extra: str
    builds_without_gpu: bool
    portable: bool

    @property
    def installed(self) -> bool:
        """Whether it is; its stubs alone, for type checkers, make a package without an origin."""
        spec = find_spec(self.module)
        return spec is not None and spec.origin is not None

    @property
    def install(self) -> str:
        """The line that installs it."""
        return f"pip install 'adain-rt[{self.extra}]'"


FLAVORS = {
    "tensorrt": Flavor("tensorrt", "tensorrt", builds_without_gpu=False, portable=False),
    "tensorrt-rtx": Flavor("tensorrt_rtx", "tensorrt-rtx", builds_without_gpu=True, portable=True),
}
"""The libraries by name, the preferred first."""


def first_installed() -> str:
    """Return the name of the first library that is installed.

    Raises:
        AdainError: none is.

    """
    for name, flavor in FLAVORS.items():
        if flavor.installed:
            return name
    installs = " or ".join(flavor.install for flavor in FLAVORS.values())
    raise AdainError(f"TensorRT is not installed: {installs}")


def library(name: str) -> Any:
    """Return the library's module.

    Raises:
        AdainError: it is not installed, or cannot be loaded.

    """
    flavor = FLAVORS[name]
    if not flavor.installed:
        raise AdainError(f"{name} is not installed: {flavor.install}")
    try:
        return import_module(flavor.module)
    except Exception as error:  # of its own shared libraries, each release in its own way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise AdainError(f"{name} cannot be loaded ({reason}); install it again: {flavor.install}") from None


def compute_capabilities(name: str) -> dict[str, Any]:
    """Return what a portable library builds engines for: its own members by compute capability, such as ``8.9``."""
    members = library(name).ComputeCapability.__members__
    return {f"{label[2:-1]}.{label[-1]}": member for label, member in members.items() if label.startswith("SM")}


@cache
def logger(name: str) -> Any:
    """Return the one logger that a library may have in a process: it tells ``LOG``."""
    trt = library(name)
    severity = trt.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
    }

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]  # the base is known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # as its binding asks

        def log(self, level: Any, message: str) -> None:
            LOG.log(levels.get(level, logging.DEBUG), "%s", message)

    return Logger()
