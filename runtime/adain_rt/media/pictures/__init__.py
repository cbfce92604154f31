"""Pictures in and out: files that Pillow reads, as upright sRGB pixels, and back with their metadata."""

from adain_rt.media.pictures.formats import MAX_PIXELS, READABLE, WRITABLE, check_writable
from adain_rt.media.pictures.geometry import center_square, frame, plan_frame, resize_to
from adain_rt.media.pictures.picture import Picture
from adain_rt.media.pictures.read import as_mask, read_mask, read_picture
from adain_rt.media.pictures.source import PictureSource
from adain_rt.media.pictures.write import encode_picture, write_picture

__all__ = [
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "Picture",
    "PictureSource",
    "as_mask",
    "center_square",
    "check_writable",
    "encode_picture",
    "frame",
    "plan_frame",
    "read_mask",
    "read_picture",
    "resize_to",
    "write_picture",
]
