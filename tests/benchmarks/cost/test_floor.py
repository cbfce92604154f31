"""The roofline, against hand-made costs and rates; how the rates are measured, not what they are."""

from __future__ import annotations

import time

import pytest
import torch

from adain_bench.cost import against_floor
from adain_bench.cost import peaks as module
from adain_bench.cost.costs import Costs, Group, Layer
from adain_bench.cost.counting import count_file
from adain_bench.cost.floor import floor
from adain_bench.cost.peaks import Peak, Peaks, measure_cpu, measure_cuda, rates
from adain_bench.record.run import Result
from adain_bench.record.statistics import Times
from adain_models.errors import AdainError
from adain_models.weights import store

PEAKS = Peaks(compute={"fp32": Peak(1e9, "a"), "int8": Peak(4e9, "c")}, copy=Peak(1e8, "d"))


def group(flops: dict[str, int], read: int, written: int = 0, weights: int = 0) -> Group:
    layers = tuple(Layer(kind, "Conv", "y", kind, count) for kind, count in flops.items())
    return Group("g", layers, read, written, weights)


def test_a_group_takes_as_long_as_its_operations_or_as_its_bytes():
    busy, moving = group({"fp32": 2_000_000}, 40_000, 50_000, 10_000), group({"fp32": 2_000_000}, 300_000, 100_000)
    (first, second) = floor(Costs((busy, moving)), PEAKS).groups
    assert (first.compute, first.memory) == (pytest.approx(2e-3), pytest.approx(1e-3))
    assert (first.seconds, first.bound) == (first.compute, "compute")
    assert (second.seconds, second.bound) == (pytest.approx(4e-3), "memory")


def test_groups_run_one_after_another_and_precisions_beside_each_other():
    costs = Costs((group({"int8": 8_000_000, "fp32": 1_000_000}, 0), group({"int8": 4_000_000, "fp32": 3_000_000}, 0)))
    assert floor(costs, PEAKS).seconds == pytest.approx(2e-3 + 3e-3)


def test_the_share_is_of_the_measured_time():
    assert floor(Costs((group({"fp32": 2_000_000}, 0),)), PEAKS).seconds == pytest.approx(2e-3)


def test_what_only_moves_numbers_is_bound_by_memory():
    (only,) = floor(Costs((group({}, 1000),)), PEAKS).groups
    assert (only.compute, only.bound) == (0, "memory")


def test_a_precision_without_a_rate_is_named():
    with pytest.raises(AdainError, match=r"no rate of fp16 .* only of fp32, int8"):
        floor(Costs((group({"fp16": 1}, 0),)), PEAKS)


def test_the_bundled_model_is_bound_by_its_operations():
    """Its convolutions do tens of operations for each byte; a pass over the features does one."""
    costs = count_file(store.model_dir("lite") / "stylize.onnx", {"N": 1, "H": 512, "W": 512})
    peaks = Peaks(compute={"fp32": Peak(2e11, "")}, copy=Peak(2e10, ""))
    bounds = {each.group.name: each.bound for each in floor(costs, peaks).groups}
    of_code = {group.name for group in costs.groups if "conv" in group.name and group.flops < 1e6}
    assert len(of_code) == 8
    assert {name for name, bound in bounds.items() if bound == "memory"} == {"node_mean", "node_sum_1"} | of_code


@pytest.fixture
def quick(monkeypatch):
    """A measurement that is short and small."""
    monkeypatch.setattr(module, "_WIDTHS", (16,))
    monkeypatch.setattr(module, "_MATRICES", (64,))
    monkeypatch.setattr(module, "_COPIED", 1 << 16)


def test_every_rate_is_measured_and_says_what_reached_it():
    peaks = measure_cpu(1, seconds=0.001)
    assert {"fp32", "int8"} <= peaks.compute.keys()
    for peak in (*peaks.compute.values(), peaks.copy):
        assert peak.rate > 0
        assert peak.runner.split(",")[0] in {"ONNX Runtime", "OpenVINO", "PyTorch", "NumPy"}


def test_a_process_that_cannot_measure_says_why():
    with pytest.raises(AdainError, match=r"rates could not be measured \(.*ValueError"):
        measure_cpu("two")


def test_without_openvino_and_pytorch_onnx_runtime_and_numpy_give_what_they_can(quick, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    peaks = rates(2, 0.001)
    assert {precision: peak.runner for precision, peak in peaks.compute.items()} == {
        "fp32": "ONNX Runtime, a convolution", "int8": "ONNX Runtime, a convolution",
    }  # fmt: skip
    assert peaks.copy.runner == "NumPy, a copy"


def test_the_rate_is_that_of_the_shortest_call():
    naps = iter([0.05, 0.05, 0.002, 0.05, 0.05, 0.05])
    assert 0.002 <= module._least_seconds(lambda: time.sleep(next(naps)), 0.0) < 0.05


def test_the_quantized_convolution_runs_as_one_integer_kernel(tmp_path):
    """Else the int8 rate would be a rate of float32."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(module._convolution(16, 1, quantized=True), options)
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "QLinearConv" in kinds
    assert "Conv" not in kinds


def test_rates_on_a_gpu_are_of_random_numbers(monkeypatch):
    """A GPU's are higher on ones or zeros, which no picture has; the GPU here is a processor."""
    seen: list[torch.Tensor] = []

    def least_seconds(run) -> float:
        seen.extend(each for each in run.args if isinstance(each, torch.Tensor))
        run()
        return 1.0

    for name in ("randint", "randn"):
        made = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *args, made=made, **kwargs: made(*args, **kwargs | {"device": "cpu"}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(module, "_MATRIX_CUDA", 32)
    monkeypatch.setattr(module, "_COPIED_CUDA", 1024)
    monkeypatch.setattr(module, "_least_seconds_on_cuda", least_seconds)
    peaks = measure_cuda()
    assert set(peaks.compute) == set(module._CUDA_PRECISIONS)
    assert peaks.copy.rate == 2048
    assert len(seen) == 11
    assert all(tensor.float().std() > 0.5 for tensor in seen)


def test_a_floor_that_cannot_be_counted_leaves_the_times_and_says_why(monkeypatch):
    def fails(*_: object) -> Costs:
        raise ValueError("no such operator\nat all")

    monkeypatch.setattr(against_floor, "graph_costs", fails)
    params = {"model": "lite", "backend": "onnxruntime", "precision": "fp32", "size": 64, "batch": 1}
    result = Result("latency", "a", {**params, "style_encoding": "excluded"}, Times(((0.1,),)))
    (kept,) = against_floor.with_floor([result], {"cpu": PEAKS}, ["lite"])
    assert (kept.times, kept.extra_info) == (result.times, {"no_floor": "no such operator"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_rates_are_refused():
    with pytest.raises(AdainError, match=r"finds no NVIDIA GPU"):
        measure_cuda()
