"""Why a backend cannot run here, each found out quickly: no library is loaded that is not needed."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec

__all__ = ["onnxruntime_gpu", "onnxruntime_rtx", "package", "pytorch", "tensorrt"]


def package(name: str, install: str) -> str | None:
    """Say that a package is not installed, and how it would be."""
    return None if find_spec(name) else f"not installed: {install}"


def pytorch() -> str | None:
    """Say that PyTorch is not installed, or not for GPUs, or that there is no GPU."""
    from adain_rt import cuda

    if missing := package("torch", "pip install 'adain-rt[torch]'"):
        return missing
    with suppress(PackageNotFoundError):  # a build of one's own, say
        if "+cpu" in version("torch"):
            return f"the PyTorch here ({version('torch')}) is not for GPUs"
    return cuda.hindrance()


def tensorrt(flavor: str) -> str | None:
    """Say that a TensorRT is not installed, or that there is no GPU."""
    from adain_rt import cuda
    from adain_rt.backends.tensorrt.flavors import FLAVORS

    return cuda.hindrance() if FLAVORS[flavor].installed else f"not installed: {FLAVORS[flavor].install}"


def onnxruntime_rtx() -> str | None:
    """Say that ONNX Runtime's TensorRT-RTX provider, a plugin, is not installed, or that there is no GPU."""
    from adain_rt import cuda

    install = "pip install onnxruntime-ep-nv-tensorrt-rtx"
    return package("onnxruntime_ep_nv_tensorrt_rtx", install) or cuda.hindrance()


def onnxruntime_gpu(provider: str) -> str | None:
    """Say that ONNX Runtime is not the one for GPUs, that it lacks a provider, or that there is no GPU."""
    from adain_rt import cuda

    try:
        distribution("onnxruntime-gpu")
    except PackageNotFoundError:
        return "not installed: pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
    from adain_rt.backends.onnxruntime.quiet import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        return f"the ONNX Runtime here has no {provider}"
    return cuda.hindrance()
