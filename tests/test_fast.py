"""The fast tests stay there, and stay apart from PyTorch, also where nobody runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_fast_tests_are_found_without_the_packages_that_they_leave_out() -> None:
    command = [sys.executable, "-m", "pytest", "--fast", "--collect-only", "-q", "-p", "no:cacheprovider"]
    found = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)  # noqa: S603
    assert found.returncode == 0, found.stdout
    assert found.stdout.count("::") > 500
