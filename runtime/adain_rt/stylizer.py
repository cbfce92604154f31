"""The Stylizer: pictures in, pictures out, whatever their size, on whatever backend."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import spec, store
from adain_rt import backends, contract
from adain_rt.backends import BACKENDS, Settings
from adain_rt.backends.base import UnusableBackend, too_large
from adain_rt.contract import Pixels
from adain_rt.machine.cpu import INT8_INSTRUCTIONS, instructions
from adain_rt.machine.memory import available_bytes
from adain_rt.style import Style

__all__ = ["AUTO", "Stylizer", "pad"]

AUTO = backends.AUTO

_LOG = logging.getLogger("adain_rt")

_REGION = 0.3
"""What each region takes beyond the two that a graph's own count has, as a share of all (measured)."""


class Stylizer:
    """Encodes styles and stylises pictures with one model on one backend.

    Nothing is loaded until the first picture; after that it may be used from several threads at once.

    Args:
        model: a named model or the path of a model directory.
        backend: a backend's name, or ``auto`` for the best that can run here.
        precision: ``fp32``, ``fp16`` (on GPUs), ``bf16`` (OpenVINO), ``int8`` (on CPUs), or ``auto``: fp16 on a GPU,
            else int8 where the model has it and the processor multiplies it fast.
        settings: how the backend runs.

    Raises:
        AdainError: there is no such model or backend.

    """

    def __init__(
        self,
        model: str = spec.DEFAULT_MODEL,
        backend: str = AUTO,
        precision: str = AUTO,
        settings: Settings | None = None,
    ) -> None:
        self.directory = store.model_dir(model)
        self.model = store.model_name(model)
        self._asked = (backend, precision)
        self._unusable: list[str] = []
        self.settings = settings or Settings()
        self._choose()
        self._lock = RLock()
        self._graphs: dict[str, _GraphFacts] = {}

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the model's weights file, which the codes of its styles carry.

        Raises:
            AdainError: the model has no weights.

        """
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
        _check_strength(strength)
        batch = content if content.ndim == 4 else content[None]  # noqa: PLR2004 - the batch has four axes
        if masks is not None:
            if content_code is not None:
                raise AdainError("masks and a content code exclude each other: each region is measured by itself")
            stylized = self._regions(batch, [style] if isinstance(style, Style) else style, strength, masks)
        elif isinstance(style, Style):
            stylized = self._whole(batch, style, strength, content_code)
        else:
            raise AdainError("several styles need a mask each; mix them into one with Style.mix")
        return stylized.reshape(content.shape)

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
            stream: the handle of the CUDA stream in whose order the work is done, and this returns at once; without
                it, this returns when the work is done.

        Returns:
            ``out``, or a new array that speaks both protocols.

        Raises:
            AdainError: as ``stylize``; or the array does not fit, or the backend takes none.

        """
        _check_strength(strength)
        self._check_codes("stylize", [style])
        if not isinstance(self._backend, backends.DeviceBackend):
            able = ", ".join(name for name, each in BACKENDS.items() if each.on_device)
            raise AdainError(f"backend {self.backend} does not take arrays on a GPU: {able} do")
        count = content.shape[0]
        inputs = {"image": content, "strength": np.full(count, strength, np.float32)}
        inputs |= _repeated(style_mean=style.mean, style_std=style.std, count=count)
        given = None if out is None else {"stylized": out}
        (stylized,) = self._backend.run_on_device("stylize", inputs, given, stream)
        return stylized

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
        inputs = _repeated(style_mean=style.mean, style_std=style.std, count=len(batch))
        codes = [style]
        if content_code is not None:
            inputs |= _repeated(content_mean=content_code.mean, content_std=content_code.std, count=len(batch))
            codes.append(content_code)
        graph = "stylize" if content_code is None else "stylize_fixed"
        return self._stylized(graph, batch, codes, strength, inputs)

    def _regions(self, batch: Pixels, styles: Sequence[Style], strength: float, masks: Pixels) -> Pixels:
        if masks.dtype != np.uint8 or masks.shape != (len(styles), *batch.shape[1:3]):
            raise AdainError(
                f"{len(styles)} styles on pictures of {batch.shape[2]}x{batch.shape[1]} pixels need as many masks "
                f"of that size, not an array {masks.dtype} {masks.shape}"
            )
        means, stds = (np.stack([getattr(style, name) for style in styles]) for name in ("mean", "std"))
        padded = pad(masks[..., None])[..., 0]
        inputs = _repeated(style_mean=means, style_std=stds, masks=padded, count=len(batch))
        return _composed(self._stylized("stylize_regions", batch, styles, strength, inputs), batch, masks)

    def _stylized(
        self, graph: str, batch: Pixels, codes: Sequence[Style], strength: float, inputs: dict[str, NDArray[Any]]
    ) -> Pixels:
        self._check_codes(graph, codes)
        strengths = np.full(len(batch), strength, np.float32)
        (stylized,) = self._run(graph, image=pad(batch), strength=strengths, **inputs)
        cropped: Pixels = stylized[:, : batch.shape[1], : batch.shape[2]]
        return cropped

    def _check_codes(self, graph: str, codes: Sequence[Style]) -> None:
        channels = self._facts(graph).channels
        for code in codes:
            self.check(code)
            if code.mean.shape != (channels,):
                raise AdainError(f"the style has {code.mean.size} channels and the model {channels}")

    def _run(self, graph: str, **inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        with self._lock:  # ``auto`` may go on to another backend as it reads the facts
            facts = self._facts(graph)
            backend, waste = self._backend, BACKENDS[self.backend].waste[self.precision]
        regions = inputs["masks"].shape[1] if "masks" in inputs else 1
        waste *= 1 + _REGION * max(0, regions - 2)
        _check_memory(inputs["image"], facts.bytes_per_pixel * waste)
        return backend.run(graph, inputs)

    def _facts(self, graph: str) -> _GraphFacts:
        """Return what a graph says of itself, read and checked when it is first needed."""
        with self._lock:
            if graph not in self._graphs:
                self._graphs[graph] = self._read_facts(graph)
            return self._graphs[graph]

    def _read_facts(self, graph: str) -> _GraphFacts:
        """Refuse a graph that is not made of the model's weights, or not to the contract that this runtime knows.

        An int8 graph reads weights of its own, of which it is the only one to know what they should be.
        """
        weights = self.weights_sha256
        make = "quantize" if self.precision == "int8" else "export"
        export = f"`adain-rt {make} --model {self.model}` (pip install 'adain-rt[export]')"
        if not (self._graph_dir / contract.graph_file(graph)).is_file():
            raise AdainError(
                f"model {self.model} has no {self.precision} graphs yet in {self._graph_dir}; run {export}"
            )
        metadata = self._metadata(graph)
        expected = {"weights_sha256": weights, "contract": str(contract.VERSION)}
        int8 = metadata.get("precision") == "int8"
        if int8:
            expected["int8_weights_sha256"] = self._int8_weights_sha256
        if not expected.items() <= metadata.items() or int8 != (self.precision == "int8"):
            raise AdainError(
                f"{self._graph_dir}: the graph {graph} is not of the weights there, or of another version; run {export}"
            )
        try:
            return _GraphFacts(int(metadata["channels"]), int(metadata["bytes_per_pixel"]))
        except (KeyError, ValueError):
            raise AdainError(f"{self._graph_dir}: the graph {graph} is damaged; run {export}") from None

    @cached_property
    def _weights_sha256(self) -> str:
        weights = self.directory / store.WEIGHTS_NAME
        if not weights.is_file():
            way = f"adain-rt weights fetch {self.model}" if self.model in spec.MODELS else "adain-rt weights import"
            raise AdainError(f"model {self.model} has no weights ({weights}); run `{way}`")
        return sha256_of(weights)

    @cached_property
    def _int8_weights_sha256(self) -> str:
        return sha256_of(contract.graph_dir(self.directory, "int8") / store.WEIGHTS_NAME)

    @cached_property
    def _backend(self) -> backends.Backend:
        return backends.open_backend(self.backend, self._graph_dir, self.precision, self.settings)

    def _choose(self) -> None:
        """Take the backend that is asked for, or the best of those left, and what it computes in."""
        backend, precision = self._asked
        self.backend = backends.choose(backend, self._unusable)
        self.precision = _best_precision(self.directory, self.backend) if precision == AUTO else precision
        self._graph_dir = contract.source_dir(self.directory, self.precision)

    def _metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata; ``auto`` goes on to the next backend where one proves unusable."""
        try:
            return self._backend.metadata(graph)
        except UnusableBackend as error:
            if self._asked[0] != AUTO:
                raise
            failed = self.backend
            self._unusable.append(failed)
            self._choose()
            self.__dict__.pop("_backend", None)  # it is not there where opening it failed
            self._graphs.clear()
            _LOG.warning("%s: %s; going on with %s", failed, error, self.backend)
        return self._metadata(graph)


@dataclass(frozen=True)
class _GraphFacts:
    """What is needed of a graph's metadata."""

    channels: int
    bytes_per_pixel: int


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


def _composed(stylized: Pixels, batch: Pixels, masks: Pixels) -> Pixels:
    """Return the stylised pictures where the masks are, and the pictures themselves where they are not."""
    share = np.minimum(masks.sum(0, dtype=np.uint16), 255)  # (H, W)
    composed = stylized.copy()
    composed[:, share == 0] = batch[:, share == 0]
    mixed = (share > 0) & (share < 255)  # noqa: PLR2004 - the edges of soft masks, a small part of most
    of_stylized = share[mixed].astype(np.uint32)[:, None]
    composed[:, mixed] = (stylized[:, mixed] * of_stylized + batch[:, mixed] * (255 - of_stylized) + 127) // 255
    return composed


def _repeated(count: int, **values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return values with a leading axis of the batch's length."""
    return {name: np.repeat(value[None], count, axis=0) for name, value in values.items()}


def _best_precision(directory: Path, backend: str) -> str:
    """Return fp16 on a GPU; else int8 where there are such graphs and the processor has instructions for them."""
    if "fp16" in BACKENDS[backend].waste:
        return "fp16"
    fast = not INT8_INSTRUCTIONS.isdisjoint(instructions())
    return "int8" if fast and contract.has_graphs(directory, "int8") else "fp32"


def _check_memory(image: Pixels, bytes_per_pixel: float) -> None:
    """Refuse pictures that would take more memory than there is: most systems end a process that tries."""
    height, width = image.shape[1:3]
    needed = math.prod(image.shape[:3]) * bytes_per_pixel
    available = available_bytes()
    if available is not None and needed > available:
        raise too_large(height, width, math.ceil(needed), available, "memory")


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise AdainError(f"the strength (alpha) must be from 0 to 1, not {strength:g}")


def _check_pixels(pixels: Pixels, dimensions: tuple[int, ...]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim not in dimensions or pixels.shape[-1] != 3 or 0 in pixels.shape:  # noqa: PLR2004 - RGB
        raise AdainError(f"a picture is a uint8 array (H, W, 3), not {pixels.dtype} {pixels.shape}")
