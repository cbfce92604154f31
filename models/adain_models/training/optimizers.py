"""What changes the weights: Muon (Jordan et al. 2024) those of convolutions between features, Adam the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

__all__ = ["Muon", "make_optimizers", "orthogonalized"]

_COLORS = 3
"""Channels of a picture."""

_AXES = 4
"""Of a convolution's weight: (O, I, kh, kw)."""

_MOMENTUM = 0.95
_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of Jordan et al.: steepest at 0, so that five iterations bring small singular values near 1, if not exactly to it."""

_LIKE_ADAM = 0.2
"""The usual root mean square of Adam's steps, over its rate (Liu et al. 2025). So both can have one rate."""


def make_optimizers(weights: Sequence[Tensor], rate: Tensor, muon: bool, captured: bool) -> list[torch.optim.Optimizer]:
    """Return what changes weights.

    Args:
        weights: all of them.
        rate: the learning rate, a scalar where the weights are, which is read anew in each step.
        muon: whether Muon changes those of convolutions that neither read nor write a picture.
        captured: whether steps are captured as CUDA graphs.

    """
    matrices = [each for each in weights if muon and each.ndim == _AXES and min(each.shape[:2]) > _COLORS]
    taken = set(map(id, matrices))
    others = [each for each in weights if id(each) not in taken]
    adam = torch.optim.Adam(others, lr=rate, fused=True, capturable=captured)
    return [adam, Muon(matrices, rate)] if matrices else [adam]


class Muon(torch.optim.Optimizer):
    """Changes the weights of convolutions, each as a matrix of one row for each output channel.

    The gradient of a convolution is mostly along a few directions, and so are Adam's steps, since Adam looks at each
    weight by itself. Muon's step is the orthogonal matrix that is nearest to the momentum, in which all directions
    count alike. PyTorch's own Muon takes no weights of four axes, and no rate that a captured step can read anew.

    Args:
        weights: (O, I, kh, kw) each.
        rate: the learning rate, a scalar where the weights are. A step's root mean square is a fifth of it.

    """

    def __init__(self, weights: Iterable[Tensor], rate: Tensor) -> None:
        super().__init__(weights, {"lr": rate})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Change every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                momentum.lerp_(weight.grad, 1 - _MOMENTUM)
                ahead = weight.grad.lerp(momentum, _MOMENTUM)  # as Nesterov's
                matrix = orthogonalized(ahead.flatten(1))
                scale = _LIKE_ADAM * max(matrix.shape) ** 0.5
                weight.sub_(group["lr"] * scale * matrix.view_as(weight))


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return a matrix with the singular vectors of the given one, and singular values between 0.6 and 1.3.

    This is a Newton-Schulz iteration in bfloat16, which needs products of matrices only. A singular value of less than
    a thousandth of the root of their squares' sum comes out smaller.

    Args:
        matrix: float (M, N).

    """
    a, b, c = _COEFFICIENTS
    x = (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T).bfloat16()
    x = x / x.norm().clamp(min=torch.finfo(torch.float32).tiny)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    turned: Tensor = x if matrix.shape[0] <= matrix.shape[1] else x.T
    return turned.to(matrix.dtype)
