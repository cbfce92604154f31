"""Table 1 of the paper, as data.

Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017: seconds on a
Pascal Titan X, averaged over 100 images. The paper does not say the batch size, what warmed up, nor whether copies to
and from the GPU count.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ITERATIONS", "SIZES", "STYLES", "TABLE_1", "quoted"]

TABLE_1: Mapping[tuple[str, int], tuple[float, float | None]] = {
    ("Gatys et al.", 256): (14.17, 14.19),
    ("Gatys et al.", 512): (46.75, 46.79),
    ("Chen & Schmidt", 256): (0.171, 0.407),
    ("Chen & Schmidt", 512): (3.214, 4.144),
    ("Ulyanov et al.", 256): (0.011, None),
    ("Ulyanov et al.", 512): (0.038, None),
    ("Dumoulin et al.", 256): (0.011, None),
    ("Dumoulin et al.", 512): (0.038, None),
    ("AdaIN", 256): (0.018, 0.027),
    ("AdaIN", 512): (0.065, 0.098),
}
"""Seconds by method and size in pixels, with style encoding excluded and included; ``None`` where there is none."""

STYLES = {
    "Gatys et al.": "unlimited",
    "Chen & Schmidt": "unlimited",
    "Ulyanov et al.": "1",
    "Dumoulin et al.": "32",
    "AdaIN": "unlimited",
}
"""How many styles a method has."""

SIZES = (256, 512)

ITERATIONS = 500
"""Of Gatys et al.'s optimisation."""


def quoted(method: str, size: int, encoding: str) -> float | None:
    """Return the paper's seconds.

    Args:
        method: as the table has it.
        size: of ``SIZES``.
        encoding: of the style, ``excluded`` or ``included``.

    """
    excluded, included = TABLE_1[method, size]
    return included if encoding == "included" else excluded
