"""The Stylizer: pictures in, pictures out, whatever their size, on whatever backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_models.weights import spec
from adain_rt.auto import AutoBackend, OpenGraph, repeat
from adain_rt.backends import AUTO, BACKENDS, DeviceBackend, Settings
from adain_rt.budget import AUTO_TILE, NO_TILES, RGB, Budget, Tile
from adain_rt.checks import check_inputs, check_strength, find_graph
from adain_rt.contract import Pixels
from adain_rt.errors import TooLarge
from adain_rt.model import Model
from adain_rt.pixels import as_masks, as_pictures, compose, pad
from adain_rt.progress import Progress, part_of
from adain_rt.style import Style, as_styles, stack_codes
from adain_rt.tiling import Canvas, Code, Tiling

__all__ = ["AUTO", "Stylizer"]

_MEASURING = 0.25
"""About the share of the time of a picture in tiles that goes into measuring it; for progress only."""

Result = TypeVar("Result")


class Stylizer:
    """Encodes styles and stylises pictures with one model on one backend.

    Nothing is loaded until the first picture. A Stylizer keeps what it loads, memory on a GPU included, until ``close``
    is called or it is collected. It is a context manager, which closes it at the end of the block::

        with Stylizer() as stylizer:
            style = stylizer.encode(painting)
            picture = stylizer.stylize(photo, style)

    All methods may be called from several threads at once. Each call is complete in itself; a call that has begun when
    another thread calls ``close`` still ends.

    A Stylizer can be pickled, and so be given to other processes: what arrives is a new one of the same arguments. In a
    process that was forked it opens its backend anew. Libraries other than ONNX Runtime on a processor do not survive a
    fork: ``auto`` then goes on to the next backend, and any other is refused. Processes that are spawned may use all.

    Args:
        model: a named model or the path of a model directory.
        backend: a backend's name, or ``auto`` for the best that can run here.
        precision: ``fp32``, ``fp16`` (on GPUs), ``bf16`` (OpenVINO), ``int8`` (on CPUs), or ``auto``: fp16 on a GPU,
            else int8 where the model has it and the processor multiplies it fast, but fp32 for smooth pictures.
        settings: how the backend runs.
        tile: ``auto``: a picture that does not fit into ``memory`` is computed in tiles, and comes out as the whole
            does, within one level of 256. Or a side in pixels: what is larger is computed in tiles of that size. Or
            ``off``: what does not fit is refused.
        memory: the bytes that one picture may take, itself and its result included. ``None`` is what is free, at most
            2 GiB. On a GPU it is the GPU's memory, and ``None`` all that is free.

    Attributes:
        settings: how the backend runs.

    Raises:
        AdainError: there is no such model or backend, the backend cannot run here, or there are no such tiles.

    """

    def __init__(
        self,
        model: str = spec.DEFAULT_MODEL,
        backend: str = AUTO,
        precision: str = AUTO,
        settings: Settings | None = None,
        tile: Tile = AUTO_TILE,
        memory: int | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._budget = Budget(tile, memory)
        self._asked = backend, precision
        self._model = Model(model)
        self._backend = AutoBackend(self._model, backend, precision, self.settings)
        self._others: dict[str, Stylizer] = {}  # by precision
        self._lock = Lock()

    @property
    def model(self) -> str:
        """The model's name, or its directory's."""
        return self._model.name

    @property
    def directory(self) -> Path:
        """The model directory."""
        return self._model.directory

    @property
    def backend(self) -> str:
        """The backend's name. Under ``auto`` it changes where a backend turns out not to run here."""
        return self._backend.name

    @property
    def precision(self) -> str:
        """The precision; it may change with the backend."""
        return self._backend.precision

    def precision_for(self, picture: Pixels) -> str:
        """Return the precision that a picture is computed in: under ``auto`` it may depend on the picture.

        Args:
            picture: uint8 (H, W, 3), as for ``encode``.

        """
        return self._backend.precision_for(as_pictures(picture, (3,))[None])

    def in_precision(self, precision: str) -> Stylizer:
        """Return the Stylizer of the same model on the same backend that computes every picture in one precision.

        There is one for each precision, which ``close`` closes too.

        Raises:
            AdainError: the model or the backend does not have the precision.

        """
        with self._lock:
            if precision not in self._others:
                asked = str(self._model.place), self._asked[0], precision, self.settings
                self._others[precision] = Stylizer(*asked, *astuple(self._budget))
            return self._others[precision]

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the model's weights file, which the codes of its styles carry.

        Raises:
            AdainError: the model has no weights.

        """
        return self._model.weights_sha256

    def encode(self, picture: Pixels) -> Style:
        """Return the style of a picture.

        Args:
            picture: uint8 (H, W, 3), sRGB: an array, or what ``numpy.asarray`` makes one of, such as a PIL picture.

        Raises:
            AdainError: it is no such picture, the model has no graphs yet, memory does not suffice, or the Stylizer is
                closed.

        """
        batch = as_pictures(picture, (3,))[None]
        opened = self._backend.open("encode", batch)
        code = self._try_at_once(opened, batch, lambda: opened.run({"image": pad(batch)}), output=0)
        mean, std = code or self.measure_tiles(batch[0])
        return Style(mean[0], std[0], self.model, opened.facts.weights_sha256)

    def stylize(
        self,
        content: Pixels,
        style: Style | Sequence[Style],
        *,
        strength: float = 1.0,
        masks: Pixels | None = None,
        content_code: Style | None = None,
        progress: Progress | None = None,
    ) -> Pixels:
        """Return pictures in a style, of the same shape.

        What does not fit into memory at once is computed in tiles; see the class.

        Args:
            content: uint8 (H, W, 3), or a batch (N, H, W, 3), sRGB: an array, or what ``numpy.asarray`` makes one of.
            style: a style; with ``masks``, one style for each mask.
            strength: the paper's α, from 0 (the picture, encoded and decoded) to 1.
            masks: uint8 (R, H, W), 255 where the style at the same place in the order applies. Where masks overlap, the
                styles mix; pixels under no mask stay as they are.
            content_code: statistics to use in place of the content's own, as ``encode`` returns them: of the whole
                picture for a tile of it, or smoothed over time for a frame.
            progress: is called with the share that is done, up to 1, of a picture that is computed in tiles.

        Raises:
            AdainError: an argument is not of these, a style is another model's, the strength is out of range, masks and
                styles do not fit, the model has no graphs yet, memory does not suffice, or the Stylizer is closed.

        """
        content = as_pictures(content, (3, 4))
        check_strength(strength)
        batch = content if content.ndim == 4 else content[None]  # noqa: PLR2004 - the batch has four axes
        if masks is not None:
            if content_code is not None:
                raise AdainError("masks and a content code exclude each other: each region is measured by itself")
            stylized = self._stylize_regions(batch, as_styles(style), strength, masks, progress)
        elif isinstance(style, Style):
            stylized = self._stylize_whole(batch, style, strength, content_code, progress)
        else:
            as_styles(style)  # it says so where they are no styles at all
            raise AdainError("several styles need a mask each; mix them into one with Style.mix")
        return stylized.reshape(content.shape)

    def measure_tiles(self, content: Canvas, masks: Sequence[Canvas] = (), *, progress: Progress | None = None) -> Code:
        """Return the statistics of a picture for ``Tiling.paint``, measured in tiles, of which one is in memory.

        Args:
            content: (H, W, 3): an array, or a file that is read in parts.
            masks: (H, W) each, as for ``stylize``.
            progress: is called with the share that is done, up to 1.

        Raises:
            AdainError: the model has no graphs yet, memory does not suffice, or the Stylizer is closed.

        """
        return self._split("measure", content, masks).measure(progress)

    def split(self, content: Canvas, styles: Sequence[Style], masks: Sequence[Canvas] = ()) -> Tiling:
        """Return the tiles of a picture, which ``Tiling.paint`` stylises; of the picture only a tile is in memory.

        Args:
            content: (H, W, 3): an array, or a file that is read in parts.
            styles: one, or one for each mask.
            masks: (H, W) each, as for ``stylize``.

        Raises:
            AdainError: any reason that ``stylize`` has.

        """
        return self._split("stylize_regions_fixed" if masks else "stylize_fixed", content, masks, styles)

    def stylize_on_device(
        self, content: Any, style: Style, *, strength: float = 1.0, out: Any = None, stream: int | None = None
    ) -> Any:
        """Return pictures in a style that never leave the GPU's memory; nothing is copied, padded or cropped.

        Args:
            content: uint8 (N, H, W, 3), sRGB, of any library whose arrays speak DLPack or ``__cuda_array_interface__``
                (PyTorch, CuPy, PyCUDA). H and W are multiples of 8, and 16 at least.
            style: a style.
            strength: the paper's α, from 0 to 1.
            out: such an array of the same shape, to write into.
            stream: the handle of the CUDA stream in whose order the work is done; this returns at once. Without it,
                this returns when the work is done.

        Returns:
            ``out``, or a new array that speaks both protocols.

        Raises:
            AdainError: any reason that ``stylize`` has; an array does not fit; or the backend takes no such arrays.

        """
        check_strength(strength)
        if len(getattr(content, "shape", ())) != 4:  # noqa: PLR2004 - the batch has four axes
            raise AdainError(f"pictures on a GPU are a uint8 array (N, H, W, 3), not {type(content).__name__}")
        opened = self._open("stylize", [style])
        if not isinstance(opened.backend, DeviceBackend):
            able = ", ".join(name for name, each in BACKENDS.items() if each.on_device)
            raise AdainError(
                f"backend {opened.backend_name} does not take arrays on a GPU", hint=f"use one of the backends {able}"
            )
        count = content.shape[0]
        inputs = {"image": content, "strength": np.full(count, strength, np.float32)}
        inputs |= repeat(count, style_mean=style.mean, style_std=style.std)
        outputs = None if out is None else {"stylized": out}
        (stylized,) = opened.backend.run_on_device("stylize", inputs, outputs, stream)
        return stylized

    def run_graph(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs of one of the contract's graphs, by name: nothing is padded, cropped or composed.

        Args:
            graph: its name.
            inputs: arrays by name, of the contract's types and shapes.

        Raises:
            AdainError: there is no such graph, an input does not fit it, the model has no graphs yet, memory does not
                suffice, or the Stylizer is closed.

        """
        spec = find_graph(graph)
        sizes = check_inputs(spec, inputs)
        opened = self._backend.open(graph, inputs["image"])
        if sizes.get("C", opened.facts.channels) != opened.facts.channels:
            raise AdainError(f"the style has {sizes['C']} channels and the model {opened.facts.channels}")
        Budget(NO_TILES, self._budget.memory).fits(opened, inputs["image"].shape, sizes.get("R", 1))
        outputs = opened.run(inputs)
        return {tensor.name: output for tensor, output in zip(spec.outputs, outputs, strict=True)}

    def check(self, style: Style) -> None:
        """Refuse a style that another model made.

        Raises:
            AdainError: another model made the style.

        """
        (style,) = as_styles([style])
        self._check_style(style, self.weights_sha256)

    def close(self) -> None:
        """Free the graphs and all memory that they hold. Every later picture raises an ``AdainError``.

        Closing twice does nothing. Styles stay usable.
        """
        self._backend.close()
        with self._lock:
            for other in self._others.values():
                other.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made with, and not what it has opened."""
        return type(self), (self._model.place, *self._asked, self.settings, *astuple(self._budget))

    def __enter__(self) -> Stylizer:  # noqa: PYI034 - Self needs Python 3.11
        """Return the Stylizer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the Stylizer."""
        self.close()

    def _stylize_whole(
        self, batch: Pixels, style: Style, strength: float, content_code: Style | None, progress: Progress | None
    ) -> Pixels:
        codes = {"style_mean": style.mean, "style_std": style.std}
        if content_code is None:
            opened = self._open("stylize", [style], batch)
        else:
            opened = self._open("stylize_fixed", [style, content_code], batch)
            codes |= {"content_mean": content_code.mean, "content_std": content_code.std}
        stylized = self._try_at_once(opened, batch, lambda: opened.stylize(batch, strength, codes))
        if stylized is not None:
            return stylized
        measured = None if content_code is None else (content_code.mean[None], content_code.std[None])
        return self._paint_tiles(batch, [style], strength, (), measured, progress)

    def _stylize_regions(
        self, batch: Pixels, styles: Sequence[Style], strength: float, masks: Pixels, progress: Progress | None
    ) -> Pixels:
        height, width = batch.shape[1:3]
        masks = as_masks(masks, len(styles), height, width)
        opened = self._open("stylize_regions", styles, batch)
        mean, std = stack_codes(styles)
        codes = {"style_mean": mean, "style_std": std}
        stylized = self._try_at_once(opened, batch, lambda: opened.stylize(batch, strength, codes, masks), len(masks))
        if stylized is None:
            return self._paint_tiles(batch, styles, strength, list(masks), None, progress)
        return compose(stylized, batch, masks)

    def _try_at_once(
        self, opened: OpenGraph, batch: Pixels, run: Callable[[], Result], regions: int = 1, output: int = RGB
    ) -> Result | None:
        """Return what a graph makes of pictures at once; ``None`` if they are for tiles."""
        if not self._budget.fits(opened, batch.shape, regions, output):
            return None
        try:
            return run()
        except TooLarge:
            if not opened.on_gpu or self._budget.tile == NO_TILES:
                raise
            return None

    def _paint_tiles(
        self,
        batch: Pixels,
        styles: Sequence[Style],
        strength: float,
        masks: Sequence[Canvas],
        measured: Code | None,
        progress: Progress | None,
    ) -> Pixels:
        stylized = np.empty(batch.shape, np.uint8)
        measuring = 0.0 if measured else _MEASURING
        for place, (picture, out) in enumerate(zip(batch, stylized, strict=True)):
            part = part_of(progress, place / len(batch), 1 / len(batch))
            codes = measured or self.measure_tiles(picture, masks, progress=part_of(part, 0, measuring))
            painting = part_of(part, measuring, 1 - measuring)
            tiling = self.split(picture, styles, masks)
            for rows, columns, pixels in tiling.paint(codes, strength, progress=painting):
                out[rows, columns] = pixels
        return stylized

    def _split(self, graph: str, content: Canvas, masks: Sequence[Canvas], codes: Sequence[Style] = ()) -> Tiling:
        """Return a picture as a graph computes it in tiles, which may take all of the memory there is."""
        self._backend.trim()
        opened = self._open(graph, codes, np.asarray(content)[None])
        height, width = content.shape[:2]
        output = 0 if graph == "measure" else RGB
        window = self._budget.window(opened, height, width, len(masks) or 1, output)
        return Tiling(content, masks, opened, window, stack_codes(codes) if codes else None)

    def _open(self, graph: str, codes: Sequence[Style], pictures: Pixels | None = None) -> OpenGraph:
        """Open a graph for pictures, if they are known, and refuse style codes that it does not take."""
        opened = self._backend.open(graph, pictures)
        channels = opened.facts.channels
        for code in as_styles(codes):
            self._check_style(code, opened.facts.weights_sha256)
            if code.mean.shape != (channels,):
                raise AdainError(f"the style has {code.mean.size} channels and the model {channels}")
        return opened

    def _check_style(self, style: Style, weights_sha256: str) -> None:
        if style.weights_sha256 != weights_sha256:
            raise AdainError(
                f"the style was saved by another model ({style.model}, weights {style.weights_sha256[:12]}) than "
                f"{self.model} ({weights_sha256[:12]})",
                hint="save it again from its picture",
            )
