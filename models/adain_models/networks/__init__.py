"""The networks: one interface, two topologies."""

from __future__ import annotations

from adain_models.errors import AdainError
from adain_models.networks.base import Network
from adain_models.networks.lite import Lite
from adain_models.networks.vgg19 import Vgg19

__all__ = ["NETWORKS", "find"]

NETWORKS: dict[str, type[Network]] = {network.architecture: network for network in (Lite, Vgg19)}
"""Every topology by the name of its architecture."""


def find(architecture: str) -> type[Network]:
    """Return the class of this architecture.

    Raises:
        AdainError: no architecture has this name.

    """
    if architecture not in NETWORKS:
        raise AdainError(f"architecture {architecture!r} is unknown: there are {', '.join(NETWORKS)}")
    return NETWORKS[architecture]
