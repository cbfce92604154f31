"""Building TensorRT engines, without PyTorch."""
