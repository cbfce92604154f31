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

__all__ = ["FLAVORS", "LOG", "Flavor", "find_installed"]

LOG = logging.getLogger("adain_rt.tensorrt")
"""Takes the libraries' messages: errors, warnings, and all else for debugging."""


@dataclass(frozen=True)
class Flavor:
    """A library: the module to import, and what it can do.

    Attributes:
        name: its name in recipes, manifests and on the command line.
        module: the name to import it by.
        extra: the extra of this distribution that installs it.
        builds_without_gpu: whether it builds engines on a machine without a GPU.
        portable: whether its engines run on any GPU of the compute capabilities that they are built for. They are
            finished there, at the first run. An engine that is not portable is for the GPU that it was built on.

    """

    name: str
    module: str
    extra: str
    builds_without_gpu: bool
    portable: bool

    @property
    def installed(self) -> bool:
        """Whether it is installed; its stubs alone, for type checkers, make a package without an origin."""
        spec = find_spec(self.module)
        return spec is not None and spec.origin is not None

    @property
    def install(self) -> str:
        """The line that installs it."""
        return f"pip install 'adain-rt[{self.extra}]'"

    def library(self) -> Any:
        """Return the library's module.

        Raises:
            AdainError: the library is not installed, or cannot be loaded.

        """
        if not self.installed:
            raise AdainError(f"{self.name} is not installed: {self.install}")
        try:
            return import_module(self.module)
        except Exception as error:  # of its own shared libraries, each release in its own way
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise AdainError(f"{self.name} cannot be loaded ({reason}); install it again: {self.install}") from None

    def compute_capabilities(self) -> dict[str, Any]:
        """Return what a portable library builds engines for: its enum's members by name, such as ``8.9``."""
        members = self.library().ComputeCapability.__members__
        return {f"{label[2:-1]}.{label[-1]}": member for label, member in members.items() if label.startswith("SM")}

    def logger(self) -> Any:
        """Return the one logger that the library may have in a process; it passes messages on to ``LOG``."""
        return _make_logger(self)


FLAVORS = {
    flavor.name: flavor
    for flavor in (
        Flavor("tensorrt", "tensorrt", "tensorrt", builds_without_gpu=False, portable=False),
        Flavor("tensorrt-rtx", "tensorrt_rtx", "tensorrt-rtx", builds_without_gpu=True, portable=True),
    )
}
"""The libraries by name, the preferred first."""


def find_installed() -> Flavor:
    """Return the first library that is installed.

    Raises:
        AdainError: neither library is installed.

    """
    for flavor in FLAVORS.values():
        if flavor.installed:
            return flavor
    installs = " or ".join(flavor.install for flavor in FLAVORS.values())
    raise AdainError(f"TensorRT is not installed: {installs}")


@cache
def _make_logger(flavor: Flavor) -> Any:
    trt = flavor.library()
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
