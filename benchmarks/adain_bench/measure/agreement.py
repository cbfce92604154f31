"""How far pictures are from those of the same model in float32."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_bench.contenders.ours import ours
from adain_bench.measure.cases import Case, cases
from adain_bench.record.run import Result
from adain_export.psnr import psnr
from adain_models.errors import AdainError
from adain_models.weights import store

__all__ = ["with_psnr"]


_WRONG = {"fp32": 45.0, "fp16": 40.0, "bf16": 30.0}
"""Below how many decibels a picture is another one, in precisions that keep nearly all of it."""


def with_psnr(results: Iterable[Result], timed: Sequence[Case], models: Sequence[str]) -> Iterator[Result]:
    """Yield results with the decibels between the picture of each and that of ONNX Runtime in fp32.

    One whose picture is wrong, as a compiler's may be without a word, has no time: it says so in its place.

    Args:
        results: of ``timed``, in order.
        timed: the cases, whose calls return their pictures.
        models: named models or model directories; results of others are left as they are.

    """
    exact = {store.model_name(model): next(ours([model], ["onnxruntime"], ["fp32"])) for model in models}
    pictures: dict[tuple[object, ...], NDArray[Any]] = {}
    for result, case in zip(results, timed, strict=True):
        params = case.params
        contender = exact.get(str(params["model"]))
        if result.times is None or contender is None or contender.hindrance:
            yield result
            continue
        key = params["model"], params["size"], params["batch"]
        try:
            if key not in pictures:
                (reference,) = cases([contender], [int(params["size"])], [int(params["batch"])], ["excluded"])
                pictures[key] = np.asarray(reference.call())
            decibels = psnr(np.asarray(case.call()), pictures[key])
        except AdainError as error:  # such as too little memory for float32
            yield replace(result, extra_info={**result.extra_info, "no_psnr": str(error)})
            continue
        agreement: float | str = decibels if math.isfinite(decibels) else "the same"
        told = replace(result, extra_info={**result.extra_info, "psnr_db": agreement})
        if decibels < _WRONG.get(str(params["precision"]), -math.inf):
            wrong = f"its picture is wrong: {decibels:.1f} dB from that of ONNX Runtime in fp32"
            told = replace(told, times=None, gpu_times=None, skipped=wrong)
        yield told
