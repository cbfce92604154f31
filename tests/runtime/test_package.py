"""What ``import adain_rt`` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import adain_rt


def test_every_public_name_is_there() -> None:
    for name in adain_rt.__all__:
        assert getattr(adain_rt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        adain_rt.nothing  # noqa: B018 - asking for it is the test


def test_the_version_is_the_installed_distributions() -> None:
    assert adain_rt.__version__ == version("adain-rt")


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys; old = set(sys.modules); import adain_rt; print(*sorted(set(sys.modules) - old))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    assert not {"numpy", "PIL", "onnxruntime", "torch", "click", "importlib.metadata"} & set(loaded)
    assert [name for name in loaded if name.startswith("adain_")] == ["adain_rt"]
