"""Picture files in requests and answers: within the limits before they are decoded."""

from __future__ import annotations

import io

from adain_rt.media.pictures import Picture, PictureSource, encode_picture, plan_frame
from adain_rt.serve.forms import Order, Upload
from adain_rt.serve.refusals import Refusal

__all__ = ["MEDIA_TYPES", "check_result", "encode", "read_within"]

MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "avif": "image/avif",
}
_SHOWN = ("jpeg", "png", "webp")
"""What every browser shows. A content of another format becomes a PNG."""


def read_within(upload: Upload, most: int) -> Picture:
    """Return the picture of a file of at most so many pixels; a larger one is not decoded.

    Raises:
        Refusal: the picture has more pixels.
        AdainError: the picture cannot be read; see ``read_picture``.

    """
    with PictureSource(io.BytesIO(upload.data), upload.name) as source:
        if source.pixel_count > most:
            raise Refusal(422, f"{upload.name}: has more than {most:,} pixels", hint="use a smaller picture")
        return source.read()


def check_result(order: Order, content: Picture, most: int) -> None:
    """Check that the result has at most so many pixels, before it is made.

    Raises:
        Refusal: it would have more.

    """
    height, width = plan_frame(content.height, content.width, order.size, order.crop, order.max_size)
    if height * width > most:
        raise Refusal(
            422,
            f"{order.content.name}: would have {width}x{height} pixels when it is resized, and {most:,} are the most",
            hint="use a smaller `size`, bound the longer side with `max_size`, or `crop` it",
        )


def encode(picture: Picture, order: Order) -> tuple[bytes, str]:
    """Return a result as a file, and its media type.

    Raises:
        AdainError: a side is longer than the format allows.

    """
    own = picture.format.lower()
    chosen = order.format or (own if own in _SHOWN else "png")
    return encode_picture(picture, chosen.upper(), "the result", quality=order.quality), MEDIA_TYPES[chosen]
