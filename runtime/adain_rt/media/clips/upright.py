"""Turning frames upright. A file says by a display matrix how its frames, as they are stored, are to be shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from adain_rt.contract import Pixels

__all__ = ["Turn"]

_MATRIX = struct.Struct("=9i")


@dataclass(frozen=True)
class Turn:
    """How stored pixels become upright: first transposed, then mirrored.

    Attributes:
        transpose: whether rows become columns.
        mirror_rows: whether the order of the rows is then reversed.
        mirror_columns: likewise of the columns.

    """

    transpose: bool = False
    mirror_rows: bool = False
    mirror_columns: bool = False

    @staticmethod
    def read(frame: Any) -> Turn:
        """Return the turn that a frame of PyAV asks for. One that is not of a multiple of 90 degrees is left out.

        The matrix has the rows (a, b, u), (c, d, v) and (x, y, w). A point (p, q) is shown at (ap + cq, bp + dq).
        """
        # PyAV crashes when it frees the side data of pictures with colour profiles, so they are asked for last.
        data = frame.side_data.get("DISPLAYMATRIX") if frame.rotation else None
        if data is None:
            return Turn()
        a, b, _, c, d, *_ = _MATRIX.unpack(bytes(data))
        if a and d and not b and not c:
            return Turn(False, mirror_rows=d < 0, mirror_columns=a < 0)
        if b and c and not a and not d:
            return Turn(True, mirror_rows=b < 0, mirror_columns=c < 0)
        return Turn()

    def apply(self, pixels: Pixels) -> Pixels:
        """Return pixels, uint8 (H, W, ...), upright and contiguous."""
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        if self.mirror_rows:
            pixels = pixels[::-1]
        if self.mirror_columns:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)
