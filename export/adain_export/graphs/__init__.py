"""Work on ONNX graphs, without PyTorch."""
