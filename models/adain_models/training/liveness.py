"""Channels that died: rectified to 0 everywhere, on every picture, so that no gradient reaches their weights.

A step at a high rate pushes biases below what the inputs can lift; such a channel stays dead for good, and is
capacity thrown away. Here they are counted while a network trains, and given new weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adain_models.networks.base import Network, bias_of, convolution
from adain_models.networks.lite import Blur, Residual

__all__ = ["Watch"]

_FAINT = 0.1


@dataclass
class _Rectified:
    """A convolution that a ReLU follows, what the ReLU reads, who reads the result if alone, and what was seen."""

    name: str
    layer: nn.Conv2d
    last: nn.Module  # the convolution, or the blur behind it
    reader: nn.Conv2d | None
    seen: Tensor  # bool (C,)


class Watch:
    """Sees which rectified channels of a network in training are ever active."""

    def __init__(self, network: Network) -> None:
        self.active = True
        self._all = [
            _Rectified(name, layer, last, reader, torch.zeros_like(bias_of(layer), dtype=torch.bool))
            for name, layer, last, reader in _rectified(network)
        ]
        for each in self._all:
            each.last.register_forward_hook(self._noting(each))

    def shares(self) -> dict[str, float]:
        """Return the share of live channels since the last ``restart``, by layer."""
        return {each.name: each.seen.float().mean().item() for each in self._all}

    def _noting(self, rectified: _Rectified) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            del module, inputs
            if self.active:
                rectified.seen |= output.detach().amax((0, 2, 3)) > 0

        return hook

    def state(self) -> dict[str, Tensor]:
        """Return what was seen, for a checkpoint."""
        return {each.name: each.seen.clone() for each in self._all}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take what ``state`` returned."""
        for each in self._all:
            each.seen.copy_(state[each.name])

    def restart(self) -> None:
        """Forget what was seen."""
        for each in self._all:
            each.seen.zero_()

    @torch.no_grad()
    def revive(self, optimizer: torch.optim.Adam, generator: torch.Generator) -> int:
        """Give channels that were not seen new weights, and return how many there were.

        They read at random, ``_FAINT`` times what He et al. (2015) give, and are read with weight 0: the network
        computes what it did, and the first step moves the readers. The optimiser forgets these weights' moments, and so
        moves them at its full rate at once, all alike; were the channels as loud as the others, that step would
        destroy what the network knows.
        """
        revived = 0
        for each in self._all:
            dead = ~each.seen
            if each.reader is None or not dead.any():
                continue
            revived += int(dead.sum())
            weight = each.layer.weight
            fresh = torch.randn(weight[dead].shape, generator=generator) * _FAINT * (2 / weight[0].numel()) ** 0.5
            weight[dead] = fresh.to(weight)
            bias_of(each.layer)[dead] = 0
            each.reader.weight[:, dead] = 0
            for moment in ("exp_avg", "exp_avg_sq"):
                for tensor, index in (
                    (weight, (dead,)),
                    (bias_of(each.layer), (dead,)),
                    (each.reader.weight, (slice(None), dead)),
                ):
                    if moment in optimizer.state[tensor]:
                        optimizer.state[tensor][moment][index] = 0
        return revived


def _rectified(network: Network) -> Iterator[tuple[str, nn.Conv2d, nn.Module, nn.Conv2d | None]]:
    """Yield each convolution that a ReLU follows, what the ReLU reads, and the convolution that reads the result.

    The last is ``None`` where something else reads the result as well.
    """
    for part, layers in (("encoder", network.encoder), ("decoder", network.decoder)):
        children = list(layers.named_children())
        for place, (name, child) in enumerate(children):
            if isinstance(child, Residual):
                yield f"{part}.{name}.a", child.a, child.a, child.b
            elif isinstance(child, nn.ReLU):
                _, last = children[place - 1]
                rectified, _ = children[place - 2 if isinstance(last, Blur) else place - 1]
                following = next(
                    (m for _, m in children[place + 1 :] if not isinstance(m, nn.Upsample | nn.MaxPool2d)), None
                )
                reader = following if isinstance(following, nn.Conv2d) else None
                yield f"{part}.{rectified}", convolution(layers, rectified), last, reader
