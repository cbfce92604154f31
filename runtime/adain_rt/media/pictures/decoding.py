"""Files into Pillow's images: which decoder reads a file, and what Pillow's own need beside them."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from PIL import Image

from adain_rt.media.pictures import jpeg, pfm, png
from adain_rt.media.pictures.formats import FORMATS
from adain_rt.media.pictures.hdr import describe_lost_hdr
from adain_rt.media.pictures.plugins import find_plugin

__all__ = ["OpenImage", "count_frames", "decode", "open_image"]

_HEAD = 128
_TIFF = (b"II", b"MM")


class OpenImage(NamedTuple):
    """An image and the file that it reads.

    Attributes:
        remarks: what a user should know of it.

    """

    image: Image.Image
    file: BinaryIO
    remarks: tuple[str, ...] = ()


def open_image(file: BinaryIO, name: str) -> OpenImage:
    """Open a file, whose pixels are not decoded yet.

    Args:
        file: one that can seek.
        name: the file's name in errors.

    Raises:
        AdainError: the file needs a plug-in that is not installed.
        Exception: what Pillow raises.

    """
    file.seek(0)
    head = file.read(_HEAD)
    remarks: tuple[str, ...] = ()
    if head.startswith(png.SIGNATURE):
        file, remarks = png.screen(file)
    file.seek(0)
    image: Image.Image
    if open_by_plugin := find_plugin(head):
        image = open_by_plugin(file, name)
    elif pfm.is_pfm(head):
        image = pfm.PfmFile(file)
    elif head.startswith(_TIFF):
        image = _open_tiff(file)
    else:
        image = Image.open(file, formats=FORMATS)
    lost = describe_lost_hdr(image, file)
    return OpenImage(image, file, remarks if lost is None else (*remarks, lost))


def _open_tiff(file: BinaryIO) -> Image.Image:
    from adain_rt.media.pictures.tiff import SampledTiff, needs_sampling  # it takes a while

    sampled = needs_sampling(file)
    file.seek(0)
    return SampledTiff(file) if sampled else Image.open(file, formats=FORMATS)


def decode(opened: OpenImage) -> OpenImage:
    """Decode the first frame, and return its image; it is another than before where a JPEG had to be completed.

    Raises:
        Exception: what Pillow raises.

    """
    image, file, remarks = opened.image, opened.file, opened.remarks
    try:
        image.load()
    except OSError:
        if image.format != "JPEG":
            raise
        image = _complete_jpeg(file)
        remarks = (*remarks, "its end is missing, but no pixel is; it may have been cut short")
    else:
        if image.format == "JPEG" and jpeg.ends_in_zeros(file):  # they fill up what is missing, and nothing is raised
            _complete_jpeg(file)
    if image.format == "PNG":
        png.apply_color_key(image, file)
    return OpenImage(image, file, (*remarks, *getattr(image, "remarks", ())))


def _complete_jpeg(file: BinaryIO) -> Image.Image:
    file.seek(0)
    image = jpeg.complete(file.read())
    if image is None:
        raise OSError("image file is truncated")
    return image


def count_frames(opened: OpenImage) -> int:
    """Return the number of frames or pages. A multi-picture JPEG has one: the others are its previews.

    A TIFF may have damaged pages behind its first. The first that is damaged is counted, and no other.
    """
    if opened.image.format == "MPO":
        return 1
    if opened.image.format != "TIFF":
        return getattr(opened.image, "n_frames", 1)
    other = _open_tiff(opened.file)  # what Pillow knows of a page is not right again after one that is damaged
    frames = 1
    try:
        while True:
            other.seek(frames)
            frames += 1
    except EOFError:
        return frames
    except Exception:  # as with pixels, Pillow raises whatever it meets
        return frames + 1
