"""The methods that the paper's Table 1 compares AdaIN with, to be timed beside it on the same machine.

They take and give what our own calls do: uint8 pixels in the host's memory. Imports no torch.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeVar, runtime_checkable

from adain_rt.contract import Pixels

__all__ = ["Baseline", "StyleEncoder"]

_Style = TypeVar("_Style")
_Style_contra = TypeVar("_Style_contra", contravariant=True)


class Baseline(Protocol[_Style_contra]):
    """One of the table's methods, its networks on their device."""

    @property
    def name(self) -> str:
        """As the table has it."""

    @property
    def styles(self) -> int | Literal["unlimited"]:
        """How many it has."""

    def stylize(self, content: Pixels, style: _Style_contra) -> Pixels:
        """Return a photo in a style, uint8 (H, W, 3), of the photo's size.

        Args:
            content: uint8 (H, W, 3).
            style: what ``encode_style`` gave, or the number of one of a fixed set of styles.

        """


@runtime_checkable
class StyleEncoder(Baseline[_Style], Protocol[_Style]):
    """A baseline that takes any picture for a style; the others have no such step, N/A in the table."""

    def encode_style(self, style: Pixels) -> _Style:
        """Return what ``stylize`` needs of a style, on the device.

        Args:
            style: uint8 of any size (h, w, 3).

        """
