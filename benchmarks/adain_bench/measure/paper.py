"""The methods of the paper's Table 1 on this machine, beside the paper's figures.

All five are timed in PyTorch, in float32 and at batch 1, and AdaIN through every backend and precision here as well.
Weights are random where only time counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adain_bench.contenders.baselines import Baseline, StyleEncoder
from adain_bench.contenders.baselines.common import Vgg
from adain_bench.contenders.baselines.feed_forward import dumoulin, ulyanov
from adain_bench.contenders.baselines.gatys import CONTENT_LAYER, STYLE_LAYERS, Gatys
from adain_bench.contenders.baselines.style_swap import LAYER, StyleSwap
from adain_bench.contenders.contender import Contender
from adain_bench.contenders.ours import ours
from adain_bench.contenders.peers import peers, use_fastest
from adain_bench.contenders.random_weights import randomize
from adain_bench.measure.cases import ENCODINGS, Case, case_name, cases
from adain_bench.measure.inputs import picture
from adain_bench.record.run import Result
from adain_bench.record.statistics import Times
from adain_bench.record.table1 import ITERATIONS, SIZES, quoted
from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import checkpoint, store
from adain_rt import contract
from adain_rt.backends import Settings
from adain_rt.contract import Pixels

__all__ = ["paper_cases", "paper_results", "vgg19_model"]

_EAGER = {"backend": "pytorch-eager", "precision": "fp32"}
_RANDOM = {"weights": "random"}
_MEASURED = 128  # the side of the picture on which random weights are scaled
_GATYS = "Gatys et al."
_PARTS = 3
"""How many cases the optimisation is timed in at each size."""


def vgg19_model(folder: Path, width: int = 64) -> tuple[str, str]:
    """Return the paper's network as a model, and what its weights are: the public ones if they have been fetched.

    Args:
        folder: where a model directory is made if there are no graphs yet. Random weights that are there already are
            taken.
        width: of the first block, where weights are random.

    """
    fetched, made = store.model_dir("vgg19"), folder / "vgg19"
    if contract.has_graphs(fetched, "fp32"):
        return "vgg19", "public"
    public = (fetched / store.WEIGHTS_NAME).is_file()
    if not public and contract.has_graphs(made, "fp32"):
        return str(made), "random"
    from adain_export.torch.export import export_model

    if not public:
        network = Vgg19(width)
        randomize(network, picture(_MEASURED, seed=0))
        checkpoint.save(network, made / store.WEIGHTS_NAME)
    list(export_model(fetched if public else made, "vgg19", made))
    return str(made), "public" if public else "random"


def paper_cases(
    model: str, weights: str, settings: Settings, iterations: int, names: Sequence[str] = ()
) -> Iterator[Case]:
    """Yield what to time for the table. ``paper_results`` makes its rows of what was measured.

    Args:
        model: the paper's network, as ``vgg19_model`` gives it.
        weights: what its weights are, for the report.
        settings: how our backends run.
        iterations: of the optimisation that are timed, above 1; their time is scaled to the paper's.
        names: of our backends; none is all.

    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    use_fastest(settings.threads)
    yield from _optimization(device, iterations)
    yield from cases([_baseline(StyleSwap.name, partial(_style_swap, device))], SIZES, [1])
    fixed = {"Ulyanov et al.": ulyanov, "Dumoulin et al.": dumoulin}
    feed_forward = [_baseline(name, partial(make, device, torch.float32)) for name, make in fixed.items()]
    yield from cases(feed_forward, SIZES, [1], ENCODINGS[:1])
    eager = (each for each in peers([model], threads=settings.threads) if each.params["backend"] == _EAGER["backend"])
    adain = [_adain(each, weights) for each in chain(eager, ours([model], names, settings=settings))]
    bundled = [_adain(each, "bundled") for each in ours(["lite"], names, settings=settings)]
    yield from cases([*adain, *bundled], SIZES, [1])


def paper_results(measured: Iterable[Result]) -> Iterator[Result]:
    """Yield the table's rows: the optimisation scaled to all its iterations, and the paper's seconds beside each."""
    parts: list[Result] = []
    for each in measured:
        if "part" not in each.params:
            yield _beside_quote(each)
            continue
        parts.append(each)
        if len(parts) == _PARTS:
            yield from map(_beside_quote, _scale_up(*parts))
            parts.clear()


