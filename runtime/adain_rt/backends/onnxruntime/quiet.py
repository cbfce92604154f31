"""ONNX Runtime, imported so that it reports to nobody."""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else the import itself reports to Microsoft

import onnxruntime

onnxruntime.disable_telemetry_events()  # on Windows, which does not read the variable

__all__ = ["onnxruntime"]
