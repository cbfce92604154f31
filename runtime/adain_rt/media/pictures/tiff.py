"""TIFFs whose samples Pillow does not read, or reads on another scale: any depth, sign and type.

Pillow unpacks such a file as if it held bytes, which serves for every compression without loss. The bytes become
samples here (TIFF 6.0, sections 14 and 19; Adobe Photoshop TIFF Technical Note 3 for floating point).
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from adain_rt.contract import Pixels
from adain_rt.media.pictures.samples import Scale, choose_float_scale, reduce_samples

__all__ = ["SampledTiff", "needs_sampling"]

_LOSSLESS = {1, 5, 8, 32773, 32946, 34925, 50000}  # none, LZW, deflate, PackBits, deflate again, LZMA, Zstandard
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3  # of the tag SampleFormat
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5  # of the tag PhotometricInterpretation
_COLORS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_ASSOCIATED, _UNASSOCIATED = 1, 2  # of the tag ExtraSamples
_SEPARATE = 2  # of the tag PlanarConfiguration
_HORIZONTAL, _FLOATING_POINT = 2, 3  # of the tag Predictor
_REVERSED = 2  # of the tag FillOrder
_BIG_TIFF = 43
_BYTE = 8
_WORDS = (8, 16, 32, 64)  # the bits of numpy's integers
_UNPACKED = 1 << 22  # the bits that are unpacked at once


@dataclass(frozen=True)
class _Layout:
    """How the samples of a page are stored, in strips or in tiles: its parts."""

    width: int
    height: int
    bits: int
    kind: int
    photometric: int
    samples: int
    extra: tuple[int, ...]
    planes: int
    compression: int
    predictor: int
    fill_order: int
    prefix: bytes
    tiled: bool
    part_width: int
    part_height: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def colors(self) -> int:
        """The samples of a pixel that are colours."""
        return _COLORS[self.photometric]

    @property
    def alpha(self) -> int | None:
        """Which of a pixel's samples is its alpha."""
        uses = [use in {_ASSOCIATED, _UNASSOCIATED} for use in self.extra[: self.samples - self.colors]]
        return self.colors + uses.index(True) if any(uses) and self.photometric != _CMYK else None

    @property
    def together(self) -> int:
        """The samples of a pixel that are stored together."""
        return self.samples // self.planes

    @property
    def across(self) -> int:
        """The parts that stand side by side."""
        return -(-self.width // self.part_width)

    @property
    def part_bytes(self) -> int:
        """The bytes of a row of a part."""
        return -(-self.part_width * self.together * self.bits // _BYTE)

    @property
    def is_pillows(self) -> bool:
        """Whether Pillow reads the samples on their own scale."""
        key = (self.prefix, self.photometric, (self.kind,), self.fill_order, (self.bits,) * self.samples, self.extra)
        right = self.kind == _UNSIGNED and (self.bits <= _BYTE or self.colors > 1)
        return right and key in TiffImagePlugin.OPEN_INFO


def needs_sampling(file: BinaryIO) -> bool:
    """Return whether the first page of a TIFF is for ``SampledTiff``."""
    file.seek(0)
    head = file.read(8)
    try:
        tags = ImageFileDirectory_v2(head + file.read(8) if head[2] == _BIG_TIFF else head)
        file.seek(tags.next)
        tags.load(file)
    except Exception:  # a damaged directory is Pillow's to refuse
        return False
    layout = _understand(tags)
    return layout is not None and not layout.is_pillows


class SampledTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF of samples of any depth, sign and type, as an image of 8 bits of mode L, LA, RGB, RGBA or CMYK.

    Integers are scaled by the full range of their type, and floating-point numbers as in ``choose_float_scale``.

    Attributes:
        remarks: what a user should know, once the image is loaded.

    """

    remarks: tuple[str, ...] = ()

    def _setup(self) -> None:
        """Describe the page to Pillow as it will be when it is loaded."""
        self._layout = layout = _understand(self.tag_v2)
        if layout is not None and not layout.is_pillows:
            has_alpha = layout.alpha is not None
            self.tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = layout.photometric or _BLACK_IS_ZERO
            self.tag_v2[TiffImagePlugin.SAMPLESPERPIXEL] = layout.colors + has_alpha
            self.tag_v2[TiffImagePlugin.BITSPERSAMPLE] = (_BYTE,) * (layout.colors + has_alpha)
            self.tag_v2[TiffImagePlugin.SAMPLEFORMAT] = (_UNSIGNED,)
            self.tag_v2[TiffImagePlugin.EXTRASAMPLES] = (_UNASSOCIATED,) * has_alpha
            self.tag_v2[TiffImagePlugin.FILLORDER] = self.tag_v2[TiffImagePlugin.PLANAR_CONFIGURATION] = 1
        super()._setup()

    def load(self) -> Any:
        """Decode the first page."""
        if self.tile and self._layout is not None:
            pixels, self.remarks = _read_pixels(self._fp, self._layout)
            self.im = Image.frombytes(self.mode, pixels.shape[1::-1], pixels).im
            self.tile = []
            self.load_end()
        return Image.Image.load(self)


def _understand(tags: ImageFileDirectory_v2) -> _Layout | None:
    """Return how a page is stored; ``None`` where it is damaged, or such that Pillow alone could read it."""
    tiled = TiffImagePlugin.TILEOFFSETS in tags
    try:
        width, height = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
        samples = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
        colors = _COLORS[tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO)]
        (bits,) = set(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[:samples])
        (kind,) = set(tags.get(TiffImagePlugin.SAMPLEFORMAT, (_UNSIGNED,)))
        separate = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == _SEPARATE
        layout = _Layout(
            width=width,
            height=height,
            bits=bits,
            kind=kind,
            photometric=tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO),
            samples=samples,
            extra=tags.get(TiffImagePlugin.EXTRASAMPLES, ()),
            planes=samples if separate else 1,
            compression=tags.get(TiffImagePlugin.COMPRESSION, 1),
            predictor=tags.get(TiffImagePlugin.PREDICTOR, 1),
            fill_order=tags.get(TiffImagePlugin.FILLORDER, 1),
            prefix=tags.prefix,
            tiled=tiled,
            part_width=tags[TiffImagePlugin.TILEWIDTH] if tiled else width,
            part_height=tags[TiffImagePlugin.TILELENGTH] if tiled else tags.get(TiffImagePlugin.ROWSPERSTRIP, height),
            offsets=tags[TiffImagePlugin.TILEOFFSETS if tiled else TiffImagePlugin.STRIPOFFSETS],
            counts=tags.get(TiffImagePlugin.TILEBYTECOUNTS if tiled else TiffImagePlugin.STRIPBYTECOUNTS, ()),
        )
    except Exception:  # a tag is missing, or has a value of another type
        return None
    else:
        readable = bits in _WORDS[1:] if kind == _FLOAT else kind in {_UNSIGNED, _SIGNED} and 1 <= bits <= _WORDS[-1]
        whole = min(width, height, layout.part_width, layout.part_height) > 0 and colors <= samples
        return layout if readable and whole and layout.compression in _LOSSLESS else None


def _read_pixels(file: Any, layout: _Layout) -> tuple[Pixels, tuple[str, ...]]:
    """Return a page as uint8 (H, W, C), without the samples that are neither colour nor alpha, and remarks."""
    samples = np.concatenate(_read_planes(file, layout), axis=2)
    used = [*range(layout.colors), *([] if layout.alpha is None else [layout.alpha])]
    if len(used) < samples.shape[2]:
        samples = samples[..., used]
    remark = None
    if layout.kind == _FLOAT:
        scale, remark = choose_float_scale(samples[..., : layout.colors])
        opaque = Scale(0, 1)
    else:
        scale = opaque = Scale(0, (1 << layout.bits) - 1)
    pixels = reduce_samples(
        samples,
        scale,
        alpha=None if layout.alpha is None else opaque,
        associated=layout.alpha is not None and layout.extra[layout.alpha - layout.colors] == _ASSOCIATED,
        inverted=layout.photometric == _WHITE_IS_ZERO,
    )
    return pixels, () if remark is None else (remark,)


def _read_planes(file: Any, layout: _Layout) -> list[NDArray[Any]]:
    """Return the samples of each plane, (H, W, C): floating-point numbers, or unsigned integers from 0."""
    file.seek(0)
    data = file.read()
    rows = -(-layout.height // layout.part_height)
    parts = layout.across * rows
    if len(layout.offsets) < parts * layout.planes:
        raise ValueError("too few strips or tiles")
    planes = []
    for plane in range(layout.planes):
        bytes_ = _unpack(data, layout, slice(plane * parts, (plane + 1) * parts))
        samples = _to_samples(bytes_.reshape(layout.height, layout.across, layout.part_bytes), layout)
        planes.append(samples.reshape(layout.height, -1, layout.together)[:, : layout.width])
    return planes


def _unpack(data: bytes, layout: _Layout, parts: slice) -> Pixels:
    """Return the bytes of some parts without their compression, in rows.

    The file gets another directory, in which four bytes, or one, are a pixel. Those of CMYK are stored as they are.
    """
    depth = 4 if layout.part_bytes % 4 == 0 and layout.fill_order != _REVERSED else 1
    tags = {
        TiffImagePlugin.IMAGEWIDTH: [layout.across * layout.part_bytes // depth],
        TiffImagePlugin.IMAGELENGTH: [layout.height],
        TiffImagePlugin.BITSPERSAMPLE: [_BYTE] * depth,
        TiffImagePlugin.COMPRESSION: [layout.compression],
        TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: [_BLACK_IS_ZERO if depth == 1 else _CMYK],
        TiffImagePlugin.FILLORDER: [layout.fill_order],
        TiffImagePlugin.SAMPLESPERPIXEL: [depth],
    }
    offsets, counts = TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS
    if layout.tiled:
        offsets, counts = TiffImagePlugin.TILEOFFSETS, TiffImagePlugin.TILEBYTECOUNTS
        tags[TiffImagePlugin.TILEWIDTH] = [layout.part_bytes // depth]
        tags[TiffImagePlugin.TILELENGTH] = [layout.part_height]
    else:
        tags[TiffImagePlugin.ROWSPERSTRIP] = [min(layout.part_height, layout.height)]
    tags[offsets] = list(layout.offsets[parts])
    if layout.counts:
        tags[counts] = list(layout.counts[parts])
    header = b"II*\0" + struct.pack("<I", len(data))
    whole = b"".join([header, memoryview(data)[len(header) :], _directory(tags, len(data))])
    with Image.open(io.BytesIO(whole), formats=["TIFF"]) as image:
        return np.asarray(image)


def _directory(tags: dict[int, list[int]], start: int) -> bytes:
    """Return a TIFF's directory that stands at ``start``, little-endian, with its numbers of 16 or 32 bits."""
    entries, rest = [], b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        kind, code = (3, "H") if tag == TiffImagePlugin.BITSPERSAMPLE else (4, "I")
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:  # noqa: PLR2004 - what an entry has room for
            packed, rest = struct.pack("<I", after + len(rest)), rest + packed
        entries.append(struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    return struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4) + rest


def _to_samples(rows: Pixels, layout: _Layout) -> NDArray[Any]:
    """Return the samples of bytes (H, parts across, bytes of a part's row), as (H, parts across, samples)."""
    order: Literal["<", ">"] = ">" if layout.prefix.startswith(b"MM") else "<"
    if layout.bits not in _WORDS:
        count = layout.part_width * layout.together
        if layout.bits % _BYTE == 0 and order == "<":
            size = layout.bits // _BYTE
            rows = rows[..., : count * size].reshape(*rows.shape[:2], count, size)[..., ::-1].reshape(rows.shape)
        words = _join_bits(rows.reshape(-1, rows.shape[2]), count, layout.bits).reshape(*rows.shape[:2], count)
    elif layout.predictor == _FLOATING_POINT:
        words = _undo_float_prediction(rows, layout)
    else:
        native = np.dtype(f"u{layout.bits // _BYTE}")
        words = np.ascontiguousarray(rows).view(native.newbyteorder(order)).astype(native, copy=False)
        if layout.predictor == _HORIZONTAL:
            pixels = words.reshape(*words.shape[:2], -1, layout.together)
            words = pixels.cumsum(axis=2, dtype=native).reshape(words.shape)
    if layout.kind == _FLOAT:
        return words.view(f"f{layout.bits // _BYTE}")
    # The sign's bit turned over, the lowest number of two's complement is 0 and the highest has all bits.
    return words ^ words.dtype.type(1 << (layout.bits - 1)) if layout.kind == _SIGNED else words


def _undo_float_prediction(rows: Pixels, layout: _Layout) -> NDArray[Any]:
    """Return the words of rows that hold all first bytes, then all second bytes and so on, each less the one before."""
    size = layout.bits // _BYTE
    pixels = rows.reshape(*rows.shape[:2], -1, layout.together)
    whole = pixels.cumsum(axis=2, dtype=np.uint8).reshape(*rows.shape[:2], size, -1)
    return np.ascontiguousarray(whole.swapaxes(2, 3)).view(f">u{size}")[..., 0].astype(f"u{size}")


def _join_bits(rows: Pixels, count: int, bits: int) -> NDArray[Any]:
    """Return ``count`` words of a number of bits from each row of bytes (N, bytes), the highest bit first."""
    width = next(word for word in _WORDS if word >= bits)
    words = np.empty((len(rows), count), f"u{width // _BYTE}")
    step = max(1, _UNPACKED // math.prod((count, width)))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        single = np.unpackbits(rows[block], axis=1, count=count * bits).reshape(-1, count, bits)
        padded = np.pad(single, ((0, 0), (0, 0), (width - bits, 0)))
        words[block] = np.packbits(padded, axis=2).view(f">u{width // _BYTE}")[..., 0]
    return words
