"""The light runtime of arbitrary style transfer with Adaptive Instance Normalization.

    from adain_rt import Stylizer

    stylizer = Stylizer()
    style = stylizer.encode(painting)         # uint8 (H, W, 3) -> a style code
    picture = stylizer.stylize(photo, style)  # uint8, the photo's size

Importing this package loads nothing else; its names load at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adain_models.errors import AdainError
    from adain_rt.fitting import fit
    from adain_rt.stream import Stream
    from adain_rt.strokes import paint
    from adain_rt.style import Style
    from adain_rt.stylizer import Stylizer

    __version__: str

__all__ = ["AdainError", "Stream", "Style", "Stylizer", "__version__", "fit", "paint"]

_HOMES = {
    "AdainError": "adain_models.errors",
    "Stream": "adain_rt.stream",
    "fit": "adain_rt.fitting",
    "paint": "adain_rt.strokes",
    "Style": "adain_rt.style",
    "Stylizer": "adain_rt.stylizer",
}


def __getattr__(name: str) -> Any:
    """Load one of the public names when it is first asked for (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("adain-rt")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
