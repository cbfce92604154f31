"""Writing files so that none is ever left half-written, and reading and hashing them. This module imports no torch."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from adain_models.errors import AdainError

__all__ = ["explain", "read_safetensors", "replacing", "sha256_of"]


def explain(error: Exception) -> str:
    """Return the system's text of an error, without its number and path, such as ``No space left on device``."""
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write beside ``path``; rename it onto ``path`` if the block succeeds.

    If the block fails, the file aside is removed and ``path`` is as it was. Missing folders are made.

    Raises:
        AdainError: the system refuses, at any step (no such folder, no permission, no space), be it with an
            ``OSError`` or with what safetensors makes of one.

    """
    aside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.touch(exist_ok=False)
        mode = aside.stat().st_mode  # what the user's umask gives; some libraries write files that only the owner reads
        yield aside
        aside.chmod(mode)
        aside.replace(path)
    except (FileExistsError, NotADirectoryError):
        raise AdainError(f"{path}: cannot be written (a file stands where a folder is needed)") from None
    except (OSError, SafetensorError) as error:
        raise AdainError(f"{path}: cannot be written ({explain(error)})") from error
    finally:
        with suppress(OSError):  # it is renamed, or could not even be made
            aside.unlink()


def read_safetensors(path: Path, framework: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and its metadata.

    Args:
        path: the file.
        framework: whose arrays the tensors are: ``numpy``, or ``pt`` for PyTorch.

    Raises:
        AdainError: the file is missing, or damaged.

    """
    try:
        with safe_open(path, framework=framework) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise AdainError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError) as error:
        raise AdainError(f"{path}: is not a safetensors file, or is damaged ({error})") from None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
