"""What people would use in our place: PyTorch, eager and compiled, Torch-TensorRT, and other packages.

Each is given its best settings: channels-last throughout, inference mode, on processors weights frozen into the
compiled code. AdaIN and what surrounds the convolutions is float32, as in our graphs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from adain_bench.contenders import gpu_events
from adain_bench.contenders.contender import Contender, Stylist
from adain_bench.contenders.packages import packages
from adain_models.adain import adain, blend, blend_codes, channel_statistics
from adain_models.networks.base import Network
from adain_models.weights import checkpoint, store
from adain_rt.contract import Pixels
from adain_rt.machine import cpu

__all__ = ["Eager", "PaddedByIndex", "pad_by_index", "peers", "use_fastest"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_SIZES = 64  # of pictures, batches and precisions, each compiled
_BF16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}

_MAX_AUTOTUNE: dict[str, str | int | bool | Callable[..., Any]] = {
    **torch._inductor.list_mode_options("max-autotune"),  # with CUDA graphs
    "max_autotune_conv_backends": "ATEN",  # Triton's may be wrong, and says nothing (PyTorch 2.11; its issue 173068)
}

Code = tuple[Tensor, Tensor]


class Eager(nn.Module):
    """The same work in PyTorch: convolutions in ``dtype`` and channels-last, AdaIN in float32."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        folded = network.for_bytes().to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoder, self.decoder = folded.encoder, folded.decoder

    def encode(self, image: Tensor) -> Code:
        """Return the channel means and deviations, float32 (N, C) each, of uint8 (N, H, W, 3)."""
        return channel_statistics(self._features(image))

    def forward(self, image: Tensor, style_mean: Tensor, style_std: Tensor, strength: Tensor) -> Tensor:
        """Return uint8 (N, H, W, 3) of the same; codes are float32 (N, C), strengths (N,)."""
        features = self._features(image)
        content = channel_statistics(features)
        stylized = blend(features, adain(features, style_mean, style_std, content), strength)
        codes = (
            blend_codes(own, wanted, strength)[..., None, None].to(self.dtype)
            for own, wanted in zip(content, (style_mean, style_std), strict=True)
        )
        decoded: Tensor = self.decoder(stylized.to(self.dtype), *codes)
        return decoded.float().permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8)

    def _features(self, image: Tensor) -> Tensor:
        features: Tensor = self.encoder(image.permute(0, 3, 1, 2).to(self.dtype)).float()
        return features


class PaddedByIndex(nn.Conv2d):
    """A convolution that pads by reading: x[..., rows, :][..., columns].

    Compiled for a GPU, a padding by reflection gives up channels-last (PyTorch 2.11; its issue 183770), and a read by
    index fuses with what is before it.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        margins = (int(margin) for margin in self.padding)
        rows, columns = (_read(length, margin, self.padding_mode, input.device)
                         for length, margin in zip(input.shape[2:], margins, strict=True))  # fmt: skip
        return nn.functional.conv2d(input[:, :, rows][:, :, :, columns], weight, bias, self.stride)


def _read(length: int, margin: int, mode: str, device: torch.device) -> Tensor:
    """Return the places that a padding reads along an axis: ``reflect`` or ``replicate``."""
    places = torch.arange(-margin, length + margin, device=device)
    if mode == "replicate":
        return places.clamp(0, length - 1)
    places = places.abs()
    return torch.where(places < length, places, 2 * length - 2 - places)


def pad_by_index(module: nn.Module) -> None:
    """Let all of a module's convolutions that pad by what is in the picture do it by index."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.padding_mode in {"reflect", "replicate"}:
            layer.__class__ = PaddedByIndex


class _PyTorch:
    """A module of ``Eager``'s functions on a device.

    Args:
        module: on the device.
        device: PyTorch's name of the device.
        compiler: compiles a function, or leaves it.

    """

    def __init__(self, module: Eager, device: str, compiler: Callable[[Any], Any]) -> None:
        self._device = device
        self._encode, self._stylize = compiler(module.encode), compiler(module.forward)

    @torch.inference_mode()
    def encode(self, painting: Pixels) -> Code:
        """Return the style's code, in memory of its own: a compiled function writes its next result over its last."""
        mean, std = self._encode(self._move(painting[None]))
        return mean.clone(), std.clone()

    @torch.inference_mode()
    def stylize(self, contents: Pixels, code: Code) -> Pixels:
        """Return pictures in a style."""
        stylized: Pixels = self._stylize(*self._inputs(contents, code)).cpu().numpy()
        return stylized

    def _inputs(self, contents: Pixels, code: Code) -> list[Tensor]:
        repeated = [vector.expand(len(contents), -1).contiguous() for vector in code]
        return [self._move(contents), *repeated, torch.ones(len(contents), device=self._device)]

    def _move(self, pictures: Pixels) -> Tensor:
        return torch.from_numpy(pictures).to(self._device)


