"""What a recipe may ask of a library."""

from __future__ import annotations

from adain_models.errors import AdainError
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.cuda import hindrance

__all__ = ["check_recipe"]


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that its library does not offer, or not on a machine without a GPU.

    Raises:
        AdainError: the library does not offer it.

    """
    flavor = FLAVORS[recipe.flavor]
    if flavor.portable and (recipe.hardware_compatibility != "none" or recipe.version_compatible):
        raise AdainError(
            f"{flavor.name} builds engines for all GPUs of their compute capabilities, and for one version alone",
            hint="leave out `hardware_compatibility` and `version_compatible`",
        )
    if flavor.portable and recipe.optimization_level != Recipe.optimization_level:
        raise AdainError(
            f"{flavor.name} has no optimization level: its engines are finished on the GPU that runs them",
            hint="leave out `optimization_level`",
        )
    if recipe.compute_capabilities and not flavor.portable:
        raise AdainError(
            f"{flavor.name} builds for the GPU of this machine, not for compute capabilities",
            hint="use `flavor` tensorrt-rtx",
        )
    without_gpu = flavor.builds_without_gpu and recipe.weights == "included"
    if not without_gpu and (why := hindrance()) is not None:
        raise AdainError(
            f"{flavor.name} needs a GPU to build this engine, and cannot use one here ({why})",
            hint="use `weights` included" if flavor.builds_without_gpu else "use `flavor` tensorrt-rtx",
        )
