"""Latency on an NVIDIA GPU: engines, ONNX Runtime and PyTorch side by side, in one run.

Every case is timed twice. *The whole call* begins with uint8 pixels in the host's memory and ends with uint8 pixels
there; the style's code is known. *The GPU part* begins and ends with pixels in the GPU's memory, between two CUDA
events. Rounds are interleaved, each case once a round, so that drift of the machine meets all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adain_export.deploy import measure, renormalize
from adain_models import checkpoint
from adain_models.errors import AdainError
from adain_models.networks import Network
from adain_models.store import WEIGHTS_NAME
from adain_rt import backends
from adain_rt.backends import Settings
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.tensorrt.flavors import FLAVORS

__all__ = ["Case", "Eager", "cases", "interleaved"]

_WARM_UP_ROUNDS = 20
_BUSY_CYCLES = 10_000_000  # some milliseconds, more than the host takes to put the longest work on a stream


@dataclass
class Case:
    """One way to stylise a picture, ready to be timed.

    Attributes:
        name: what runs it, and how.
        whole: stylises the picture from the host's memory, and returns it there, uint8 (H, W, 3).
        on_gpu: stylises it in the GPU's memory, and returns the milliseconds between two events; ``None`` where what
            runs it does not let events in.
        whole_ms: of each round.
        gpu_ms: of each round.
        made: its last picture.
        failed: why it ended before the last round.

    """

    name: str
    whole: Callable[[], Pixels]
    on_gpu: Callable[[], float] | None
    whole_ms: list[float] = field(default_factory=list)
    gpu_ms: list[float] = field(default_factory=list)
    made: Pixels = field(default_factory=lambda: np.zeros(0, np.uint8))
    failed: Exception | None = None

    def time_once(self, *, keep: bool) -> None:
        """Time it both ways, and keep the times or not."""
        started = time.perf_counter()
        self.made = self.whole()
        whole_ms = (time.perf_counter() - started) * 1e3
        gpu_ms = self.on_gpu() if self.on_gpu else None
        if keep:
            self.whole_ms.append(whole_ms)
            self.gpu_ms += [] if gpu_ms is None else [gpu_ms]


class Eager(nn.Module):
    """The same work in PyTorch: convolutions in ``dtype`` and channels-last, AdaIN in float32."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        folded = network.for_bytes().to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoder, self.decoder = folded.encoder, folded.decoder

    def forward(self, image: Tensor, style_mean: Tensor, style_std: Tensor, strength: Tensor) -> Tensor:
        """Return uint8 (N, H, W, 3) of the same; codes are float32 (N, C), strengths (N,)."""
        features = self.encoder(image.permute(0, 3, 1, 2).to(self.dtype)).float()
        mean, centered, std = measure(features)
        style = style_mean[:, :, None, None], style_std[:, :, None, None]
        stylized = renormalize(centered, mean, std, *style, strength.reshape(-1, 1, 1, 1))
        decoded: Tensor = self.decoder(stylized.to(self.dtype))
        return decoded.float().permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8)


def cases(model: str, picture: Pixels, code: Style) -> Iterator[tuple[str, Case | AdainError]]:
    """Yield each case's name with the case, ready, or with why it cannot be run here.

    Args:
        model: a named model or a model directory.
        picture: uint8 (H, W, 3), H and W multiples of 8.
        code: of the style.

    """
    for name in (name for name, spec in backends.BACKENDS.items() if "fp16" in spec.waste):
        for precision in ("fp16", "fp32"):
            for graph in (True, False):
                label = f"{name} {precision}, CUDA graph {'on' if graph else 'off'}"
                yield label, _tried(partial(_engine, label, model, name, precision, picture, code, graph=graph))
    for compiled in (False, True):
        label = f"PyTorch {'compiled' if compiled else 'eager'} fp16, channels-last"
        yield label, _tried(partial(_pytorch, label, Stylizer(model).directory, picture, code, compiled=compiled))


def interleaved(ready: Sequence[Case], rounds: int) -> Iterator[int]:
    """Time every case once a round; yield the round's number. What the first rounds take is not kept.

    A case that fails is left out from then on, and says why.
    """
    for number in range(-_WARM_UP_ROUNDS, rounds):
        for case in ready:
            if case.failed is None:
                try:
                    case.time_once(keep=number >= 0)
                except Exception as error:  # of whatever library: the other cases go on
                    case.failed = error
        if number >= 0:
            yield number


def _tried(prepare: Callable[[], Case]) -> Case | AdainError:
    """Return a case that has made its picture both ways, or why it cannot."""
    try:
        case = prepare()
        case.whole()
        if case.on_gpu:
            case.on_gpu()
    except AdainError as error:
        return error
    except Exception as error:  # of whatever library: the other cases go on
        return AdainError((str(error).splitlines() or [""])[0] or type(error).__name__)
    return case


def _engine(label: str, model: str, backend: str, precision: str, picture: Pixels, code: Style, *, graph: bool) -> Case:
    stylizer = Stylizer(model, backends.choose(backend), precision, Settings(cuda_graph=graph))
    whole = partial(stylizer.stylize, picture, code)
    whole()
    return Case(label, whole, _OnDevice(stylizer, picture, code) if backend in FLAVORS else None)


class _OnDevice:
    """A picture in the GPU's memory, stylised there between two events."""

    def __init__(self, stylizer: Stylizer, picture: Pixels, code: Style) -> None:
        self._stylizer, self._code = stylizer, code
        self._content = torch.from_numpy(picture[None]).cuda()
        self._out = torch.empty_like(self._content)
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self) -> float:
        with torch.cuda.stream(self._stream):
            return _between_events(
                lambda: self._stylizer.stylize_on_device(
                    self._content, self._code, out=self._out, stream=self._stream.cuda_stream
                )
            )


def _pytorch(label: str, directory: Path, picture: Pixels, code: Style, *, compiled: bool) -> Case:
    module: Any = Eager(checkpoint.load(directory / WEIGHTS_NAME), torch.float16).cuda().eval()
    if compiled:
        module = torch.compile(module, mode="max-autotune")  # with CUDA graphs
    rest = [torch.from_numpy(vector[None]).cuda() for vector in (code.mean, code.std)] + [torch.ones(1).cuda()]
    resident = torch.from_numpy(picture[None]).cuda()

    @torch.inference_mode()
    def whole() -> Pixels:
        stylized: Pixels = module(torch.from_numpy(picture[None]).cuda(), *rest)[0].cpu().numpy()
        return stylized

    @torch.inference_mode()
    def on_gpu() -> float:
        return _between_events(lambda: module(resident, *rest))

    return Case(label, whole, on_gpu)


def _between_events(work: Callable[[], object]) -> float:
    """Return the milliseconds between two events around what is put on PyTorch's current stream.

    The GPU is kept busy before the first, so that it never waits for the host to put the work there.
    """
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda._sleep(_BUSY_CYCLES)  # type: ignore[no-untyped-call]
    start.record()
    work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))
