"""PyTorch on NVIDIA GPUs, for machines without TensorRT: it needs no engines and builds nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from adain_models.errors import AdainError
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt.backends.base import Settings
from adain_rt.backends.lanes import LaneBackend
from adain_rt.backends.onnxruntime.sessions import read_file_facts
from adain_rt.backends.plans import Capturing, Lane, NoRoom, Plan, Request
from adain_rt.contract import GRAPHS, MIN_SIDE, MULTIPLE, GraphFacts, TensorSpec, graph_file
from adain_rt.cuda import Copy, Cuda, open_cuda
from adain_rt.cuda.owners import DeviceBuffer
from adain_rt.errors import UnusableBackend

try:
    import torch
except Exception as error:  # its shared libraries fail in many ways
    raise UnusableBackend(f"PyTorch cannot be loaded ({(str(error).splitlines() or [''])[0]})") from None

from adain_models.weights import checkpoint
from adain_rt.backends.torch.network import FusedNetwork

__all__ = ["TorchBackend", "TorchLane"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16}

_TRIALS = 4
"""How many of cuDNN's kernels are tried for a convolution of a new size.

For vgg19 at 512x512 on an H200, 4 trials gain 3.4 % over cuDNN's own advice, and 10 trials one per cent more.
"""

_COMPUTING = RLock()
"""Held while work is put on a stream other than by a replay.

PyTorch captures one graph at a time in a process, and its settings of cuDNN are the process's.
"""


class TorchBackend(LaneBackend["TorchLane"]):
    """Runs the network in PyTorch, with convolutions by cuDNN; the weights are in the GPU's memory once.

    Args:
        directory: the model's folder, with its weights and graphs; of the graphs only the metadata is read.
        precision: ``fp32`` or ``fp16``.
        settings: of these, whether to use CUDA graphs.

    Raises:
        UnusableBackend: there is no GPU, or PyTorch does not see it.

    """

    device = "cuda"

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        cuda = self._find_gpu()
        super().__init__("torch", cuda, Capturing(cuda, wanted=settings.cuda_graph))
        self._directory = directory
        self._precision = precision
        self._facts: dict[str, GraphFacts] = {}
        self._network: FusedNetwork | None = None
        self._opening = Lock()

    def open(self, graph: str) -> None:
        """Load the network, which is one for all graphs; see ``Backend.open``."""
        self.facts(graph)
        self._load_network()

    def facts(self, graph: str) -> GraphFacts:
        """Return a graph's facts; see ``Backend.facts``."""
        with self._opening:
            if graph not in self._facts:
                self._facts[graph] = read_file_facts(self._directory / graph_file(graph), graph)
            return self._facts[graph]

    def close(self) -> None:
        """Free the lanes and the network; see ``Backend.close``."""
        with self._opening:
            self._network = None
        super().close()

    def _find_gpu(self) -> Cuda:
        """Return the GPU, without which the backend is unusable."""
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
        network = self._load_network()
        sizes = {"C": network.channels} | request.sizes
        _check_sizes(request.graph, sizes, network.channels)
        pixels = sizes["N"] * sizes["H"] * sizes["W"]
        halved = 2 if self._precision == "fp16" else 1
        scratch_bytes = pixels * (self.facts(request.graph).bytes_per_pixel or 0) // halved
        return lane.keep(_TorchPlan(lane, network, request, sizes, scratch_bytes))

    def _load_network(self) -> FusedNetwork:
        with self._opening:
            if self._network is None:
                network = checkpoint.load(self._directory / WEIGHTS_NAME)
                self._network = FusedNetwork(network, _DTYPES[self._precision], self.device)
            return self._network


class TorchLane(Lane["_TorchPlan"]):
    """A lane whose stream is PyTorch's current stream while it computes; its graphs share one pool of memory."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda)
        self._stream = torch.cuda.ExternalStream(self.stream.handle, device=0)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def compute(self, work: Callable[[], None]) -> None:
        """Put work on the stream; cuDNN chooses its kernels by trial, and does not round fp32 to TF32."""
        with _COMPUTING, torch.inference_mode(), torch.cuda.stream(self._stream), _set_cudnn():
            work()

    def capture(self, work: Callable[[], None]) -> _TorchGraph:
        """Return the graph of what ``work`` puts on the stream."""
        work()  # cuDNN's choices are each thread's own, and cannot be made during a capture
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
        """Free all memory on the GPU, and what PyTorch keeps unused."""
        super().clear()
        torch.cuda.empty_cache()

    def tensor(self, spec: TensorSpec, shape: tuple[int, ...], address: int) -> torch.Tensor:
        """Return the tensor at an address on the GPU."""
        return torch.as_tensor(_At(spec, shape, address), device="cuda")


class _TorchGraph:
    """A CUDA graph that PyTorch captured."""

    def __init__(self, graph: torch.cuda.CUDAGraph) -> None:
        self.replay = graph.replay
        self.close = graph.reset


class _At:
    """Memory on the GPU that PyTorch does not own."""

    def __init__(self, spec: TensorSpec, shape: tuple[int, ...], address: int) -> None:
        typestr = {"uint8": "|u1", "float32": "<f4"}[spec.dtype]
        self.__cuda_array_interface__ = {
            "shape": shape, "typestr": typestr, "data": (address, False), "strides": None, "version": 2
        }  # fmt: skip


class _TorchPlan(Plan):
    """The network prepared for one size.

    The caller's arrays on the GPU are used in place as long as their addresses stay the same. Once they change, the
    arrays are copied on the GPU from then on, so that the captured graph stays valid: without it, the GPU waits for the
    processor.
    """

    def __init__(
        self,
        lane: TorchLane,
        network: FusedNetwork,
        request: Request,
        sizes: Mapping[str, int],
        scratch_bytes: int,
    ) -> None:
        spec = GRAPHS[request.graph]
        self._torch_lane = lane
        self._network = network
        self._specs = {tensor.name: tensor for tensor in (*spec.inputs, *spec.outputs)}
        self._tensors: dict[str, torch.Tensor] = {}
        self._copies: dict[str, DeviceBuffer] = {}
        self._elsewhere: Mapping[str, int] = {}
        shapes = {name: tensor.sized(sizes) for name, tensor in self._specs.items()}
        super().__init__(lane, request, shapes, scratch_bytes)

    def prepare(self) -> None:
        """Do nothing: PyTorch manages the memory."""

    def place(self, name: str, address: int) -> None:
        """Set the address of a tensor from the next run on."""
        self._tensors[name] = self._torch_lane.tensor(self._specs[name], self.shapes[name], address)

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Set the addresses of the caller's tensors for the next run."""
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
        """Free what the plan owns; the stream must be idle."""
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
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise AdainError(f"the graph {self.request.graph} failed in PyTorch ({line})") from None


def _check_sizes(graph: str, sizes: Mapping[str, int], channels: int) -> None:
    """Refuse sizes that the network does not take."""
    if sizes["C"] != channels:
        raise AdainError(f"the graph {graph} has {channels} channels, and the style {sizes['C']}")
    height, width = sizes["H"], sizes["W"]
    if min(height, width) < MIN_SIDE or height % MULTIPLE or width % MULTIPLE:
        raise AdainError(
            f"the graph {graph} takes sides that are multiples of {MULTIPLE} and at least {MIN_SIDE}, "
            f"not {width}x{height} pixels"
        )


def _set_cudnn() -> AbstractContextManager[None]:
    """Let cuDNN choose the fastest of some kernels, and compute float32 without TF32."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=True, benchmark_limit=_TRIALS, deterministic=False, allow_tf32=False
    )
