"""This toolkit's own contenders: each model on each backend in each precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from adain_bench.contenders import gpu_events
from adain_bench.contenders.contender import Contender, Stylist
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends import BACKENDS, Settings
from adain_rt.budget import AUTO_TILE, Tile
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

__all__ = ["ours"]


def ours(
    models: Sequence[str],
    names: Sequence[str] = (),
    precisions: Sequence[str] = (),
    settings: Settings | None = None,
    tile: Tile | None = None,
) -> Iterator[Contender]:
    """Yield each model on each backend in each of its precisions; a backend that cannot run here once, with the reason.

    Where a GPU replays its work as one CUDA graph, the same without is another contender.

    Args:
        models: named models or model directories.
        names: of the backends; none is all.
        precisions: of those that the backends have; none is all.
        settings: how the backends run.
        tile: as for a Stylizer; ``None`` is ``auto``, and nothing is said of it.

    """
    settings = settings or Settings()
    open_stylist = partial(_open_stylist, tile=tile or AUTO_TILE)
    for model, name in product(models, names or BACKENDS):
        params = {"model": store.model_name(model), "backend": name} | ({} if tile is None else {"tile": tile})
        wanted = [each for each in BACKENDS[name].precisions if each in (precisions or contract.PRECISIONS)]
        hindrance = BACKENDS[name].hindrance()
        if hindrance is not None and wanted:
            yield Contender(params, partial(open_stylist, model, name, wanted[0], settings), hindrance)
            continue
        for precision in wanted:
            in_precision = {**params, "precision": precision}
            make = partial(open_stylist, model, name, precision, settings)
            yield Contender(in_precision, make, _find_hindrance(model, precision))
            if BACKENDS[name].on_device:
                without = partial(open_stylist, model, name, precision, replace(settings, cuda_graph=False))
                yield Contender({**in_precision, "cuda_graph": "off"}, without, _find_hindrance(model, precision))


def _find_hindrance(model: str, precision: str) -> str | None:
    """Return what is missing to run a model in a precision."""
    if contract.has_graphs(store.model_dir(model), precision):
        return None
    return f"{store.model_name(model)} has no {'int8 ' if precision == 'int8' else ''}graphs"


class _Ours:
    """A Stylizer, of which a batch is in one style."""

    def __init__(self, stylizer: Stylizer) -> None:
        self._stylizer = stylizer

    def encode(self, painting: Pixels) -> Style:
        """Return the style's code."""
        return self._stylizer.encode(painting)

    def stylize(self, contents: Pixels, code: Style) -> Pixels:
        """Return pictures in a style."""
        return self._stylizer.stylize(contents, code)


class _OursOnGpu(_Ours):
    """A Stylizer whose backend takes arrays on the GPU."""

    def gpu_part(self, contents: Pixels, code: Style) -> Callable[[], float] | None:
        """Return what stylises pictures in the GPU's memory once, and returns the seconds between two CUDA events.

        ``None`` where PyTorch, whose events they are, is not here, or the graphs do not take pictures of this size.
        """
        if not gpu_events.available() or any(side % contract.MULTIPLE for side in contents.shape[1:3]):
            return None
        import torch

        content = torch.from_numpy(contents).cuda()
        out, stream = torch.empty_like(content), torch.cuda.Stream()  # type: ignore[no-untyped-call]

        def stylize() -> None:
            self._stylizer.stylize_on_device(content, code, out=out, stream=stream.cuda_stream)

        def timed() -> float:
            with torch.cuda.stream(stream):
                return gpu_events.between_events(stylize)

        return timed


def _open_stylist(model: str, backend: str, precision: str, settings: Settings, tile: Tile) -> Stylist:
    stylizer = Stylizer(model, backend, precision, settings, tile)
    return _OursOnGpu(stylizer) if BACKENDS[backend].on_device else _Ours(stylizer)
