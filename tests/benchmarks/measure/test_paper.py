"""Table 1 and what is made of the measurements for it. Nothing is timed here."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from adain_bench.contenders.random_weights import randomize
from adain_bench.measure.inputs import picture
from adain_bench.measure.paper import paper_cases, paper_results, vgg19_model
from adain_bench.record.run import Result
from adain_bench.record.statistics import Times
from adain_bench.record.table1 import ITERATIONS, SIZES, TABLE_1, quoted
from adain_export.torch import export
from adain_models import reference
from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends import Settings

_METHODS = ["Gatys et al.", "Chen & Schmidt", "Ulyanov et al.", "Dumoulin et al.", "AdaIN"]


def test_the_table_is_whole_and_says_what_the_text_does():
    assert [method for method, _ in TABLE_1][::2] == _METHODS
    assert {size for _, size in TABLE_1} == set(SIZES)
    assert round(quoted("Gatys et al.", 512, "excluded") / quoted("AdaIN", 512, "excluded"), -1) == 720
    assert [round(1 / quoted("AdaIN", size, "excluded")) for size in SIZES] == [56, 15]
    assert all(within is None or within > without for without, within in TABLE_1.values())


@pytest.fixture(scope="module")
def to_time():
    """The cases, of a model that is never run."""
    return list(paper_cases("lite", "random", Settings(), 3))


def test_all_five_methods_are_timed_at_both_sizes_in_both_ways(to_time):
    timed = {
        (case.params["method"], case.params["size"], case.params.get("style_encoding"))
        for case in to_time
        if case.hindrance is None
    }
    both = [(size, encoding) for size in SIZES for encoding in ("excluded", "included")]
    assert {("Chen & Schmidt", *each) for each in both} | {("AdaIN", *each) for each in both} <= timed
    assert {(method, size, "excluded") for method in _METHODS[2:4] for size in SIZES} <= timed
    assert not any(method in _METHODS[2:4] and encoding == "included" for method, _, encoding in timed)
    assert ("Gatys et al.", 512, None) in timed


def test_adain_is_timed_in_pytorch_and_in_every_backend_with_both_networks(to_time):
    ways = {
        (case.params["backend"], case.params["precision"], case.facts["weights"])
        for case in to_time
        if case.params["method"] == "AdaIN" and case.hindrance is None
    }
    assert {("pytorch-eager", "fp32", "random"), ("onnxruntime", "fp32", "random")} < ways
    assert {("onnxruntime", "int8", "bundled"), ("openvino", "fp32", "bundled")} < ways


def test_the_optimisation_is_scaled_by_what_an_iteration_adds():
    params = {"method": "Gatys et al.", "backend": "pytorch-eager", "precision": "fp32", "size": 256}

    def part(name: str | int, seconds: float, **facts: int) -> Result:
        return Result("paper", f"part {name}", {**params, "part": name}, Times(((seconds,),)), extra_info=facts)

    parts = [part(1, 3.0, iterations=1), part(5, 11.0, iterations=5), part("style", 0.5)]
    excluded, included = paper_results(parts)
    assert included.times.flat == pytest.approx(3 + 2 * (ITERATIONS - 1))
    assert excluded.times.flat == pytest.approx(included.times.flat - 0.5)
    assert excluded.extra_info["iteration_s"] == pytest.approx(2)
    assert (excluded.extra_info["paper_s"], included.extra_info["paper_s"]) == (14.17, 14.19)
    assert excluded.params["style_encoding"] == "excluded"


def test_a_part_that_failed_leaves_no_row_of_the_optimisation():
    params = {"method": "Gatys et al.", "size": 256}
    parts = [Result("paper", f"part {n}", {**params, "part": n}, None, skipped="out of memory") for n in range(3)]
    (result,) = paper_results(parts)
    assert result.skipped == "out of memory"


def test_without_the_papers_weights_a_random_network_of_its_shape_stands_in(tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(export, "export_model", lambda *_: ["stylize"])
    model, weights = vgg19_model(tmp_path / "folder")
    assert weights == "random"
    assert (tmp_path / "folder" / "vgg19" / store.WEIGHTS_NAME).stat().st_size == pytest.approx(28e6, rel=0.02)
    assert store.model_name(model) == "vgg19"


def test_a_random_network_that_an_earlier_run_made_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "adain_export.torch.export", None)  # what exports need may be missing
    made = tmp_path / "vgg19"
    made.mkdir()
    for name in (store.WEIGHTS_NAME, *map(contract.graph_file, contract.GRAPHS)):
        (made / name).touch()
    assert vgg19_model(tmp_path) == (str(made), "random")
    assert (made / store.WEIGHTS_NAME).stat().st_size == 0


def test_only_the_backends_that_are_asked_for_are_timed_beside_pytorch():
    timed = paper_cases("lite", "random", Settings(), 3, ["onnxruntime"])
    assert {case.params["backend"] for case in timed} == {"pytorch-eager", "onnxruntime"}


def test_fetched_weights_are_used(tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path))
    fetched = store.model_dir("vgg19")
    fetched.mkdir(parents=True)
    (fetched / store.WEIGHTS_NAME).touch()
    exported = []
    monkeypatch.setattr(export, "export_model", lambda *asked: exported.append(asked) or [])
    assert vgg19_model(tmp_path / "folder") == (str(tmp_path / "folder" / "vgg19"), "public")
    assert exported == [(fetched, "vgg19", tmp_path / "folder" / "vgg19")]


def test_random_weights_make_pictures_that_could_differ():
    """A picture that is all black and white, or grey, would be the same in every precision."""
    network = Vgg19(8)
    randomize(network, picture(128, seed=0))
    style, content = (torch.tensor(picture(128, seed=seed)[None]) for seed in (1, 2))
    made = reference.stylize(network, content, reference.encode(network, style), torch.ones(1)).numpy()
    assert made.std() > 30
    assert np.isin(made, (0, 255)).mean() < 0.2
