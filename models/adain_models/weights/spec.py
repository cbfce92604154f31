"""The named models: what each is, and where its weights come from. This module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from adain_models.errors import AdainError

__all__ = ["DEFAULT_MODEL", "MODELS", "ModelSpec", "WeightsFile", "find"]


@dataclass(frozen=True)
class WeightsFile:
    """One file that somebody else publishes: its name, address, and the SHA-256 that it must have."""

    name: str
    url: str
    sha256: str


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be asked for by name.

    ``architecture`` names the network module; ``files`` are fetched and imported to make its weights, and
    are empty for a model that ships inside the package.
    """

    name: str
    architecture: str
    summary: str
    parameters: int
    licence: str
    files: tuple[WeightsFile, ...] = ()

    @property
    def bundled(self) -> bool:
        """Whether weights and graphs ship inside the package."""
        return not self.files


_PYTORCH_ADAIN = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0"

DEFAULT_MODEL = "lite"

MODELS = {
    model.name: model
    for model in (
        ModelSpec(
            name="lite",
            architecture="lite",
            summary="small residual network, made for CPUs; ships in the package",
            parameters=1_754_947,
            licence="Apache-2.0",
        ),
        ModelSpec(
            name="vgg19",
            architecture="vgg19",
            summary="the paper's network: VGG-19 up to relu4_1 and its mirrored decoder",
            parameters=7_010_959,
            licence="MIT (naoto0804/pytorch-AdaIN)",
            files=(
                WeightsFile(
                    name="vgg_normalised.pth",
                    url=f"{_PYTORCH_ADAIN}/vgg_normalised.pth",
                    sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
                ),
                WeightsFile(
                    name="decoder.pth",
                    url=f"{_PYTORCH_ADAIN}/decoder.pth",
                    sha256="379ca41d59f3a37eed3599bbbc2560c19da5c458870a5ffd3a9dd41aa88f9472",
                ),
            ),
        ),
    )
}


def find(name: str) -> ModelSpec:
    """Return the model of this name.

    Raises:
        AdainError: no model has it.

    """
    try:
        return MODELS[name]
    except KeyError:
        raise AdainError(f"model {name!r} is unknown: there are {', '.join(MODELS)}") from None
