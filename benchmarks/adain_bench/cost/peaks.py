"""What this machine can do at best: the highest rates of arithmetic and of copying that any library reaches here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from adain_models.errors import AdainError

__all__ = ["Peak", "Peaks", "measure_cpu", "measure_cuda", "rates"]

_LEAST_CALLS = 5

_WIDTHS = (128, 256)  # a call takes about a millisecond: short enough to fit between a busy machine's interruptions
_SIDE = 32
_MATRICES = (512, 768)

_COPIED = 64 << 20
_COPIED_CUDA = 1 << 30
_MATRIX_CUDA = 8192
_CALLS_CUDA = 30
_CUDA_PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class Peak:
    """The highest rate that was reached: operations or bytes a second, and what reached it."""

    rate: float
    runner: str


@dataclass(frozen=True)
class Peaks:
    """What a device can do.

    Attributes:
        compute: operations a second in each precision, a multiply-add being two.
        copy: bytes a second of a copy larger than the caches, those read and those written.

    """

    compute: Mapping[str, Peak]
    copy: Peak


@dataclass(frozen=True)
class _Work:
    """One way to reach a rate: what runs, and how many operations or bytes each call is."""

    runner: str
    amount: int
    run: Callable[[], object]


def measure_cpu(threads: int, seconds: float = 0.4) -> Peaks:
    """Return what the processor can do, in five to ten seconds.

    Candidates are a 3x3 convolution in ONNX Runtime and OpenVINO, under the settings that ship but for the graph, and a
    matrix product in PyTorch, in two sizes each; the best counts. Libraries that are not installed are left out. A
    convolution is as good a candidate as a matrix product, being one inside. In int8 all of them multiply 8-bit numbers
    and add up in 32 bits, with VNNI or AMX where the processor has them.

    It is done in a process of its own: so many libraries with their threads are nothing to leave behind in this one.

    Args:
        threads: as many as the benchmark's.
        seconds: for each way to reach a rate, of which there are up to six.

    Raises:
        AdainError: the process failed.

    """
    command = [sys.executable, "-m", "adain_bench.cost.peaks", str(threads), str(seconds)]
    environment = os.environ | {"PYTHONSAFEPATH": "1"}  # modules of this name that lie about are not meant
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if ended.returncode:
        why = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise AdainError(f"the processor's rates could not be measured ({why})")
    told = json.loads(ended.stdout.splitlines()[-1])
    compute = {precision: Peak(**peak) for precision, peak in told["compute"].items()}
    return Peaks(compute=compute, copy=Peak(**told["copy"]))


def rates(threads: int, seconds: float) -> Peaks:
    """Return the same, measured in this process."""
    ways: dict[str, list[_Work]] = {}
    with _torch_threads(threads):
        for precision, work in _cpu_works(threads):
            ways.setdefault(precision, []).append(work)
        compute = {precision: _best(works, seconds) for precision, works in ways.items()}
        return Peaks(compute=compute, copy=_best(list(_cpu_copies()), seconds))


def _best(works: list[_Work], seconds: float) -> Peak:
    """Return the highest rate of several ways, each of which runs for a while."""
    peaks = [Peak(work.amount / _least_seconds(work.run, seconds), work.runner) for work in works]
    return max(peaks, key=lambda peak: peak.rate)


def _least_seconds(run: Callable[[], object], seconds: float) -> float:
    """Return the shortest of many calls."""
    run()
    least, calls, end = float("inf"), 0, time.perf_counter() + seconds
    while calls < _LEAST_CALLS or time.perf_counter() < end:
        started = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - started)
        calls += 1
    return least


def _cpu_works(threads: int) -> Iterator[tuple[str, _Work]]:
    """Yield each way to reach a rate on the processor, and its precision."""
    batch = max(1, threads // 2)
    for width in _WIDTHS:
        plain, quantized = (_convolution(width, batch, quantized=quantized) for quantized in (False, True))
        yield "fp32", _in_onnxruntime(plain, width, batch, threads)
        yield "int8", _in_onnxruntime(quantized, width, batch, threads)
        if find_spec("openvino"):
            from adain_rt.backends.openvino import has_bf16

            yield "fp32", _in_openvino(plain, width, batch, threads, "f32")
            yield "int8", _in_openvino(quantized, width, batch, threads, "f32")
            if has_bf16():
                yield "bf16", _in_openvino(plain, width, batch, threads, "bf16")
    if find_spec("torch"):
        for side in _MATRICES:
            yield from _in_torch(side, batch)


def _cpu_copies() -> Iterator[_Work]:
    """Yield each way to copy; two pairs of buffers take turns, so that the caches hold neither when it comes again."""
    buffers = np.ones((4, _COPIED), np.uint8)
    yield _Work("NumPy, a copy", 2 * _COPIED, _take_turns(np.copyto, buffers))
    if find_spec("torch"):
        import torch

        yield _Work("PyTorch, a copy", 2 * _COPIED, _take_turns(torch.Tensor.copy_, torch.from_numpy(buffers)))


def _take_turns(copy: Callable[[Any, Any], object], buffers: Any) -> Callable[[], object]:
    turns = cycle([(buffers[0], buffers[1]), (buffers[2], buffers[3])])
    return lambda: copy(*next(turns))


def _convolution(width: int, batch: int, *, quantized: bool) -> bytes:
    """Return a model of one 3x3 convolution, and of a mean that leaves little to copy out.

    Activations are uint8 if they are quantised, which every library has fast kernels for.
    """
    scale, zero = np.float32(0.02), np.array(128, np.uint8)
    weight = np.random.default_rng(0).integers(-127, 128, (width, width, 3, 3))
    held = {
        "scale": scale,
        "zero": zero,
        "axes": np.array([2, 3]),
        "bias": np.zeros(width, np.float32),
        "weight": weight.astype(np.int8) if quantized else weight.astype(np.float32) / 127,
        "weight_scale": np.full(width, scale),
        "weight_zero": np.zeros(width, np.int8),
    }
    before = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["stored"]),
        helper.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["read"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["weight_read"], axis=0),
    ]
    after = [
        helper.make_node("QuantizeLinear", ["y", "scale", "zero"], ["y_stored"]),
        helper.make_node("DequantizeLinear", ["y_stored", "scale", "zero"], ["y_read"]),
    ]
    read = ["read", "weight_read"] if quantized else ["x", "weight"]
    convolution = helper.make_node("Conv", [*read, "bias"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    mean = helper.make_node("ReduceMean", ["y_read" if quantized else "y", "axes"], ["mean"])
    nodes = [*before, convolution, *after, mean] if quantized else [convolution, mean]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, width, _SIDE, _SIDE])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [batch, width, 1, 1])],
        [numpy_helper.from_array(np.asarray(numbers), name) for name, numbers in held.items() if name in used],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized


def _convolution_flops(width: int, batch: int) -> int:
    return 2 * 9 * width * width * _SIDE * _SIDE * batch


def _picture(width: int, batch: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((batch, width, _SIDE, _SIDE), np.float32)


def _in_onnxruntime(model: bytes, width: int, batch: int, threads: int) -> _Work:
    from adain_rt.backends.onnxruntime.quiet import onnxruntime
    from adain_rt.backends.onnxruntime.sessions import quiet_options

    options = quiet_options()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    run = partial(session.run, None, {"x": _picture(width, batch)})
    return _Work("ONNX Runtime, a convolution", _convolution_flops(width, batch), run)


def _in_openvino(model: bytes, width: int, batch: int, threads: int, hint: str) -> _Work:
    from adain_rt.backends.openvino import CORE, openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads,
    }
    request = CORE.compile_model(CORE.read_model(model, b""), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(_picture(width, batch), shared_memory=True))
    return _Work("OpenVINO, a convolution", _convolution_flops(width, batch), request.infer)


def _in_torch(side: int, batch: int) -> Iterator[tuple[str, _Work]]:
    """Yield a product of matrices (batch side, side) and (side, side) in each precision."""
    import torch

    flops = 2 * batch * side**3
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("int8", torch.int8)):
        left, right = (torch.randint(-8, 8, (rows, side)).to(dtype) for rows in (batch * side, side))
        multiply = torch._int_mm if dtype == torch.int8 else torch.mm
        yield precision, _Work("PyTorch, a matrix product", flops, partial(multiply, left, right))


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """Let PyTorch, where it is installed, compute in so many threads."""
    if not find_spec("torch"):
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_cuda() -> Peaks:
    """Return what PyTorch's current GPU can do, by matrix products and a copy between two CUDA events.

    ``fp32`` is without TF32; ``tf32`` is float32 with it. A precision that the GPU or PyTorch does not multiply in is
    left out.

    Raises:
        AdainError: PyTorch is not installed, or finds no GPU.

    """
    if not find_spec("torch"):
        raise AdainError("a GPU's rates are measured with PyTorch, which is not installed: pip install torch")
    import torch

    if not torch.cuda.is_available():
        raise AdainError(f"PyTorch {torch.__version__} finds no NVIDIA GPU: its rates cannot be measured")
    compute = {}
    for precision in _CUDA_PRECISIONS:
        with suppress(RuntimeError):  # there is no such kernel for this GPU
            compute[precision] = _product_on_cuda(precision)
    source = torch.randint(256, (_COPIED_CUDA,), dtype=torch.uint8, device="cuda")
    seconds = _least_seconds_on_cuda(partial(torch.empty_like(source).copy_, source))
    return Peaks(compute=compute, copy=Peak(2 * _COPIED_CUDA / seconds, "PyTorch, a copy"))


def _product_on_cuda(precision: str) -> Peak:
    """Return the rate of a large product of two square matrices of random numbers: ones and zeros run faster."""
    import torch

    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}.get(precision, torch.float32)
    integers = dtype == torch.int8
    shape = (_MATRIX_CUDA, _MATRIX_CUDA)
    if integers:
        matrix = torch.randint(-128, 128, shape, dtype=dtype, device="cuda")
    else:
        matrix = torch.randn(shape, device="cuda").to(dtype)
    multiply = torch._int_mm if integers else torch.mm
    settings = torch.backends.cuda.matmul
    before = settings.fp32_precision
    settings.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        # columns first on the right, as int8 kernels ask
        seconds = _least_seconds_on_cuda(partial(multiply, matrix, matrix.t()))
    finally:
        settings.fp32_precision = before
    return Peak(2 * _MATRIX_CUDA**3 / seconds, "PyTorch, a matrix product")


def _least_seconds_on_cuda(run: Callable[[], object]) -> float:
    """Return the shortest of many calls, each between two events."""
    import torch

    run()
    torch.cuda.synchronize()
    times = []
    for _ in range(_CALLS_CUDA):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(float(start.elapsed_time(end)) / 1e3)
    return min(times)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(rates(int(sys.argv[1]), float(sys.argv[2])))) + "\n")
