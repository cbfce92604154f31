"""One picture that is too large to be read whole: painted between files, and gone on with after an interruption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_rt import color
from adain_rt.bands import add_change, shrink
from adain_rt.contract import Pixels
from adain_rt.jobs.work import WorkFolder, find_work, identify_painting
from adain_rt.media import huge
from adain_rt.media.huge import PixelFile
from adain_rt.progress import Progress, part_of
from adain_rt.strokes import AT_ONCE, OVER, find_smaller, keep_bare, paint
from adain_rt.style import Style
from adain_rt.tiling import Canvas
from adain_rt.transfer import StyleMix, Transfer
from adain_rt.underpainting import Underpainted

__all__ = ["HugePainting"]

_STATE = "state.json"
_SMALLER, _ENLARGING, _MEASURING, _PAINTING, _WRITING = 0.03, 0.09, 0.15, 0.28, 0.7
"""About the shares of the whole time after which each begins; for progress only."""

_MOST_SMALLER = 1 << 24
"""The most pixels of the smaller painting that this one is painted over, which is in memory."""

_GO_ON = "when it can be, go on with `resume`"


@dataclass
class HugePainting:
    """Stylises one picture of any size, of which only a tile is in memory.

    The pixels are decoded into a file beside the result, painted into another, and encoded from there. What is done is
    noted after each tile, so that the same painting goes on after an interruption.

    Attributes:
        content: the picture.
        target: the result.
        mix: the styles.
        transfer: runs the network; has the strength and the colours.
        masks: files, one for each style.
        resume: whether to go on with what an interrupted run has done.
        progress: is called with the share that is done.

    """

    content: Path
    target: Path
    mix: StyleMix
    transfer: Transfer
    masks: Sequence[Path] = ()
    resume: bool = False
    progress: Progress | None = None
    _work: WorkFolder = field(init=False)
    _state: dict[str, Any] = field(init=False)

    def paint(self) -> tuple[int, int]:
        """Write the result, and return its width and height.

        Raises:
            AdainError: libvips is not installed, a file cannot be read or written, the disk has not the room, another
                run paints the same result, or any reason that ``Stylizer.stylize`` has.

        """
        huge.check_installed()
        try:
            with WorkFolder(self.target) as self._work:
                self._state = self._begin()
                content, alpha, masks = self._unpack()
                huge.check_writable(self.target, *content.shape[:2])
                painted = self._paint(content, masks)
                with _telling_the_way_on():
                    writing = part_of(self.progress, _WRITING, 1 - _WRITING)
                    huge.pack(painted, alpha, self.target, self.content, writing)
        except OSError as error:
            raise AdainError(f"{find_work(self.target)}: cannot be written ({explain(error)})", hint=_GO_ON) from None
        return content.shape[1], content.shape[0]

    def _begin(self) -> dict[str, Any]:
        """Return what an interrupted run of the same painting has done; without any, begin in an empty folder."""
        same = {"painting": identify_painting(self.transfer, self.mix, (self.content, *self.masks))}
        if self.resume:
            with suppress(OSError, ValueError, AttributeError):
                state: dict[str, Any] = json.loads((self._work.path / _STATE).read_text("utf-8"))
                if state.get("painting") == same["painting"]:
                    return state
        self._work.clear()
        return same

    def _note(self, **done: Any) -> None:
        """Note what is done, for a later run."""
        self._state |= done
        with _telling_the_way_on(), replacing(self._work.path / _STATE) as aside:
            aside.write_text(json.dumps(self._state), "utf-8")
        self._work.worth = True

    def _unpack(self) -> tuple[PixelFile, PixelFile | None, list[Canvas]]:
        """Return the picture, its alpha, and the masks, in files."""
        folder = self._work.path
        if "shape" not in self._state:
            self._check_room()
            unpacked = huge.unpack(self.content, folder, part_of(self.progress, 0, _SMALLER))
            masks = [huge.unpack_mask(mask, folder / f"mask{place}.raw") for place, mask in enumerate(self.masks)]
            for mask, path in zip(masks, self.masks, strict=True):
                if mask.shape != unpacked.pixels.shape[:2]:
                    (height, width), (rows, columns) = mask.shape, unpacked.pixels.shape[:2]
                    raise AdainError(
                        f"mask {path}: is {width}x{height} pixels and {self.content} is {columns}x{rows}; "
                        "make the mask as large as the content"
                    )
            for file in (unpacked.pixels, unpacked.alpha, *masks):
                if file is not None:
                    file.sync()
            self._note(shape=unpacked.pixels.shape, alpha=unpacked.alpha is not None)
        shape = tuple(self._state["shape"])
        content = PixelFile(folder / "content.raw", shape)
        alpha = PixelFile(folder / "alpha.raw", shape[:2]) if self._state["alpha"] else None
        masks = [PixelFile(folder / f"mask{place}.raw", shape[:2]) for place in range(len(self.masks))]
        if alpha is None:
            return content, None, list(masks)
        return content, alpha, [_Visible(alpha, mask) for mask in masks] or [_Visible(alpha)]

    def _paint(self, content: PixelFile, masks: Sequence[Canvas]) -> PixelFile:
        """Return the file of the painted pixels."""
        codes = [self.transfer.encode(source, np.asarray(content)) for source in self.mix.sources]
        styles = codes if self.masks else [Style.mix(codes, self.mix.weights)]
        styles = self._fit(content, styles, masks)
        stylizer, painted = self.transfer.stylizer, PixelFile(self._work.path / "painted.raw", content.shape)
        over, strength = self._paint_smaller(content, styles, masks)
        if "measured" not in self._state:
            measuring = part_of(self.progress, _MEASURING, _PAINTING - _MEASURING)
            mean, std = stylizer.measure_tiles(over, masks, progress=measuring)
            painted.make()
            self._note(measured=[mean.tolist(), std.tolist()], tiles=None, done=0)
        mean, std = (np.array(numbers, np.float32) for numbers in self._state["measured"])
        tiling = stylizer.split(over, styles, masks)
        tiles = [len(tiling.tiles), *tiling.tiles[0].rows, *tiling.tiles[0].columns]
        if self._state["tiles"] != tiles:  # another amount of memory is free now
            self._note(tiles=tiles, done=0)
        painting = part_of(self.progress, _PAINTING, _WRITING - _PAINTING)
        for rows, columns, pixels in tiling.paint((mean, std), strength, self._state["done"], painting):
            own, made = content[rows, columns], pixels
            if masks:
                made = keep_bare(made, own, [mask[rows, columns] for mask in masks])
            painted[rows, columns] = color.keep_chroma(own, made) if self.transfer.color == "luma" else made
            painted.sync()
            self._note(done=self._state["done"] + 1)
        return painted

    def _fit(self, content: PixelFile, styles: list[Style], masks: Sequence[Canvas]) -> list[Style]:
        """Return the styles fitted to the picture; once, since memory and so tiles may be others in a later run."""
        if "styles" not in self._state:
            fitted = self.transfer.fit_styles(content, styles, masks)
            self._note(styles=[[each.mean.tolist(), each.std.tolist()] for each in fitted])
        codes = np.array(self._state["styles"], np.float32)
        return [replace(style, mean=mean, std=std) for style, (mean, std) in zip(styles, codes, strict=True)]

    def _paint_smaller(
        self, content: PixelFile, styles: Sequence[Style], masks: Sequence[Canvas]
    ) -> tuple[Canvas, float]:
        """Return what is painted, and how strongly: the picture, underpainted, or what a smaller one makes of it."""
        size = find_smaller(content.shape[0], content.shape[1], self.transfer.strokes, _MOST_SMALLER)
        if size is None:
            levels = self.transfer.underpainting * self.transfer.strength
            return Underpainted(content, levels, masks), self.transfer.strength
        over = PixelFile(self._work.path / "over.raw", content.shape)
        if "over" not in self._state:
            threads = self.transfer.stylizer.settings.own_threads
            smaller = shrink(content, *size, threads)
            painted = paint(
                self.transfer.stylizer,
                smaller,
                list(styles) if masks else styles[0],
                strokes=self.transfer.strokes,
                underpainting=self.transfer.underpainting,
                strength=self.transfer.strength,
                masks=np.stack([shrink(mask, *size, threads) for mask in masks]) if masks else None,
                progress=part_of(self.progress, _SMALLER, _ENLARGING - _SMALLER),
            )
            over.make()
            enlarging = part_of(self.progress, _ENLARGING, _MEASURING - _ENLARGING)
            for rows, pixels in add_change(content, smaller, painted, threads):
                over[rows, 0 : content.shape[1]] = pixels
                if enlarging is not None:
                    enlarging(rows.stop / content.shape[0])
            over.sync()
            self._note(over=True)
        return over, self.transfer.strength * OVER

    def _check_room(self) -> None:
        """Refuse what the disk has no room for, as far as can be told."""
        width, height = huge.read_size(self.content)
        files = 2 if self.transfer.strokes == AT_ONCE else 3
        needed = width * height * (files * 3 + 1 + len(self.masks))
        free = shutil.disk_usage(self._work.path).free
        if needed > free:
            raise AdainError(
                f"{self.target}: takes {needed / 1e9:.1f} GB of disk while it is painted, "
                f"and {free / 1e9:.1f} GB are free",
                hint="choose another `output`",
            )


@contextmanager
def _telling_the_way_on() -> Iterator[None]:
    """Say with what cannot be written in the block that the same painting goes on when it can be."""
    try:
        yield
    except AdainError as error:
        raise AdainError(error.message, hint=_GO_ON) from None


class _Visible:
    """A mask, or everything, without the pixels that are wholly transparent."""

    def __init__(self, alpha: PixelFile, mask: PixelFile | None = None) -> None:
        self._mask, self._alpha = mask, alpha
        self.shape = alpha.shape

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        visible = np.where(self._alpha[part], np.uint8(255), np.uint8(0))
        return visible if self._mask is None else np.minimum(self._mask[part], visible)
