"""How far pictures are from those of PyTorch in float64."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from adain_bench.contenders.contender import Contender
from adain_bench.measure.cases import case_name
from adain_bench.measure.inputs import picture
from adain_bench.record.run import Result
from adain_export.psnr import psnr
from adain_models import reference
from adain_models.weights import checkpoint, store
from adain_rt.contract import Pixels

__all__ = ["exactness"]

_CONTENT, _PAINTING = 0, 1_000_000
"""Which pictures of ``inputs``."""


def exactness(contenders: Iterable[Contender], models: Sequence[str], sizes: Sequence[int]) -> Iterator[Result]:
    """Yield for each contender and size how far its picture is from the reference's, its style encoded by itself.

    Args:
        contenders: of ``ours``.
        models: what these were made with.
        sizes: of square pictures, in pixels.

    """
    directories = {store.model_name(model): store.model_dir(model) for model in models}
    exact: dict[tuple[str, int], Pixels] = {}
    for contender in contenders:
        model = str(contender.params["model"])
        for size in sizes if contender.hindrance is None else ():
            params = {**contender.params, "size": size}
            try:
                code = contender.stylist.encode(picture(size, _PAINTING))
                made = contender.stylist.stylize(picture(size, _CONTENT)[None], code)
                if (model, size) not in exact:
                    exact[model, size] = _reference(directories[model] / store.WEIGHTS_NAME, size)
            except Exception as error:  # of whatever library: the others go on
                why = (str(error).splitlines() or [""])[0] or type(error).__name__
                yield Result("exactness", case_name(params), params, None, skipped=why)
                continue
            yield Result("exactness", case_name(params), params, None, extra_info=_apart(made, exact[model, size]))
        if contender.hindrance is not None:
            yield Result("exactness", case_name(contender.params), contender.params, None, skipped=contender.hindrance)


def _reference(weights: Path, size: int) -> Pixels:
    """Return the picture in float64, computed on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = checkpoint.load(weights).double().to(device)
    content, painting = (torch.from_numpy(picture(size, seed)[None]).to(device) for seed in (_CONTENT, _PAINTING))
    strength = torch.ones(1, dtype=torch.float64, device=device)
    stylized: Pixels = reference.stylize(network, content, reference.encode(network, painting), strength).cpu().numpy()
    return stylized


def _apart(made: Pixels, exact: Pixels) -> dict[str, float | str]:
    decibels = psnr(made, exact)
    levels = np.abs(made.astype(int) - exact.astype(int))
    return {
        "psnr_db": decibels if math.isfinite(decibels) else "the same",
        "largest_difference": int(levels.max()),
        "within_one_level": float((levels <= 1).mean()),
    }
