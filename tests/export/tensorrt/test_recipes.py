"""Recipes that a library does not offer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adain_export.tensorrt import recipes
from adain_export.tensorrt.recipes import check_recipe
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.backends.tensorrt.profiles import static_profile

LITE = store.model_dir("lite")
SMALL = Recipe("tensorrt-rtx", "fp32", (static_profile("64"),))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": "stripped"}, r"tensorrt-rtx needs a GPU .* \(no GPU is here\); use `weights` included"),
        ({"weights": "refittable"}, r"tensorrt-rtx needs a GPU .* \(no GPU is here\); use `weights` included"),
        ({"flavor": "tensorrt"}, r"tensorrt needs a GPU .* \(no GPU is here\); use `flavor` tensorrt-rtx"),
        ({"optimization_level": 5}, "tensorrt-rtx has no optimization level.*; leave out `optimization_level`"),
        ({"version_compatible": True}, "leave out `hardware_compatibility` and `version_compatible`"),
        ({"hardware_compatibility": "ampere_plus"}, "leave out `hardware_compatibility` and `version_compatible`"),
        ({"flavor": "tensorrt", "compute_capabilities": ("8.9",)}, "for the GPU of .*; use `flavor` tensorrt-rtx"),
    ],
)
def test_what_a_library_does_not_offer_here_is_refused(change, said, monkeypatch):
    monkeypatch.setattr(recipes, "hindrance", lambda: "no GPU is here")
    with pytest.raises(AdainError, match=said):
        check_recipe(replace(SMALL, **change))
