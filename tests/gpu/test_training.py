"""Training on a GPU: captured steps do what steps that are not captured do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adain_models.training.loop import Settings, Training
from adain_models.training.losses import Joint
from adain_models.training.teacher import Teacher
from adain_models.weights import checkpoint, store

pytestmark = pytest.mark.gpu

SETTINGS = Settings(steps=12, batch=4, crop=64, rate=1e-3)


def _train(teacher, china, flower, captures: bool) -> Training:
    network = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)
    recipe = Joint(Teacher(teacher).to("cuda"))
    run = Training(network, recipe, [china], [([flower], 1)], SETTINGS, "cuda")
    run._learn.captures = captures
    run.terms = [{name: term.item() for name, term in done.terms.items()} for done in run.run()]
    return run


def test_a_captured_step_learns_what_any_other_does(narrow_teacher, china, flower):
    eager, captured = (_train(narrow_teacher, china, flower, captures) for captures in (False, True))
    for step, (one, other) in enumerate(zip(eager.terms, captured.terms, strict=True)):
        for name, term in one.items():  # sums in any order and bfloat16: each step moves a little differently
            assert other[name] == pytest.approx(term, rel=0.05, abs=1e-3), (step, name)
    begun = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME).state_dict()
    for name, tensor in captured.network.state_dict().items():
        theirs, start = eager.network.state_dict()[name].cpu(), begun[name]
        moved = (theirs - start).norm()
        assert (tensor.cpu() - theirs).norm() <= 0.5 * moved, name


def test_a_run_goes_on_on_another_device(narrow_teacher, china, flower, tmp_path):
    run = _train(narrow_teacher, china, flower, captures=True)
    run.save(tmp_path)
    network = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)
    settings = replace(SETTINGS, steps=14)
    resumed = Training(network, Joint(Teacher(narrow_teacher)), [china], [([flower], 1)], settings)
    resumed.resume(tmp_path)
    assert [done.step for done in resumed.run()] == [13, 14]
    assert all(torch.isfinite(tensor).all() for tensor in resumed.mean.values())
