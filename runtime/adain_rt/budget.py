"""How much of a picture is computed at once: all of it if memory suffices, or a tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adain_models.errors import AdainError
from adain_rt.auto import OpenGraph
from adain_rt.contract import MULTIPLE
from adain_rt.errors import too_large
from adain_rt.machine import memory
from adain_rt.pixels import padded
from adain_rt.tiling import LANES, Window, find_window

__all__ = ["AUTO_TILE", "NO_TILES", "RGB", "Budget", "Tile"]

AUTO_TILE: Literal["auto"] = "auto"
NO_TILES: Literal["off"] = "off"

Tile = int | Literal["auto", "off"]
"""The side of tiles in pixels, ``auto`` for tiles where a picture does not fit, or ``off``."""

_MOST = 2 << 30
"""Bytes of the host's memory that a picture takes by default, if they are free."""

_LEAST_SHARE = 0.25
"""The share of the memory that is left to tiles, however large the picture is."""

_LEAST_TILE = 64
"""Pixels of a tile's side, below which it would be little more than halo."""

_MOST_ON_GPU = 4096
"""Pixels of a window's side on a GPU: engines are built for no more by default, and nothing is gained by more."""

_EXTRA_REGION = 0.3
"""How much more memory each region takes beyond the two that a graph's own count has, as a share of all (measured)."""

_COPIED = 6
"""Bytes of a pixel that are copied for a backend whose work takes none of this memory: the picture, in and out."""

_UNASKED = 1 << 28
"""So many bytes are copied without asking for the memory that is free, which takes longer than a GPU does."""

RGB = 3
"""Bytes of a pixel of a picture."""

_HELD = 2 * RGB + 1
"""Bytes of a pixel that a picture takes: the photo, what it is painted over from, and what resizing left behind."""


@dataclass(frozen=True)
class Budget:
    """The size of tiles and the memory that painting may take.

    Attributes:
        tile: the side of tiles, ``auto`` or ``off``.
        memory: bytes, of the GPU's memory on a GPU; ``None`` is what is free, at most 2 GiB on a processor.

    Raises:
        AdainError: one of them is none of these.

    """

    tile: Tile = AUTO_TILE
    memory: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither a size nor one of the words."""
        is_side = isinstance(self.tile, int) and not isinstance(self.tile, bool) and self.tile >= _LEAST_TILE
        if self.tile not in (AUTO_TILE, NO_TILES) and not is_side:
            raise AdainError(
                f"tiles are {AUTO_TILE}, {NO_TILES}, or pixels of a side, at least {_LEAST_TILE}, not {self.tile!r}",
                hint="set `tile` to 1024, or leave it out",
            )
        if self.memory is not None and not (isinstance(self.memory, int) and self.memory > 0):
            raise AdainError(f"the memory is a number of bytes, not {self.memory!r}", hint="set `memory` to 1 << 30")

    def fits(self, opened: OpenGraph, shape: tuple[int, ...], regions: int = 1, output: int = RGB) -> bool:
        """Return whether pictures are computed at once; if not, each is computed in tiles.

        What is free on a GPU is not asked for: backends keep memory there, and give it up when a picture needs it.

        Args:
            opened: the graph.
            shape: of the pictures, (N, H, W, 3).
            regions: how many masks there are.
            output: bytes of a pixel that come out.

        Raises:
            AdainError: the pictures do not fit, and tiles do not help or are off.

        """
        count, height, width = shape[:3]
        free = None if opened.on_gpu else opened.free_bytes()
        if self.tile != NO_TILES and not self._is_whole(opened, height, width, regions, output, free):
            memory.check_fits(height, width, count * height * width * output)
            return False
        pixels = count * padded(height) * padded(width)
        if opened.on_gpu:  # the backend minds the GPU's memory; this is the host's
            copied = pixels * (_COPIED + regions)
            memory.check_fits(height, width, copied if copied > _UNASKED else 0)
        elif free is not None and (needed := round(pixels * _count_bytes(opened, regions))) > free:
            raise too_large(height, width, needed, free, "memory")
        return True

    def window(self, opened: OpenGraph, height: int, width: int, regions: int = 1, output: int = RGB) -> Window:
        """Return the size that a graph computes at once, of a picture that is computed in tiles.

        Args:
            opened: the graph.
            height: of the picture, in pixels.
            width: of the picture, in pixels.
            regions: how many masks there are.
            output: bytes of a pixel that come out.

        Raises:
            AdainError: memory does not suffice for a tile.

        """
        rows, columns = padded(height), padded(width)
        halo = opened.facts.halo or 0
        if isinstance(self.tile, int):
            side = self.tile // MULTIPLE * MULTIPLE + 2 * halo
            rows, columns = min(rows, side), min(columns, side)
        elif opened.on_gpu:
            rows, columns = min(rows, _MOST_ON_GPU), min(columns, _MOST_ON_GPU)
        most = rows * columns
        room = self._find_room(opened, height * width, output, opened.free_bytes())
        if room is not None:
            lanes = LANES if opened.on_gpu else 1
            most = min(most, int(room / _count_bytes(opened, regions) / lanes))
        window = find_window(rows, columns, most)
        least = [min(side, 2 * halo + _LEAST_TILE) for side in (padded(height), padded(width))]
        if window.height < least[0] or window.width < least[1]:
            needed = round(least[0] * least[1] * _count_bytes(opened, regions))
            raise too_large(height, width, needed, room or 0, "GPU memory" if opened.on_gpu else "memory")
        return window

    def _is_whole(
        self, opened: OpenGraph, height: int, width: int, regions: int, output: int, free: int | None
    ) -> bool:
        """Return whether one picture is computed at once."""
        if isinstance(self.tile, int):
            return max(height, width) <= self.tile
        room = self._find_room(opened, height * width, output, free)
        return room is None or padded(height) * padded(width) * _count_bytes(opened, regions) <= room

    def _find_room(self, opened: OpenGraph, pixels: int, output: int, free: int | None) -> int | None:
        """Return the bytes that a graph may take for a picture of so many pixels; ``None`` if nothing bounds them.

        On a processor the picture and what comes out take some of the same memory.
        """
        if opened.on_gpu:
            return min((each for each in (free, self.memory) if each is not None), default=None)
        most = self.memory or _MOST
        room = max(most - pixels * (_HELD + output), int(most * _LEAST_SHARE))
        return room if free is None else min(room, free - pixels * output)


def _count_bytes(opened: OpenGraph, regions: int) -> float:
    """Return the bytes that a graph takes for a pixel, with so many masks."""
    return opened.bytes_per_pixel * (1 + _EXTRA_REGION * max(0, regions - 2))
