"""What the parts of the export load."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow  # the import contracts say the same at once
@pytest.mark.parametrize("package", ["adain_export.graphs", "adain_export.tensorrt"])
def test_work_on_graphs_and_engines_loads_no_torch(package):
    program = (
        "import sys, pkgutil, importlib;"
        f"package = importlib.import_module({package!r});"
        "names = [each.name for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.')];"
        "[importlib.import_module(name) for name in names];"
        "assert len(names) > 5;"
        "sys.exit(', '.join({'torch', 'onnxscript'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    assert (result.returncode, result.stderr) == (0, "")
