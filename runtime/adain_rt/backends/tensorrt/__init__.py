"""TensorRT in its two libraries: the backend, the engines on disk, and the sizes that they are for."""
