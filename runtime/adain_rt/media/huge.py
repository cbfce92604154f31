"""Pictures of any size, between their files and files of bare pixels that are read and written in parts.

libvips decodes and encodes them as a stream, so that only some rows are in memory. It is imported when it is needed.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_rt.contract import Pixels
from adain_rt.media.pictures.metadata import keep_exif
from adain_rt.media.pictures.profiles import srgb_profile
from adain_rt.media.pictures.xmp import keep_xmp
from adain_rt.progress import Progress

__all__ = [
    "WRITABLE",
    "PixelFile",
    "Unpacked",
    "check_installed",
    "check_writable",
    "pack",
    "read_size",
    "unpack",
    "unpack_mask",
]

WRITABLE = {".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""The extensions of the files that are written as a stream, and their formats."""

_LONGEST_JPEG = 65_500  # what libjpeg encodes
_DEEPER = 257  # 65535 of 16 bits is 255 of 8
_OPAQUE = 255
_MINIMUM, _SUM = 0, 2  # the columns of libvips's statistics
_INTEGERS = {"uchar": 1, "ushort": _DEEPER}
_OPTIONS: dict[str, dict[str, Any]] = {
    "TIFF": {"tile": True, "tile_width": 512, "tile_height": 512, "compression": "deflate", "predictor": "horizontal"},
    "PNG": {},
    "JPEG": {"Q": 95, "subsample_mode": "off"},
}


