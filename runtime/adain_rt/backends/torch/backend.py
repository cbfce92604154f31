"""PyTorch on NVIDIA GPUs: no engines and nothing to build, for where no TensorRT is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from adain_models.errors import AdainError
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt.backends import Settings
from adain_rt.backends.base import UnusableBackend, check_there
from adain_rt.backends.lanes import LaneBackend
from adain_rt.backends.onnxruntime.cpu import open_session, quiet_options
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.backends.plans import Capturing, Lane, NoRoom, Plan, Request
from adain_rt.contract import GRAPHS, MIN_SIDE, MULTIPLE, TensorSpec, graph_file
from adain_rt.cuda import Copy, Cuda, open_cuda
from adain_rt.cuda.owners import DeviceBuffer

try:
    import torch
except Exception as error:  # of its shared libraries, each release in its own way
    raise UnusableBackend(f"PyTorch cannot be loaded ({(str(error).splitlines() or [''])[0]})") from None

from adain_models.weights import checkpoint
from adain_rt.backends.torch.network import FusedNetwork

__all__ = ["TorchBackend", "TorchLane"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16}

_TRIALS = 4
"""How many of cuDNN's kernels are tried for a convolution of a new size.

On an H200, of vgg19 at 512x512, 4 gain 3.4 % over its own advice, and 10 another per cent.
"""

_COMPUTING = RLock()
"""Held while work is put on a stream other than by a replay: PyTorch captures one graph at a time in a process, and
its settings of cuDNN are the process's."""


