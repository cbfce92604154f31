"""Dead channels: those that a ReLU sets to 0 everywhere, on every picture, so that no gradient reaches their weights.

A step at a high rate can push a bias so low that no input lifts the channel above 0 again. Such a channel stays dead
for good and wastes capacity. This module counts dead channels while a network trains and gives them new weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adain_models.networks.base import Network, bias_of

__all__ = ["Watch"]

_FAINT = 0.1


class Watch:
    """Records which rectified channels of a network in training are ever above 0.

    Attributes:
        active: whether the network's next run is recorded.

    """

    def __init__(self, network: Network) -> None:
        self.active = True
        self._rectified = list(network.rectified())
        self._seen = {
            each.name: torch.zeros_like(bias_of(each.convolution), dtype=torch.bool) for each in self._rectified
        }
        for each in self._rectified:
            each.before_relu.register_forward_hook(self._make_hook(each.name))

    def shares(self) -> dict[str, float]:
        """Return the share of channels that were seen alive since the last ``restart``, by layer."""
        return {name: seen.float().mean().item() for name, seen in self._seen.items()}

    def _make_hook(self, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            del module, inputs
            if self.active:
                self._seen[name] |= output.detach().amax((0, 2, 3)) > 0

        return hook

    def state(self) -> dict[str, Tensor]:
        """Return which channels were seen alive, by layer, for a checkpoint."""
        return {name: seen.clone() for name, seen in self._seen.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state`` returned."""
        for name, seen in self._seen.items():
            seen.copy_(state[name])

    def restart(self) -> None:
        """Forget which channels were seen alive."""
        for seen in self._seen.values():
            seen.zero_()

    @torch.no_grad()
    def revive(self, optimizers: Sequence[torch.optim.Optimizer], generator: torch.Generator) -> int:
        """Give channels that were not seen alive new weights, and return how many there were.

        A revived channel gets random weights, ``_FAINT`` times as large as those of He et al. (2015), and its reader
        gets weight 0 for it. So the network still computes what it did, and the first step moves the reader. The
        optimisers forget their moments of these weights, and therefore Adam moves all of them at its full rate at once.
        If the channels were as strong as the others, that step would destroy what the network knows.
        """
        revived = 0
        for each in self._rectified:
            dead = ~self._seen[each.name]
            if each.reader is None or not dead.any():
                continue
            revived += int(dead.sum())
            weight = each.convolution.weight
            fresh = torch.randn(weight[dead].shape, generator=generator) * _FAINT * (2 / weight[0].numel()) ** 0.5
            weight[dead] = fresh.to(weight)
            bias_of(each.convolution)[dead] = 0
            each.reader.weight[:, dead] = 0
            for tensor, index in (
                (weight, (dead,)),
                (bias_of(each.convolution), (dead,)),
                (each.reader.weight, (slice(None), dead)),
            ):
                _forget(optimizers, tensor, index)
        return revived


def _forget(optimizers: Sequence[torch.optim.Optimizer], weight: Tensor, index: tuple[Any, ...]) -> None:
    """Set the moments of a part of a weight to 0."""
    for optimizer in optimizers:
        for kept in optimizer.state.get(weight, {}).values():
            if kept.shape == weight.shape:  # and is no count of steps
                kept[index] = 0
