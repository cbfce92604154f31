"""Feature maps on their way from one convolution to the next, with what is still to be done to them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["CHANNELS", "MIDDLE", "Map", "Restyle"]

CHANNELS = 8
"""How many channels a picture has at the convolutions: three, and zeros, as tensor cores read halves by eights."""

MIDDLE = 128
"""What a picture is centred by as it is read."""


@dataclass(frozen=True)
class Restyle:
    """AdaIN at a strength: (f - μc) · (1 + α (σs / σc - 1)) + μc + α (μs - μc).

    Attributes:
        mean: of the content, float32 (N, C).
        std: of the content, float32 (N, C).
        style_mean: float32 (N, C).
        style_std: float32 (N, C).
        strength: α, float32 (N,).

    """

    mean: Tensor
    std: Tensor
    style_mean: Tensor
    style_std: Tensor
    strength: Tensor


@dataclass(frozen=True)
class Map:
    """A tensor (N, C, H, W), channels last, and what its reader does to it, in the order of these attributes.

    Each costs the reader nothing, and would cost a pass over memory by itself.

    Attributes:
        tensor: of the network's type; its channels are neighbours in memory, its rows and pixels may lie apart.
        phases: whether it is the four pixels of each block of 2x2, the tensor (N, 4C, H/2 + 1, W/2 + 1) of a map: pixel
            (2i + a, 2j + b) is at (i + a, j + b) in channels (2a + b)C and on.
        bias: to be added, float32 (C,).
        blur: whether it is blurred by [1 2 1] / 4 across and down, which makes it one pixel smaller on each side.
        restyle: to be applied.
        skip: to be added, of the same shape and type.
        relu: whether what is negative becomes 0.
        resize: 1 doubles height and width by repetition, -1 halves them by the largest of four.

    """

    tensor: Tensor
    phases: bool = False
    bias: Tensor | None = None
    blur: bool = False
    restyle: Restyle | None = None
    skip: Tensor | None = None
    relu: bool = False
    resize: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        left = (self.bias, self.restyle, self.skip)
        return all(each is None for each in left) and not (self.phases or self.blur or self.relu or self.resize)

    @property
    def channels(self) -> int:
        """C."""
        return self.tensor.shape[1] // (4 if self.phases else 1)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is read."""
        whole = (2 * length - 2 if self.phases else length for length in self.tensor.shape[2:])
        rows, columns = (length - 2 * self.blur for length in whole)
        if self.resize > 0:
            return 2 * rows, 2 * columns
        return (rows // 2, columns // 2) if self.resize else (rows, columns)