class _PyTorchOnGpu(_PyTorch):
    """The same on a GPU."""

    def gpu_part(self, contents: Pixels, code: Code) -> Callable[[], float]:
        """Return what stylises pictures in the GPU's memory once, and returns the seconds between two CUDA events."""
        with torch.inference_mode():
            inputs = self._inputs(contents, code)

        @torch.inference_mode()
        def timed() -> float:
            return gpu_events.between_events(partial(self._stylize, *inputs))

        return timed


def peers(models: Sequence[str], precisions: Sequence[str] = (), threads: int | None = None) -> Iterator[Contender]:
    """Yield what can take our place, what cannot run here with the reason.

    Args:
        models: named models or model directories, which PyTorch runs from their weights.
        precisions: of those that PyTorch has on this device; none is all.
        threads: of the processor; ``None`` leaves it to the library.

    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    use_fastest(threads)
    facts = {"on": "the GPU"} if device == "cuda" else {}
    for model in models:
        name = store.model_name(model)
        for precision in ("fp32", "fp16") if device == "cuda" else ("fp32", "bf16"):
            if precision not in (precisions or _DTYPES):
                continue
            for backend, (compiler, hindrance) in _compilers(device).items():
                params = {"model": name, "backend": backend, "precision": precision}
                by_index = device == "cuda" and backend == "pytorch-compiled"
                make = partial(_pytorch, model, _DTYPES[precision], device, compiler, by_index=by_index)
                yield Contender(params, make, hindrance or _hindrance(model, precision, device), facts)
    yield from packages(threads)


def use_fastest(threads: int | None) -> None:
    """Let PyTorch compute as fast as it can with the results that are asked for: fp32 without TF32.

    Args:
        threads: of the processor; ``None`` leaves it to PyTorch.

    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False  # by the older of two ways to say so: the compiler refuses a mixture
    if threads:
        torch.set_num_threads(threads)


def _compilers(device: str) -> dict[str, tuple[Callable[[Any], Any], str | None]]:
    """Return what runs a function of PyTorch, each with why it cannot here."""
    there = device == "cuda" and find_spec("torch_tensorrt") is not None
    return {
        "pytorch-eager": (lambda function: function, None),
        "pytorch-compiled": (partial(_compile, device), None),
        "torch-tensorrt": (_compile_by_tensorrt, None if there else "needs a GPU, and pip install torch-tensorrt"),
    }


def _compile(device: str, function: Any) -> Any:
    """Compile a function for each size by itself; it fails where PyTorch would give up and run it as it is."""
    torch._dynamo.config.recompile_limit = _SIZES
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    if device == "cuda":
        warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)  # fp32 means it
        return torch.compile(function, dynamic=False, options=_MAX_AUTOTUNE)
    return torch.compile(function, dynamic=False, options={"freezing": True})


def _compile_by_tensorrt(function: Any) -> Any:
    import torch_tensorrt  # noqa: F401 - makes itself known to torch.compile

    return torch.compile(function, backend="torch_tensorrt", options={"use_explicit_typing": True})


def _hindrance(model: str, precision: str, device: str) -> str | None:
    if not (store.model_dir(model) / store.WEIGHTS_NAME).is_file():
        return f"{store.model_name(model)} has no weights"
    if precision == "bf16" and device == "cpu" and _BF16_INSTRUCTIONS.isdisjoint(cpu.instructions()):
        return "the processor has no instructions for bf16"
    return None


def _pytorch(model: str, dtype: torch.dtype, device: str, compiler: Callable[[Any], Any], *, by_index: bool) -> Stylist:
    network = checkpoint.load(store.model_dir(model) / store.WEIGHTS_NAME)
    module = Eager(network, dtype).eval().requires_grad_(requires_grad=False).to(device)
    if by_index:
        pad_by_index(module)
    return (_PyTorchOnGpu if device == "cuda" else _PyTorch)(module, device, compiler)
