"""Kernels' times: which kernels there are, and which nodes of the graph they compute; not how long they take."""

from __future__ import annotations

import pytest

from adain_bench.cost.against_floor import graph_costs
from adain_bench.cost.costs import Costs, Group, Layer
from adain_bench.cost.floor import floor
from adain_bench.cost.peaks import Peak, Peaks
from adain_bench.cost.profile import Kernel, profile, rows
from adain_export.graphs.passes.editing import CONVOLUTIONS
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends import Settings

LITE = store.model_dir("lite")
SIZES = {"N": 1, "H": 48, "W": 48}
PEAKS = Peaks(compute={"fp32": Peak(1e11, ""), "int8": Peak(4e11, "")}, copy=Peak(1e10, ""))
PRECISIONS = {"onnxruntime": ("fp32", "int8"), "openvino": ("fp32", "int8")}


def costs_of(precision: str, backend: str) -> Costs:
    return graph_costs(LITE, "stylize", backend, precision, SIZES["H"])


def convolution(name: str, output: str, flops: int) -> Layer:
    return Layer(name, "Conv", output, "fp32", flops)


def relu(name: str, output: str) -> Layer:
    return Layer(name, "Relu", output, "fp32", 10)


COSTS = Costs((
    Group("conv", (convolution("conv", "conv_out", 1_000_000), relu("act", "act_out")), 1000, 1000, 0),
    Group("conv_1", (convolution("conv_1", "conv_1_out", 4_000_000), relu("act_1", "act_1_out")), 1000, 1000, 0),
))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "flops"),
    [
        ("conv", "Conv", 1_000_000),
        ("conv_1_token_7", "QLinearConv", 4_000_000),
        ("act_1_out_nchwc", "Conv", 4_000_000),  # it took in its ReLU, and its name
        ("conv_1/WithoutBiases", "Convolution brgconv_avx512_f32", 4_000_000),
        ("act", "Relu jit_avx512_f32", 10),
        ("act", "Convert ref_f32", 10),  # no convolution
        ("ReorderInput_token_3", "ReorderInput", None),
    ],
)
def test_a_kernel_is_found_by_the_name_of_a_node_or_a_tensor(name, kind, flops):
    (row,) = rows([Kernel(name, kind, 1e-3)], COSTS)
    assert row.flops == flops
    assert row.rate == (pytest.approx(flops / 1e-3) if flops else None)


def test_the_costliest_comes_first_with_its_share():
    kernels = [Kernel("conv", "Conv", 1e-3), Kernel("reorder", "Reorder", 2e-3), Kernel("conv_1", "Conv", 5e-3)]
    made = rows(kernels, COSTS, floor(COSTS, PEAKS))
    assert [row.kernel.name for row in made] == ["conv_1", "reorder", "conv"]
    assert [row.share for row in made] == [pytest.approx(share) for share in (0.625, 0.25, 0.125)]
    assert [row.floor for row in made] == [pytest.approx(4.00001e-5), None, pytest.approx(1.00001e-5)]
    assert made[0].floor_share == pytest.approx(4.00001e-5 / 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "precision"), [(b, p) for b, each in PRECISIONS.items() for p in each])
def test_every_convolution_of_the_bundled_model_is_found_once(backend, precision):
    costs = costs_of(precision, backend)
    kernels = profile(backend, LITE, precision, "stylize", SIZES, Settings(threads=1), runs=2)
    assert all(kernel.seconds > 0 for kernel in kernels)
    made = rows(kernels, costs, floor(costs, PEAKS))
    groups = {group.name for group in costs.groups}
    convolutions = [row for row in made if row.flops and row.flops > 100_000 and row.floor]  # but for those of the code
    assert len(convolutions) == (22 if precision == "int8" else 20)  # in int8 two blurs are convolutions of their own
    assert sum(row.flops or 0 for row in convolutions) == sum(
        layer.flops for layer in costs.layers if layer.op_type in CONVOLUTIONS and layer.flops > 100_000
    )
    assert len([row for row in made if row.floor]) <= len(groups)


@pytest.mark.slow
@pytest.mark.parametrize("backend", PRECISIONS)
@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_every_graph_is_profiled(backend, graph):
    kernels = profile(backend, LITE, "fp32", graph, SIZES | {"R": 2}, Settings(threads=1), runs=1)
    assert sum("Conv" in kernel.kind for kernel in kernels) >= 8


def test_nothing_is_left_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    profile("onnxruntime", LITE, "fp32", "encode", SIZES, runs=1)
    assert not list(tmp_path.iterdir())


def test_a_backend_that_does_not_time_its_kernels_is_refused():
    with pytest.raises(AdainError, match="tensorrt does not time its kernels; use the `backend` openvino or"):
        profile("tensorrt", LITE, "fp16", "stylize", SIZES)
