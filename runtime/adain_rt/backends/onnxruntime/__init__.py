"""ONNX Runtime, on CPUs and on GPUs."""