def _baseline(name: str, make: Callable[[], Any]) -> Contender:
    return Contender({"method": name, **_EAGER}, lambda: _Stylist(make()), facts=_RANDOM)


def _adain(contender: Contender, weights: str) -> Contender:
    facts = {**contender.facts, "weights": weights}
    return replace(contender, params={"method": "AdaIN", **contender.params}, facts=facts)


def _style_swap(device: torch.device) -> StyleSwap:
    return StyleSwap(Vgg([LAYER], "max"), device, torch.float32)


class _Stylist:
    """A baseline as a stylist; one of fixed styles takes the first for any painting."""

    def __init__(self, baseline: Baseline[Any]) -> None:
        self._baseline = baseline

    def encode(self, painting: Pixels) -> Any:
        """Return what the method needs of a style."""
        return self._baseline.encode_style(painting) if isinstance(self._baseline, StyleEncoder) else 0

    def stylize(self, contents: Pixels, code: Any) -> Pixels:
        """Return pictures in a style, made one after the other."""
        return np.stack([self._baseline.stylize(content, code) for content in contents])


def _optimization(device: torch.device, iterations: int) -> Iterator[Case]:
    """Yield the optimisation's parts: one iteration and all that surrounds it, several, and the style's encoding."""
    vgg = Vgg([*STYLE_LAYERS, CONTENT_LAYER], "average")
    for size in SIZES:
        params: dict[str, str | int] = {"method": _GATYS, **_EAGER, "size": size}
        painting = picture(size, 1)
        for count in (1, iterations):
            gatys = Gatys(vgg, count, device, torch.float32)
            work = partial(_optimize, gatys, picture(size, 0), painting)
            yield Case({**params, "part": count}, work, facts={**_RANDOM, "iterations": count})
        yield Case({**params, "part": "style"}, partial(_encode, gatys, painting))


def _optimize(gatys: Gatys, content: Pixels, painting: Pixels) -> None:
    gatys.stylize(content, gatys.encode_style(painting))


def _encode(gatys: Gatys, painting: Pixels) -> None:
    last = list(gatys.encode_style(painting).values())[-1]
    last.sum().item()  # waits for a GPU


def _scale_up(one: Result, several: Result, style: Result) -> Iterator[Result]:
    """Yield the optimisation's rows at a size: what one iteration adds, as often as the paper makes it."""
    failed = one.skipped or several.skipped or style.skipped
    params = {key: value for key, value in one.params.items() if key != "part"} | {"batch": 1}
    if failed:
        yield Result("paper", case_name(params), params, None, skipped=failed)
        return
    first, last, encoding = (_median(each) for each in (one, several, style))
    iteration = (last - first) / (several.extra_info["iterations"] - 1)
    if iteration <= 0:
        yield Result("paper", case_name(params), params, None, skipped="too noisy; time more --iterations")
        return
    whole = first + (ITERATIONS - 1) * iteration
    facts = {**_RANDOM, "scaled_from_iterations": several.extra_info["iterations"], "iteration_s": iteration}
    for name, seconds in zip(ENCODINGS, (whole - encoding, whole), strict=True):
        encoded = {**params, "style_encoding": name}
        yield Result("paper", case_name(encoded), encoded, Times(((seconds,),)), extra_info=facts)


def _median(result: Result) -> float:
    assert result.times is not None  # noqa: S101 - for the type checker
    return float(np.median(result.times.flat))


def _beside_quote(result: Result) -> Result:
    if result.times is None:
        return result
    method, size, encoding = (result.params[key] for key in ("method", "size", "style_encoding"))
    return replace(result, extra_info={**result.extra_info, "paper_s": quoted(str(method), int(size), str(encoding))})


if __name__ == "__main__":  # FOLDER [WIDTH]: let FOLDER/vgg19 be the model
    model, _ = vgg19_model(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    made = Path(sys.argv[1]) / "vgg19"
    if store.model_dir(model) != made:
        made.symlink_to(store.model_dir(model).resolve())
