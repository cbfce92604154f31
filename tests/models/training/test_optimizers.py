"""What changes the weights."""

from __future__ import annotations

import pytest
import torch

from adain_models.training.optimizers import Muon, make_optimizers, orthogonalized


def a_matrix(rows: int, columns: int, smallest: float) -> torch.Tensor:
    """A matrix whose singular values go from 1 down to the smallest, in float64."""
    generator = torch.Generator().manual_seed(0)
    left, _, right = torch.linalg.svd(
        torch.randn(rows, columns, generator=generator, dtype=torch.float64), full_matrices=False
    )
    return (left * torch.logspace(0, torch.tensor(smallest).log10(), min(rows, columns), dtype=torch.float64)) @ right


@pytest.mark.parametrize("shape", [(128, 1152), (64, 16), (16, 800)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_an_orthogonalized_matrix_keeps_its_singular_vectors_and_evens_their_values(shape, size):
    matrix = a_matrix(*shape, smallest=0.01)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    made = left.T @ orthogonalized((size * matrix).float()).double() @ right.T
    values = made.diagonal()
    assert 0.6 < values.min() < values.max() < 1.3
    assert (made - values.diag()).abs().max() < 0.03  # bfloat16 has 8 bits


def test_a_matrix_of_zeros_stays_one():
    assert not orthogonalized(torch.zeros(4, 8)).any()


def test_muons_step_is_orthogonal_at_the_rate_of_now():
    weight = torch.nn.Parameter(torch.zeros(32, 16, 3, 3))
    rate = torch.tensor(0.0)
    muon = Muon([weight], rate)
    weight.grad = a_matrix(32, 144, smallest=0.1).float().view_as(weight)
    rate.fill_(0.5)
    muon.step()
    step = weight.detach().flatten(1)
    assert step.square().mean().sqrt() == pytest.approx(0.5 / 5, rel=0.3)
    assert torch.cosine_similarity(-step.flatten(), orthogonalized(weight.grad.flatten(1)).flatten(), dim=0) > 0.999


def test_muons_momentum_outlasts_a_gradient():
    weight = torch.nn.Parameter(torch.zeros(8, 8, 1, 1))
    muon = Muon([weight], torch.tensor(1.0))
    weight.grad = torch.eye(8).view_as(weight)
    muon.step()
    after = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    muon.step()
    assert (weight - after).flatten(1).diagonal().max() < -0.1


def test_muon_takes_convolutions_between_features_and_adam_the_others(lite):
    named = dict(lite.named_parameters())
    rate = torch.tensor(1e-3)
    adam, muon = make_optimizers(list(named.values()), rate, muon=True, captured=False)
    taken = {id(weight) for weight in muon.param_groups[0]["params"]}
    names = {name for name, weight in named.items() if id(weight) in taken}
    assert {"encoder.down1.weight", "decoder.res1.a.weight", "decoder.style1.gain.weight"} <= names
    assert not names & {"encoder.conv1.weight", "decoder.out.weight", "decoder.res1.a.bias"}
    assert len(taken) + len(adam.param_groups[0]["params"]) == len(named)
    (alone,) = make_optimizers(list(named.values()), rate, muon=False, captured=False)
    assert isinstance(alone, torch.optim.Adam)
    assert len(alone.param_groups[0]["params"]) == len(named)
