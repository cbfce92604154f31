"""Feature maps between two convolutions, with the steps that are still to be done to them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["CHANNELS", "MIDDLE", "Map", "Restyle"]

CHANNELS = 8
"""How many channels a picture has at the convolutions: three, and zeros, since tensor cores read 8 halves at a time."""

MIDDLE = 128
"""This is subtracted from a picture as it is read, to centre it."""


@dataclass(frozen=True)
class Restyle:
    """AdaIN at a strength: (f - μc) · (1 + α (σs / σc - 1)) + μc + α (μs - μc).

    Attributes:
        mean: the content's, float32 (N, C).
        std: the content's, float32 (N, C).
        style_mean: the style's, float32 (N, C).
        style_std: the style's, float32 (N, C).
        strength: α, float32 (N,).

    """

    mean: Tensor
    std: Tensor
    style_mean: Tensor
    style_std: Tensor
    strength: Tensor


@dataclass(frozen=True)
class Map:
    """A tensor (N, C, H, W), channels last, and the steps that its reader does to it, in the order of these attributes.

    Each step is free for the reader, and would cost a pass over memory by itself.

    Attributes:
        tensor: of the network's type; its channels are neighbours in memory, its rows and pixels may be apart.
        phases: whether the tensor (N, 4C, H/2 + 1, W/2 + 1) holds the four pixels of each 2x2 block of the map: pixel
            (2i + a, 2j + b) is at (i + a, j + b), in the C channels from (2a + b)C on.
        bias: added, float32 (C,).
        blur: whether the map is blurred by [1 2 1] / 4 across and down, which makes it one pixel smaller on each side.
        restyle: applied.
        skip: added, of the same shape and type.
        modulation: scales and shifts, float32 (N, 2C): multiplied by the first half, the second half is added.
        relu: whether negative values become 0.
        resize: 1 doubles height and width by repetition, -1 halves them by the largest of four.

    """

    tensor: Tensor
    phases: bool = False
    bias: Tensor | None = None
    blur: bool = False
    restyle: Restyle | None = None
    skip: Tensor | None = None
    modulation: Tensor | None = None
    relu: bool = False
    resize: int = 0

    @property
    def is_done(self) -> bool:
        """Whether no step is left to do."""
        left = (self.bias, self.restyle, self.skip, self.modulation)
        return all(each is None for each in left) and not (self.phases or self.blur or self.relu or self.resize)

    @property
    def channels(self) -> int:
        """C, the map's channels."""
        return self.tensor.shape[1] // (4 if self.phases else 1)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width once all steps are done."""
        whole = (2 * length - 2 if self.phases else length for length in self.tensor.shape[2:])
        rows, columns = (length - 2 * self.blur for length in whole)
        if self.resize > 0:
            return 2 * rows, 2 * columns
        return (rows // 2, columns // 2) if self.resize else (rows, columns)
