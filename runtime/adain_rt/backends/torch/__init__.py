"""A network in PyTorch, made for a GPU: convolutions that cuDNN fuses, and one kernel between two of them."""
