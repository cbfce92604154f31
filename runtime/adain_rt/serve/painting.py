"""What a worker does for a request: files in, a file out."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np

from adain_models.errors import AdainError
from adain_rt.jobs.inputs import fit_content
from adain_rt.media.pictures import as_mask, encode_picture, frame, read_picture
from adain_rt.serve.clips import Clips
from adain_rt.serve.forms import Order
from adain_rt.serve.limits import Limits, Room
from adain_rt.serve.pictures import check_result, encode, read_within
from adain_rt.serve.refusals import naming
from adain_rt.serve.styles import Entry, Styles
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, Transfer

__all__ = ["Painter"]

_SAMPLE = Path(__file__).parent / "page" / "sample.jpg"
"""The photograph that samples of styles are painted from."""

_MOST_SAMPLES = 256


class Painter:
    """Paints what requests ask for. It may be used from several threads.

    Attributes:
        stylizer: runs the network.
        styles: the styles that there are.

    """

    def __init__(self, stylizer: Stylizer, limits: Limits, room: Room) -> None:
        self.stylizer = stylizer
        self.styles = Styles(stylizer, limits.pixels, room)
        self._clips = Clips(stylizer)
        self._room = room
        self._limits = limits
        self._samples: OrderedDict[str, bytes] = OrderedDict()

    def paint(self, order: Order) -> tuple[bytes, str]:
        """Return the picture file that is asked for, and its media type.

        Raises:
            AdainError: a picture cannot be read or stylised, a style is not there, or the masks do not fit.

        """
        most = self._limits.pixels
        picture = read_within(order.content, most)
        check_result(order, picture, most)
        masks = [as_mask(read_within(mask, most)) for mask in order.masks]
        for upload, mask in zip(order.masks, masks, strict=True):
            if mask.shape != picture.pixels.shape[:2]:
                raise AdainError(
                    f"mask {upload.name}: is {mask.shape[1]}x{mask.shape[0]} pixels and {order.content.name} is "
                    f"{picture.width}x{picture.height}; make the mask as large as the content"
                )
        sources = [self.styles.source(style, order.style_size, order.crop) for style in order.styles]
        regions = [frame(mask, order.size, order.crop, order.max_size) for mask in masks]
        content = fit_content(picture, order.size, order.crop, order.max_size)
        transfer = Transfer(self.stylizer, order.alpha, order.color, order.strokes, order.fit, order.underpainting)
        mix = StyleMix(tuple(transfer.prepare(source) for source in sources), order.weights)
        covers = np.stack(regions) if regions else None
        try:
            with self._room.take(content.width * content.height):
                if order.clip:
                    found = transfer.find_styles(content.pixels, mix, covers is not None)
                    painted = self._clips.paint(order, content, found, covers)
                else:
                    painted = transfer.apply(content, mix, covers)
            return encode(painted, order)
        except AdainError as error:
            raise naming(error, order.content.name) from None

    def warm_up(self) -> None:
        """Load the graphs that most requests need, so that none waits for them.

        Raises:
            AdainError: the model cannot be run.

        """
        photo = read_picture(_SAMPLE).pixels
        self.stylizer.stylize(photo, self.stylizer.encode(photo))

    def paint_sample(self, entry: Entry) -> bytes:
        """Return the package's sample photograph in a style, as a JPEG; it is painted when first asked for.

        Raises:
            AdainError: it cannot be stylised.

        """
        sample = self._samples.get(entry.id)
        if sample is None:
            mix = StyleMix((entry.source,), (1.0,))
            painted = Transfer(self.stylizer).apply(read_picture(_SAMPLE), mix)
            sample = self._samples[entry.id] = encode_picture(painted, "JPEG", quality=85)
            if len(self._samples) > _MOST_SAMPLES:
                self._samples.popitem(last=False)
        return sample
