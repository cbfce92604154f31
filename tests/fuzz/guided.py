"""Atheris: files that reach other branches of Python than those before. ``tests.fuzz`` runs this."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(
    include=["adain_rt.media", "adain_rt.style", "adain_rt.backends.tensorrt.manifest", "PIL"]
):
    from tests.fuzz.targets import TARGETS, probe

TARGET = TARGETS[sys.argv.pop(1)]


def read(data: bytes) -> None:
    probe(TARGET, data)


atheris.Setup(sys.argv, read)
atheris.Fuzz()
