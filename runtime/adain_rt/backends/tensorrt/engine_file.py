"""An engine on disk: its file, its manifest, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_models.weights import store
from adain_rt.backends.tensorrt.manifest import Manifest
from adain_rt.cuda import Gpu

__all__ = ["EngineFile", "engines_dir", "gpu_label"]


@dataclass(frozen=True)
class EngineFile:
    """An engine on disk, with its manifest.

    Attributes:
        path: the engine's file.
        manifest: what describes it.
        trust: whether to take its bytes without comparing them with the manifest.

    """

    path: Path
    manifest: Manifest
    trust: bool

    def __hash__(self) -> int:
        """Count one file as one engine."""
        return hash((self.path, self.manifest.engine_sha256))

    def read(self) -> bytes:
        """Return the engine.

        Raises:
            AdainError: the file cannot be read, or the manifest does not describe its bytes.

        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise AdainError(
                f"{self.path}: the engine cannot be read ({explain(error)})", hint="build it again"
            ) from None
        if not self.trust and sha256(content).hexdigest() != self.manifest.engine_sha256:
            raise AdainError(
                f"{self.path}: is not the engine that its manifest describes",
                hint="build it again, or set `trust_engines` if you know where it comes from",
            )
        return content

    def is_whole(self) -> bool:
        """Whether the file can be read and the manifest describes its bytes."""
        try:
            self.read()
        except AdainError:
            return False
        return True


def engines_dir() -> Path:
    """Return the folder of the cache in which engines are built and looked for."""
    return store.cache_dir() / "engines"


def gpu_label(gpu: Gpu) -> str:
    """Return how a manifest names a GPU."""
    return f"{gpu.name} ({gpu.compute_capability})"
