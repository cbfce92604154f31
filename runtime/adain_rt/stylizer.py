"""The Stylizer: pictures in, pictures out, whatever their size, on whatever backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models import spec, store
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_rt import backends, contract
from adain_rt.style import Style

__all__ = ["Pixels", "Stylizer", "pad"]

Pixels = NDArray[np.uint8]


class Stylizer:
    """Encodes styles and stylises pictures with one model on one backend.

    Nothing is loaded until the first picture; after that it may be used from several threads at once.

    Args:
        model: a named model or the path of a model directory.
        backend: a backend's name, or ``auto`` for the best that can run here.

    Raises:
        AdainError: there is no such model or backend.

    """

    def __init__(self, model: str = spec.DEFAULT_MODEL, backend: str = backends.AUTO) -> None:
        self.directory = store.model_dir(model)
        self.model = model if model in spec.MODELS else self.directory.name
        self.backend = backends.choose(backend).name
        self._lock = Lock()
        self._channels: dict[str, int] = {}  # of the graphs that were checked

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the model's weights file, which the codes of its styles carry."""
        with self._lock:
            return self._weights_sha256

    def encode(self, picture: Pixels) -> Style:
        """Return the style of a picture.

        Args:
            picture: uint8 (H, W, 3), sRGB.

        Raises:
            AdainError: the model has no graphs yet, or memory does not suffice.

        """
        _check_pixels(picture, (3,))
        mean, std = self._run("encode", image=pad(picture[None]))
        return Style(mean[0], std[0], self.model, self.weights_sha256)

    def stylize(
        self,
        content: Pixels,
        style: Style | Sequence[Style],
        *,
        strength: float = 1.0,
        masks: Pixels | None = None,
        content_code: Style | None = None,
    ) -> Pixels:
        """Return pictures in a style, of the same shape.

        Args:
            content: uint8 (H, W, 3), or a batch (N, H, W, 3), sRGB.
            style: a style; with ``masks``, one for each of them.
            strength: the paper's α, from 0 (the picture, encoded and decoded) to 1.
            masks: uint8 (R, H, W), 255 where the style of the same place in the order applies. Where they overlap the
                styles mix; what is under no mask stays as it is.
            content_code: the content's statistics, as ``encode`` gives them, in place of its own: of the whole picture
                for a tile of it, or smoothed over time for a frame.

        Raises:
            AdainError: a style is another model's, the strength is out of range, masks and styles do not fit, the
                model has no graphs yet, or memory does not suffice.

        """
        _check_pixels(content, (3, 4))
        if not 0 <= strength <= 1:
            raise AdainError(f"the strength (alpha) must be from 0 to 1, not {strength:g}")
        batch = content if content.ndim == 4 else content[None]  # noqa: PLR2004 - the batch has four axes
        if masks is None:
            if not isinstance(style, Style):
                raise AdainError("several styles need a mask each; mix them into one with Style.mix")
            stylized = self._whole(batch, style, strength, content_code)
        else:
            stylized = self._regions(batch, style, strength, masks)
        return stylized.reshape(content.shape)

    def check(self, style: Style) -> None:
        """Refuse a style that another model made.

        Raises:
            AdainError: it was.

        """
        if style.weights_sha256 != self.weights_sha256:
            raise AdainError(
                f"the style was saved by another model ({style.model}, weights {style.weights_sha256[:12]}) than "
                f"{self.model} ({self.weights_sha256[:12]}); save it again from its picture"
            )

    def _whole(self, batch: Pixels, style: Style, strength: float, content_code: Style | None) -> Pixels:
        codes = {"style": style} if content_code is None else {"style": style, "content": content_code}
        graph = "stylize" if content_code is None else "stylize_fixed"
        inputs = {}
        for name, code in codes.items():
            self.check(code)
            self._check_channels(code, graph)
            inputs[f"{name}_mean"] = np.repeat(code.mean[None], len(batch), axis=0)
            inputs[f"{name}_std"] = np.repeat(code.std[None], len(batch), axis=0)
        (stylized,) = self._run(graph, image=pad(batch), strength=_repeated(strength, len(batch)), **inputs)
        return _cropped(stylized, batch)

    def _regions(self, batch: Pixels, style: Style | Sequence[Style], strength: float, masks: Pixels) -> Pixels:
        styles = [style] if isinstance(style, Style) else list(style)
        if masks.dtype != np.uint8 or masks.shape != (len(styles), *batch.shape[1:3]):
            raise AdainError(
                f"{len(styles)} styles on pictures of {batch.shape[2]}x{batch.shape[1]} pixels need as many masks "
                f"of that size, not an array {masks.dtype} {masks.shape}"
            )
        for each in styles:
            self.check(each)
            self._check_channels(each, "stylize_regions")
        count = len(batch)
        (stylized,) = self._run(
            "stylize_regions",
            image=pad(batch),
            style_mean=np.repeat(np.stack([each.mean for each in styles])[None], count, axis=0),
            style_std=np.repeat(np.stack([each.std for each in styles])[None], count, axis=0),
            masks=np.repeat(pad(masks[..., None])[None, ..., 0], count, axis=0),
            strength=_repeated(strength, count),
        )
        return _composed(_cropped(stylized, batch), batch, masks)

    def _run(self, graph: str, **inputs: NDArray[np.uint8] | NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        return self._ready(graph).run(graph, inputs)

    def _ready(self, graph: str) -> backends.Backend:
        """Return the backend, with the graph checked when it is first needed."""
        with self._lock:
            if graph not in self._channels:
                self._channels[graph] = self._checked_channels(graph)
            return self._backend

    @cached_property
    def _weights_sha256(self) -> str:
        weights = self.directory / store.WEIGHTS_NAME
        if not weights.is_file():
            way = f"adain-rt weights fetch {self.model}" if self.model in spec.MODELS else "adain-rt weights import"
            raise AdainError(f"model {self.model} has no weights ({weights}); run `{way}`")
        return sha256_of(weights)

    @cached_property
    def _backend(self) -> backends.Backend:
        return backends.open_backend(self.backend, self.directory)

    def _checked_channels(self, graph: str) -> int:
        """Return C as a graph has it, made from the weights beside it and to the contract that this runtime knows."""
        weights = self._weights_sha256
        export = f"`adain-rt export --model {self.model}` (pip install 'adain-rt[export]')"
        if not (self.directory / contract.graph_file(graph)).is_file():
            raise AdainError(f"model {self.model} has no graphs yet in {self.directory}; run {export}")
        metadata = self._backend.metadata(graph)
        if metadata.get("weights_sha256") != weights or metadata.get("contract") != str(contract.VERSION):
            raise AdainError(
                f"{self.directory}: the graph {graph} is not of the weights there, or of another version; run {export}"
            )
        return int(metadata["channels"])

    def _check_channels(self, style: Style, graph: str) -> None:
        self._ready(graph)
        if style.mean.shape != (self._channels[graph],):
            raise AdainError(f"the style has {style.mean.size} channels and the model {self._channels[graph]}")


def pad(pictures: Pixels) -> Pixels:
    """Return pictures (N, H, W, ...) padded below and at the right to sizes that the graphs take, by reflection.

    A side that is too short to reflect from is reflected again and again; a single row or column is repeated.
    """
    rows, columns = (max(contract.MIN_SIDE, -size % contract.MULTIPLE + size) - size for size in pictures.shape[1:3])
    if not rows and not columns:
        return np.ascontiguousarray(pictures)
    rest = [(0, 0)] * (pictures.ndim - 3)
    padded: Pixels = np.pad(pictures, [(0, 0), (0, rows), (0, columns), *rest], mode="reflect")
    return padded


def _cropped(stylized: NDArray[Any], batch: Pixels) -> Pixels:
    cropped: Pixels = stylized[:, : batch.shape[1], : batch.shape[2]]
    return cropped


def _composed(stylized: Pixels, batch: Pixels, masks: Pixels) -> Pixels:
    """Return the stylised pictures where the masks are, and the pictures themselves where they are not."""
    share = np.minimum(masks.sum(0, dtype=np.uint32), 255)[..., None]  # (H, W, 1)
    composed: Pixels = ((stylized * share + batch * (255 - share) + 127) // 255).astype(np.uint8)
    return composed


def _repeated(strength: float, count: int) -> NDArray[np.float32]:
    return np.full(count, strength, np.float32)


def _check_pixels(pixels: Pixels, dimensions: tuple[int, ...]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim not in dimensions or pixels.shape[-1] != 3 or 0 in pixels.shape:  # noqa: PLR2004 - RGB
        raise AdainError(f"a picture is a uint8 array (H, W, 3), not {pixels.dtype} {pixels.shape}")
