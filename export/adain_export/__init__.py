"""From PyTorch to what is deployed: ONNX graphs now."""
