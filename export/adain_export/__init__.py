"""From PyTorch to what is deployed: ONNX graphs, int8 graphs and TensorRT engines."""