class PixelFile:
    """A file of uint8 pixels, (H, W) or (H, W, C). ``file[top:bottom, left:right]`` reads or writes a part.

    Args:
        path: the file; it is made, and holds zeros, when it is first written to.
        shape: of the pixels.

    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        rows, columns = (each.indices(side)[:2] for each, side in zip(part, self.shape, strict=False))
        # Only these rows are mapped, and no longer than it takes to copy them.
        mapped = np.memmap(self.path, np.uint8, "r", rows[0] * self._row_bytes, (rows[1] - rows[0], *self.shape[1:]))
        return np.array(mapped[:, columns[0] : columns[1]])

    def __setitem__(self, part: tuple[slice, slice], pixels: Pixels) -> None:
        rows, columns = part
        pixel_bytes = self._row_bytes // self.shape[1]
        with self.path.open("r+b") as file:
            for row, values in zip(range(rows.start, rows.stop), pixels, strict=True):
                file.seek(row * self._row_bytes + columns.start * pixel_bytes)
                file.write(np.ascontiguousarray(values).data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.uint8]:
        """Return the whole as an array whose pixels are read when they are used."""
        return np.memmap(self.path, np.uint8, "r", 0, self.shape)

    def make(self) -> None:
        """Make the file, all zeros, which takes no room on the disk yet."""
        with self.path.open("wb") as file:
            file.truncate(self.shape[0] * self._row_bytes)

    def sync(self) -> None:
        """Let the pixels reach the disk, so that they survive a power failure."""
        with self.path.open("r+b") as file:  # Windows wants a file that is open for writing
            os.fsync(file.fileno())

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self.shape[1:]))


class Unpacked:
    """A picture whose pixels are in files.

    Attributes:
        pixels: (H, W, 3), sRGB, upright.
        alpha: (H, W), 255 where opaque; ``None`` for a picture that is opaque everywhere.

    """

    def __init__(self, pixels: PixelFile, alpha: PixelFile | None) -> None:
        self.pixels, self.alpha = pixels, alpha


def check_installed() -> None:
    """Refuse where libvips is not installed.

    Raises:
        AdainError: it is not.

    """
    _vips()


def unpack(path: Path, folder: Path, progress: Progress | None = None) -> Unpacked:
    """Decode a picture into files in a folder: upright, in sRGB, of 8 bits.

    Colours of a profile are converted by relative colorimetry with black point compensation. Wholly transparent
    pixels take the mean colour of the others.

    Args:
        path: the picture, of any format that libvips reads.
        folder: where the files are made.
        progress: is called with the share that is done.

    Raises:
        AdainError: the picture is missing, broken or cut short, or of a kind that is not read here.
        OSError: the disk is full.

    """
    with _explain(path):
        picture, alpha = _open(path)
        pixels = PixelFile(folder / "content.raw", (picture.height, picture.width, 3))
        if alpha is not None:
            weighted = (picture * alpha).bandjoin(alpha)
            statistics = _run(weighted, weighted.stats)  # a row for all bands, then one for each
            least, *sums = statistics(_MINIMUM, 4)[0], *(statistics(_SUM, band)[0] for band in (1, 2, 3, 4))
            picture, alpha = _open(path)  # each can be read once
        if alpha is None or least == _OPAQUE:
            _run(picture, lambda: picture.rawsave(str(pixels.path)), progress)
            return Unpacked(pixels, None)
        mean = [round(share / max(sums[3], 1)) for share in sums[:3]]
        visible = (alpha == 0).ifthenelse(mean, picture).cast("uchar")
        _run(visible, lambda: visible.rawsave(str(pixels.path)), progress)
        transparency = PixelFile(folder / "alpha.raw", (picture.height, picture.width))
        alpha = _open(path)[1]
        _run(alpha, lambda: alpha.rawsave(str(transparency.path)))
        return Unpacked(pixels, transparency)


def unpack_mask(path: Path, target: Path) -> PixelFile:
    """Decode a mask into a file: the luma of its picture, and nothing where it is transparent.

    Raises:
        AdainError: as ``unpack``.

    """
    with _explain(path):
        picture, alpha = _open(path)
        luma = picture.cast("float") * [0.299, 0.587, 0.114]
        mask = luma[0] + luma[1] + luma[2]
        if alpha is not None:
            mask = mask * alpha / _OPAQUE
        levels = mask.rint().cast("uchar")
        _run(levels, lambda: levels.rawsave(str(target)))
        return PixelFile(target, (picture.height, picture.width))


def pack(
    painted: PixelFile, alpha: PixelFile | None, target: Path, original: Path, progress: Progress | None = None
) -> None:
    """Encode pixels as a file, with the metadata of the original; a file that is there is replaced only as a whole.

    A TIFF is tiled, compressed without loss, a BigTIFF where it may be larger than 4 GB, and a pyramid if the original
    is one. JPEG shows what is transparent on white.

    Args:
        painted: the pixels.
        alpha: theirs, or ``None``.
        target: the file.
        original: the picture that was painted.
        progress: is called with the share that is done.

    Raises:
        AdainError: a side is longer than the format allows, or the file cannot be written.

    """
    vips = _vips()
    file_format = WRITABLE[target.suffix.lower()]
    with replacing(target) as aside, _explain(target):
        image = _load_raw(painted)
        if alpha is not None:
            image = image.bandjoin(_load_raw(alpha))
        if file_format == "JPEG" and alpha is not None:
            image = image.flatten(background=[255, 255, 255])
        source = vips.Image.new_from_file(str(original), access="sequential")
        image = image.copy(xres=source.xres, yres=source.yres)
        for name, data in {**_keep_metadata(source), "icc-profile-data": srgb_profile()}.items():
            image.set_type(vips.GValue.blob_type, name, data)
        options = dict(_OPTIONS[file_format])
        if file_format == "TIFF":
            large = painted.shape[0] * painted.shape[1] * image.bands * 4 // 3 > 1 << 32
            options |= {"bigtiff": large, "pyramid": _is_pyramid(source)}
        save = {"TIFF": image.tiffsave, "PNG": image.pngsave, "JPEG": image.jpegsave}[file_format]
        _run(image, lambda: save(str(aside), **options), progress)


def read_size(path: Path) -> tuple[int, int]:
    """Return the width and the height of the upright picture.

    Raises:
        AdainError: as ``unpack``.

    """
    with _explain(path):
        image = _vips().Image.new_from_file(str(path)).autorot()
        return image.width, image.height


def check_writable(target: Path, height: int, width: int) -> None:
    """Refuse an output that cannot be written as a stream.

    Raises:
        AdainError: it is none of ``WRITABLE``, or a side is longer than the format allows.

    """
    file_format = WRITABLE.get(target.suffix.lower())
    if file_format is None:
        raise AdainError(
            f"{target}: a picture this large is written as TIFF, PNG or JPEG", hint="choose another `output`"
        )
    if file_format == "JPEG" and max(height, width) > _LONGEST_JPEG:
        raise AdainError(
            f"{target}: JPEG ends at {_LONGEST_JPEG} pixels a side, not {width} x {height}", hint="use PNG or TIFF"
        )


def _open(path: Path) -> tuple[Any, Any]:
    """Return a picture as a stream of rows: RGB of 8 bits, and alpha or ``None``. It can be read once."""
    vips = _vips()
    # Of a TIFF that is cut short, libvips reads the rows that are missing as black unless errors are fatal.
    image = vips.Image.new_from_file(str(path), access="sequential", fail_on="error").autorot()
    if image.format not in _INTEGERS:
        raise AdainError(f"{path}: a picture this large is read with 8 or 16 bits, not as {image.format}")
    alpha = None
    if image.hasalpha():
        alpha = _to_bytes(image[image.bands - 1], image.format)
        image = image[: image.bands - 1]
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8)
    elif image.interpretation == "cmyk":
        image = image.icc_transform("srgb", input_profile="cmyk", intent="relative", depth=8)
    else:
        image = _to_bytes(image, image.format)
    if image.bands == 1:
        image = image.bandjoin([image, image])
    return image.cast("uchar").copy(interpretation="srgb"), alpha


def _run(image: Any, work: Callable[[], Any], progress: Progress | None = None) -> Any:
    """Return what libvips computes of an image. Ctrl-C ends it, and does not wait until all is done.

    It runs in a thread of its own: errors in what libvips calls back, as signals raise them in the first thread, would
    be printed and forgotten.
    """
    stopped = Event()

    def tell(_image: Any, seen: Any) -> None:
        if stopped.is_set():
            image.set_kill(True)
        elif progress is not None:
            progress(seen.percent / 100)

    image.set_progress(True)
    image.signal_connect("eval", tell)
    with ThreadPoolExecutor(1) as pool:
        try:
            made = pool.submit(work).result()
        finally:
            stopped.set()
    if progress is not None:
        progress(1)
    return made


def _to_bytes(image: Any, depth: str) -> Any:
    return image.cast("uchar") if depth == "uchar" else (image / _INTEGERS[depth]).rint().cast("uchar")


def _load_raw(pixels: PixelFile) -> Any:
    height, width, *bands = pixels.shape
    image = _vips().Image.rawload(str(pixels.path), width, height, bands[0] if bands else 1)
    return image.copy(interpretation="srgb" if bands else "b-w")


def _keep_metadata(source: Any) -> dict[str, bytes]:
    """Return what of a picture's EXIF and XMP is true of the result, by the names that libvips has for them."""
    found = {name: bytes(source.get(name)) for name in ("exif-data", "xmp-data") if source.get_typeof(name)}
    exif = Image.Exif()
    exif.load(found.get("exif-data", b""))
    kept = {"exif-data": keep_exif(exif), "xmp-data": keep_xmp(found.get("xmp-data"))}
    return {name: data for name, data in kept.items() if data}


def _is_pyramid(image: Any) -> bool:
    """Whether a TIFF holds itself at half the size as well, behind itself or below."""
    if image.get("vips-loader") != "tiffload":
        return False
    below = image.get("n-subifds") if image.get_typeof("n-subifds") else 0
    return bool(below or image.get_n_pages() > 1)


@contextmanager
def _explain(path: Path) -> Iterator[None]:
    """Turn what libvips raises in the block into an ``AdainError`` that names the file, or an ``OSError``."""
    try:
        yield
    except _vips().Error as error:
        lines = " ".join(str(error).split())
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # libvips gives the system's words alone
            if os.strerror(number) in lines:
                raise OSError(number, os.strerror(number)) from None
        raise AdainError(f"{path}: cannot be read or written ({lines})", hint="copy or export it again") from None


def _vips() -> Any:
    """Return pyvips.

    Raises:
        AdainError: it is not installed.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pyvips
    except (ImportError, OSError):
        raise AdainError(
            "pictures of more than 89 megapixels are read in parts by libvips, which is not installed",
            hint="run `pip install 'adain-rt[huge]'`",
        ) from None
    pyvips.cache_set_max(0)  # it would take a file that has changed for what it was
    return pyvips