class TorchBackend(LaneBackend["TorchLane"]):
    """The network in PyTorch, convolutions by cuDNN, each with its weights in the GPU's memory once.

    Args:
        directory: the folder of the model, its weights and graphs; of the graphs only what they tell is read.
        precision: ``fp32`` or ``fp16``.
        settings: of which the CUDA graph counts.

    Raises:
        UnusableBackend: PyTorch sees no GPU, or there is none.

    """

    device = "cuda"

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        cuda = self._opened()
        super().__init__("torch", cuda, Capturing(cuda, wanted=settings.cuda_graph))
        self._directory = directory
        self._precision = precision
        self._metadata: dict[str, Mapping[str, str]] = {}
        self._network: FusedNetwork | None = None
        self._opening = Lock()

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        with self._opening:
            if graph not in self._metadata:
                self._metadata[graph] = _told(self._directory / graph_file(graph), graph)
            return self._metadata[graph]

    def _opened(self) -> Cuda:
        """Return the GPU, without which there is no use in the backend."""
        if not torch.cuda.is_available():
            raise UnusableBackend(f"the PyTorch here ({torch.__version__}) sees no GPU")
        try:
            return open_cuda()
        except AdainError as error:
            raise UnusableBackend(str(error)) from None

    def _new_lane(self) -> TorchLane:
        return TorchLane(self._cuda)

    def _plan(self, lane: TorchLane, request: Request) -> _TorchPlan:
        plan = lane.find(request)
        if plan is not None:
            return plan
        network = self._loaded()
        shapes = _shapes(request, network.channels)
        bytes_per_pixel = int(self.metadata(request.graph)["bytes_per_pixel"])
        count, height, width, _ = request.shapes[0]
        halved = 2 if self._precision == "fp16" else 1
        return lane.keep(_TorchPlan(lane, network, request, shapes, count * height * width * bytes_per_pixel // halved))

    def _loaded(self) -> FusedNetwork:
        with self._opening:
            if self._network is None:
                network = checkpoint.load(self._directory / WEIGHTS_NAME)
                self._network = FusedNetwork(network, _DTYPES[self._precision], self.device)
            return self._network


class TorchLane(Lane["_TorchPlan"]):
    """A lane whose stream is PyTorch's current one while it computes, and whose graphs share one pool of memory."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda)
        self._stream = torch.cuda.ExternalStream(self.stream.handle, device=0)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def compute(self, work: Callable[[], None]) -> None:
        """Put work on the stream, with cuDNN choosing by trial and fp32 meaning it."""
        with _COMPUTING, torch.inference_mode(), torch.cuda.stream(self._stream), _cudnn():
            work()

    def capture(self, work: Callable[[], None]) -> _TorchGraph:
        """Return the graph of what ``work`` puts on the stream."""
        work()  # in this thread: what another found out of cuDNN is not known here, and is not asked while capturing
        graph = torch.cuda.CUDAGraph()
        options: dict[str, Any] = {"pool": self._pool, "stream": self._stream, "capture_error_mode": "thread_local"}
        try:
            with _COMPUTING, torch.cuda.graph(graph, **options):
                work()
        except RuntimeError as error:
            raise AdainError((str(error).splitlines() or [type(error).__name__])[0]) from None
        return _TorchGraph(graph)

    def launch(self, graph: _TorchGraph) -> None:
        """Put a graph on the stream."""
        with torch.cuda.stream(self._stream):
            graph.replay()

    def clear(self) -> None:
        """Free all memory on the GPU, PyTorch's that nobody uses as well."""
        super().clear()
        torch.cuda.empty_cache()

    def tensor(self, spec: TensorSpec, shape: tuple[int, ...], address: int) -> torch.Tensor:
        """Return the tensor that is at an address on the GPU."""
        return torch.as_tensor(_At(spec, shape, address), device="cuda")


class _TorchGraph:
    """A CUDA graph of PyTorch's."""

    def __init__(self, graph: torch.cuda.CUDAGraph) -> None:
        self.replay = graph.replay
        self.close = graph.reset


class _At:
    """Memory on the GPU that is somebody else's."""

    def __init__(self, spec: TensorSpec, shape: tuple[int, ...], address: int) -> None:
        typestr = {"uint8": "|u1", "float32": "<f4"}[spec.dtype]
        self.__cuda_array_interface__ = {
            "shape": shape, "typestr": typestr, "data": (address, False), "strides": None, "version": 2
        }  # fmt: skip


class _TorchPlan(Plan):
    """The network for one size.

    Arrays on the GPU are worked on where they are, as long as they are where they were. Once they are not, they are
    copied on the GPU from then on, so that what is captured can stay: uncaptured, the work waits for the processor.
    """

    def __init__(
        self,
        lane: TorchLane,
        network: FusedNetwork,
        request: Request,
        shapes: Mapping[str, tuple[int, ...]],
        scratch_bytes: int,
    ) -> None:
        spec = GRAPHS[request.graph]
        self._torch_lane = lane
        self._network = network
        self._specs = {tensor.name: tensor for tensor in (*spec.inputs, *spec.outputs)}
        self._tensors: dict[str, torch.Tensor] = {}
        self._copies: dict[str, DeviceBuffer] = {}
        self._elsewhere: Mapping[str, int] = {}
        super().__init__(lane, request, shapes, scratch_bytes)

    def prepare(self) -> None:
        """Do nothing: memory is PyTorch's."""

    def place(self, name: str, address: int) -> None:
        """Let a tensor be at this address from the next run on."""
        self._tensors[name] = self._torch_lane.tensor(self._specs[name], self.shapes[name], address)

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Let the other tensors be at these addresses in the next run."""
        if not self._copies and self._elsewhere and addresses != self._elsewhere:
            sizes = {name: self._bytes(self._specs[name]) for name in addresses}
            self._copies = {name: DeviceBuffer(self.lane.cuda, nbytes) for name, nbytes in sizes.items()}
            super().bind({name: buffer.handle for name, buffer in self._copies.items()})
        elif not self._copies:
            super().bind(addresses)
        self._elsewhere = dict(addresses)

    def launch(self, capturing: Capturing) -> None:
        """Put the work on the lane's stream."""
        copies = [(self._elsewhere[name], buffer, name) for name, buffer in self._copies.items()]
        written = {tensor.name for tensor in GRAPHS[self.request.graph].outputs}
        for address, buffer, name in copies:
            if name not in written:
                self.lane.stream.copy(buffer.handle, address, buffer.nbytes, Copy.ON_DEVICE)
        super().launch(capturing)
        for address, buffer, name in copies:
            if name in written:
                self.lane.stream.copy(address, buffer.handle, buffer.nbytes, Copy.ON_DEVICE)

    def close(self) -> None:
        """Free what is its own; the stream must have been waited for."""
        super().close()
        for buffer in self._copies.values():
            buffer.close()

    def compute(self) -> None:
        """Put the network's work on the lane's stream."""
        try:
            self._torch_lane.compute(lambda: self._network.run(self.request.graph, self._tensors, self._tensors))
        except torch.OutOfMemoryError:
            raise NoRoom(self.needed) from None
        except RuntimeError as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise AdainError(f"the graph {self.request.graph} failed in PyTorch ({said})") from None


def _told(path: Path, graph: str) -> Mapping[str, str]:
    """Return what a graph's file tells of it; its nodes are left as they are."""
    check_there(path)
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = open_session(path, graph, path, options, ["CPUExecutionProvider"])
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    return metadata


def _shapes(request: Request, channels: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors.

    Raises:
        AdainError: the network does not take such.

    """
    spec = GRAPHS[request.graph]
    sizes: dict[Any, int] = {"C": channels}
    for tensor, shape in zip(spec.inputs, request.shapes, strict=True):
        sizes |= dict(zip(tensor.shape, shape, strict=True))
    if sizes["C"] != channels:
        raise AdainError(f"the graph {request.graph} has {channels} channels, and the style {sizes['C']}")
    sides = (sizes["H"], sizes["W"])
    if min(sides) < MIN_SIDE or any(side % MULTIPLE for side in sides):
        raise AdainError(
            f"the graph {request.graph} takes sides that are multiples of {MULTIPLE} and at least {MIN_SIDE}, "
            f"not {sides[1]}x{sides[0]} pixels"
        )
    return {
        tensor.name: tuple(size if isinstance(size, int) else sizes[size] for size in tensor.shape)
        for tensor in (*spec.inputs, *spec.outputs)
    }


def _cudnn() -> AbstractContextManager[None]:
    """Let cuDNN compute float32 as such, in the fastest of some trials."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=True, benchmark_limit=_TRIALS, deterministic=False, allow_tf32=False
    )
