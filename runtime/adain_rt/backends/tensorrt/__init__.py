"""What TensorRT needs beside the graphs: which of its two libraries, for which sizes, and the engines on disk."""
