"""What of the GPU's benchmark needs no GPU: the PyTorch baseline, the bookkeeping, the table. Nothing is timed here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from adain_bench.cli import command
from adain_bench.gpu import Case, Eager, cases, interleaved
from adain_bench.gpu_cli import row, table_line
from adain_models import reference
from adain_models.errors import AdainError
from adain_rt import cuda
from adain_rt.stylizer import Stylizer


def test_the_pytorch_baseline_makes_the_references_picture(lite, china, flower):
    pictures = torch.from_numpy(np.stack([china[:96, :128], flower[:96, :128]]))
    mean, std = reference.encode(lite.double(), pictures.flip(0))
    strength = torch.tensor([1.0, 0.4])
    with torch.inference_mode():
        made = Eager(lite.float(), torch.float32)(pictures, mean.float(), std.float(), strength)
    expected = reference.stylize(lite.double(), pictures, (mean, std), strength.double())
    lite.float()
    assert made.shape == expected.shape
    assert (made.int() - expected.int()).abs().max() <= 1


def test_rounds_are_interleaved_and_the_first_are_not_kept():
    order: list[str] = []
    picture = np.zeros((16, 16, 3), np.uint8)

    def case(name: str, on_gpu: float | None) -> Case:
        def whole() -> np.ndarray:
            order.append(name)
            return picture

        return Case(name, whole, None if on_gpu is None else lambda: on_gpu)

    ready = [case("a", 1.5), case("b", None)]
    assert list(interleaved(ready, 3)) == [0, 1, 2]
    assert order == ["a", "b"] * (len(order) // 2)
    assert len(order) > 2 * 3
    assert [len(each.whole_ms) for each in ready] == [3, 3]
    assert [each.gpu_ms for each in ready] == [[1.5] * 3, []]


def test_a_row_has_medians_tails_and_the_agreement():
    exact = np.zeros((16, 16, 3), np.uint8)
    case = Case("here", lambda: exact, None, [1.0, 2.0, 9.0], [], made=exact + 1)
    figures = row("here", case, exact)
    assert figures["whole_median_ms"] == 2
    assert figures["whole_p99_ms"] == pytest.approx(8.86)
    assert figures["psnr_db"] == pytest.approx(48.13, abs=0.01)
    assert "gpu_median_ms" not in figures
    assert table_line(figures).split() == ["here", "2.000", "8.860", "48.1", "dB"]


def test_a_case_that_fails_on_the_way_does_not_end_the_others():
    picture, calls = np.zeros((16, 16, 3), np.uint8), []

    def fails() -> np.ndarray:
        calls.append(1)
        if len(calls) == 25:
            raise RuntimeError("the GPU is lost")
        return picture

    lost, whole = Case("lost", fails, None), Case("whole", lambda: picture, None)
    assert len(list(interleaved([lost, whole], 10))) == 10
    assert (len(calls), len(whole.whole_ms)) == (25, 10)
    assert table_line(row("lost", lost, picture)).split(maxsplit=1) == ["lost", "the GPU is lost"]


def test_a_case_that_cannot_run_is_listed_with_the_reason():
    figures = row("there", AdainError("no such library"), np.zeros((16, 16, 3), np.uint8))
    assert table_line(figures).split(maxsplit=1) == ["there", "no such library"]


@pytest.mark.skipif(cuda.hindrance() is None, reason="a GPU is here, and the cases run")
def test_one_case_that_cannot_run_does_not_end_the_others(china):
    picture = china[:64, :64]
    tried = dict(cases("lite", picture, Stylizer().encode(picture)))
    assert {"tensorrt fp16, CUDA graph on", "onnxruntime-cuda fp32, CUDA graph off"} < set(tried)
    assert all(isinstance(case, AdainError) for case in tried.values())


def test_a_size_that_the_graphs_do_not_take_is_refused():
    result = CliRunner().invoke(command, ["gpu", "--size", "100"])
    assert isinstance(result.exception, AdainError)
    assert "--size 100" in str(result.exception)
