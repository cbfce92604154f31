"""PyTorch to ONNX: the only part of the export that imports PyTorch."""
