"""What a part of a run is to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adain_bench.measure.timing import Plan
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends import Settings

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """What to measure, and how.

    Attributes:
        models: named models or model directories.
        plan: how long each case is timed.
        settings: how our backends run.
        backends: names of ours; none is all.
        precisions: names; none is all.
        sizes: sides of square pictures, in pixels.
        batches: pictures in a call.
        streams: threads that call at once.
        peers: whether others than ours are measured.
        peer_names: of these; none is all.
        floor: whether to measure what the machine could do at best.
        iterations: of the optimisation that are timed.

    Raises:
        AdainError: two models have one name.

    """

    models: Sequence[str]
    plan: Plan
    settings: Settings
    backends: Sequence[str] = ()
    precisions: Sequence[str] = ()
    sizes: Sequence[int] = (256, 512)
    batches: Sequence[int] = (1,)
    streams: Sequence[int] = ()
    peers: bool = False
    peer_names: Sequence[str] = ()
    floor: bool = False
    iterations: int = 3

    def __post_init__(self) -> None:
        names = [store.model_name(model) for model in self.models]
        if len(set(names)) < len(names):
            raise AdainError(
                f"two models are called {max(names, key=names.count)}, and results go by these names",
                hint="give one of the directories another name",
            )
