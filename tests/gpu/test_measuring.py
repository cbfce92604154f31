"""The benchmarks on a GPU: its part is timed apart, and the rates of the floor can be had. No time is asserted."""

from __future__ import annotations

import pytest
import torch

from adain_bench.contenders.ours import ours
from adain_bench.contenders.peers import peers
from adain_bench.cost.peaks import measure_cuda
from adain_bench.measure.cases import cases
from adain_bench.measure.start import time_starts
from adain_bench.measure.timing import Plan, time_cases
from adain_rt.backends import Settings

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _torch_sees_it() -> None:
    """Events and rates are PyTorch's."""
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")


def test_the_gpus_part_of_ours_is_within_the_whole_call(opened, on_device):
    opened(on_device, "fp16")  # or it is skipped
    for result in time_cases(
        "latency", list(cases(ours(["lite"], [on_device]), [64], [1])), Plan(2, 0.1), lambda _: None
    ):
        assert result.skipped is None
        if result.params["style_encoding"] == "excluded":
            assert result.gpu_times.medians.min() < result.times.medians.max()


@pytest.mark.filterwarnings("ignore:::torch")  # what it warns of as it compiles changes with each release
@pytest.mark.parametrize("backend", ["pytorch-eager", "pytorch-compiled"])
def test_the_gpus_part_of_pytorch_is_within_the_whole_call(backend):
    chosen = [each for each in peers(["lite"]) if each.params["backend"] == backend]
    for result in time_cases("latency", list(cases(chosen, [64], [1], ["excluded"])), Plan(2, 0.1), lambda _: None):
        assert result.skipped is None
        assert result.gpu_times.medians.min() < result.times.medians.max()


def test_rates_of_every_precision_are_found():
    peaks = measure_cuda()
    assert {"fp32", "fp16", "bf16"} <= set(peaks.compute)
    assert peaks.compute["fp16"].rate > peaks.compute["fp32"].rate > 0
    assert peaks.copy.rate > 0


def test_a_start_tells_the_memory_that_is_held_on_the_gpu(opened, name):
    opened(name, "fp16")  # or it is skipped
    contenders = list(ours(["lite"], [name], ["fp16"]))[:1]
    cold, _ = time_starts(contenders, ["lite"], 64, 1, Settings(), lambda: None)
    assert cold.skipped is None
    assert cold.extra_info["device_bytes"] > 0
