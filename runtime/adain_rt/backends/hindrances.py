"""Why a backend cannot run here. The checks are quick: they load no library that they do not need."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

__all__ = ["check_onnxruntime_gpu", "check_onnxruntime_rtx", "check_package", "check_pytorch", "check_tensorrt"]


def check_package(name: str, install: str) -> str | None:
    """Return how to install a package if it is missing."""
    return None if find_spec(name) else f"not installed: {install}"


def check_pytorch() -> str | None:
    """Return a reason if PyTorch is missing or not for GPUs, or there is no GPU."""
    from adain_rt import cuda

    if missing := check_package("torch", "pip install 'adain-rt[torch]'"):
        return missing
    from importlib.metadata import PackageNotFoundError, version

    with suppress(PackageNotFoundError):  # such as a build from source
        if "+cpu" in version("torch"):
            return f"the PyTorch here ({version('torch')}) is not for GPUs"
    return cuda.hindrance()


def check_tensorrt(flavor: str) -> str | None:
    """Return a reason if a TensorRT is missing, or there is no GPU."""
    from adain_rt import cuda
    from adain_rt.backends.tensorrt.flavors import FLAVORS

    return cuda.hindrance() if FLAVORS[flavor].installed else f"not installed: {FLAVORS[flavor].install}"


def check_onnxruntime_rtx() -> str | None:
    """Return a reason if ONNX Runtime's TensorRT-RTX provider, a plugin, is missing, or there is no GPU."""
    from adain_rt import cuda

    install = "pip install onnxruntime-ep-nv-tensorrt-rtx"
    return check_package("onnxruntime_ep_nv_tensorrt_rtx", install) or cuda.hindrance()


def check_onnxruntime_gpu(provider: str) -> str | None:
    """Return a reason if ONNX Runtime is not the one for GPUs, has no such provider, or there is no GPU."""
    from adain_rt import cuda

    if not _has_gpu_libraries():
        return "not installed: pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
    from adain_rt.backends.onnxruntime.quiet import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        return f"the ONNX Runtime here has no {provider}"
    return cuda.hindrance()


def _has_gpu_libraries() -> bool:
    """Whether ONNX Runtime has its library for CUDA beside it. Every package of it for GPUs has, whatever its name."""
    spec = find_spec("onnxruntime")
    return spec is not None and spec.origin is not None and any(Path(spec.origin).parent.glob("capi/*providers_cuda*"))
