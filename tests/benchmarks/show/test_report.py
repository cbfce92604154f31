"""Reports: the figures in the cells that they belong to, for known groups and for others; and plots of them."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest

from adain_bench.record.run import Result, Run
from adain_bench.record.statistics import Times
from adain_bench.record.text import format_cell
from adain_bench.show.plots import _apart, draw
from adain_bench.show.report import markdown
from adain_bench.show.table import format_table


def _run(*results, **machine_info):
    started = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
    return Run("adain-rt bench latency", started, 61.4, machine_info, {"id": "0123abc", "dirty": True}, results)


@pytest.fixture
def reported():
    """A function that returns the report of some results."""

    def report(*results, **machine_info):
        return markdown(_run(*results, **machine_info))

    return report


def _times(median, repeats=10, calls=10):
    """Times of which all medians are the same."""
    return Times(((median,) * calls,) * repeats)


def _params(backend, precision, size=512, encoding="excluded"):
    shared = {"model": "lite", "backend": backend, "precision": precision}
    return {**shared, "size": size, "batch": 1, "style_encoding": encoding}


def _rows(report):
    """Return the cells of the last table of a report, by its header."""
    lines = [line for line in report.splitlines() if line.startswith("|")]
    last = max(number for number, line in enumerate(lines) if line.startswith("| ---"))
    header, *rows = ([each.strip() for each in line.strip("|").split("|")] for line in lines[last - 1 :])
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def test_the_machine_and_the_commit_come_first(reported):
    report = reported(cpu="2 x a processor", gpu=None, packages={"numpy": "2.0", "onnxruntime": "1.23"})
    assert report.startswith("## Measured on")
    rows = [" ".join(line.split()) for line in report.splitlines()]
    assert "| command | `adain-rt bench latency` |" in rows
    assert "| started | 2026-11-24 12:00 UTC, for 61 s |" in rows
    assert "| commit | 0123abc, with changes that are not committed |" in rows
    assert "| cpu | 2 x a processor |" in rows
    assert "| packages | numpy 2.0, onnxruntime 1.23 |" in rows
    assert "gpu" not in report


def test_latencies_are_compared_with_the_first_of_the_same_size(reported):
    rows = _rows(
        reported(
            Result("latency", "a", _params("openvino", "int8"), _times(0.04), extra_info={"psnr_db": 42.31}),
            Result("latency", "b", _params("openvino", "int8", size=256), _times(0.01)),
            Result("latency", "c", _params("onnxruntime", "fp32"), _times(0.08), gpu_times=_times(0.06)),
            Result("latency", "d", _params("onnxruntime", "fp32", encoding="included"), _times(0.12)),
        )
    )
    assert [row["case"] for row in rows] == [f"lite {name}" for name in
        ("openvino int8", "onnxruntime fp32", "openvino int8", "onnxruntime fp32")]  # fmt: skip
    assert [row["to the first"] for row in rows] == ["1", "2.000 (2.000-2.000)", "1", "1"]
    assert [row["median, ms"] for row in rows] == ["40.0", "80.0", "10.0", "120"]
    assert [row["GPU part, ms"] for row in rows] == ["", "60.0", "", ""]
    assert [row["PSNR, dB"] for row in rows] == ["42.3", "", "", ""]
    assert (rows[0]["calls"], rows[0]["spread"]) == ("10 x 10", "0.0 %")


def test_percentiles_are_of_calls_enough(reported):
    (row,) = _rows(reported(Result("latency", "a", _params("openvino", "int8"), _times(0.04, repeats=3, calls=4))))
    assert row["p90, ms"] == "40.0"
    assert not [key for key in row if key.startswith("p99")]
    (row,) = _rows(reported(Result("latency", "a", _params("openvino", "int8"), _times(0.04, repeats=1, calls=9))))
    assert not [key for key in row if key.startswith(("p90", "spread"))]


def test_what_makes_a_case_special_is_in_its_name_or_its_notes(reported):
    graph = Result("latency", "a", {**_params("tensorrt", "fp16"), "cuda_graph": "on"}, _times(0.001))
    other = Result("latency", "b", _params("other", "fp32"), _times(0.04), extra_info={"works_at": "384 pixels"})
    rows = _rows(reported(graph, other))
    assert [row["case"] for row in rows] == ["lite tensorrt fp16 cuda graph on", "lite other fp32"]
    assert [row["notes"] for row in rows] == ["", "works at 384 pixels"]


def test_skipped_cases_are_listed_with_the_reason(reported):
    report = reported(
        Result("latency", "timed", _params("openvino", "int8"), _times(0.04)),
        Result("latency", "lite tensorrt", _params("tensorrt", "fp16"), None, skipped="no driver\nis here"),
    )
    assert report.endswith("Not measured:\n\n- lite tensorrt: no driver is here\n")
    alone = reported(Result("latency", "lite tensorrt", {}, None, skipped="why"))
    assert alone.endswith("## Latency\n\nNot measured:\n\n- lite tensorrt: why\n")


def test_the_papers_figures_stand_beside_ours_with_the_encoding_in_brackets(reported):
    def result(name, method, encoding, seconds, paper, **info):
        params = {"method": method, "size": 512, "style_encoding": encoding, "backend": "tensorrt", "precision": "fp16"}
        return Result("paper", name, params, _times(seconds), extra_info={"paper_s": paper, **info})

    rows = _rows(
        reported(
            result("a", "AdaIN", "excluded", 0.0065, 0.065, weights="random"),
            result("b", "AdaIN", "included", 0.0196, 0.098, weights="random"),
            result("c", "Gatys et al.", "included", 4.679, 46.79, scaled_from_iterations=20),
        )
    )
    assert [row["method"] for row in rows] == ["AdaIN", "Gatys et al."]
    assert [row["here, s"] for row in rows] == ["0.00650 (0.0196)", "- (4.68)"]
    assert [row["the paper, s"] for row in rows] == ["0.0650 (0.0980)", "- (46.8)"]
    assert [row["here / the paper"] for row in rows] == ["0.100 (0.200)", "- (0.100)"]
    assert [row["by"] for row in rows] == ["tensorrt fp16"] * 2
    assert [row["notes"] for row in rows] == ["weights random", "scaled from iterations 20"]


def test_throughput_is_pictures_over_the_time_of_a_call(reported):
    params = {"model": "lite", "backend": "openvino", "precision": "int8", "size": 512}
    rows = _rows(
        reported(
            Result("throughput", "a", {**params, "batch": 4}, _times(0.1), extra_info={"pictures_per_s": 40.0}),
            Result(
                "throughput",
                "b",
                {**params, "batch": 1, "streams": 2},
                _times(0.2),
                extra_info={"pictures_per_s": 40.0},
            ),
        )
    )
    assert [(row["batch"], row["streams"], row["pictures/s"]) for row in rows] == [
        ("4", "", "40.0"),
        ("1", "2", "40.0"),
    ]


def test_tiles_are_compared_with_the_whole_picture_of_the_same_network_and_backend(reported):
    def result(backend, tile, seconds):
        params = {"model": "lite", "backend": backend, "tile": tile, "precision": "fp32", "size": 512}
        return Result("tiles", f"{backend} {tile}", params, _times(seconds), extra_info={"cpu_s": 2 * seconds})

    rows = _rows(
        reported(
            result("onnxruntime", "off", 2.0),
            result("openvino", "off", 1.0),
            result("onnxruntime", 256, 3.0),
            result("openvino", 256, 4.0),
        )
    )
    assert [(row["case"].split()[1], row["tiles"], row["to the whole"].split()[0]) for row in rows] == [
        ("onnxruntime", "off", "1"),
        ("onnxruntime", "256", "1.500"),
        ("openvino", "off", "1"),
        ("openvino", "256", "4.000"),
    ]
    assert [(row["CPU, s"], row["CPU to the whole"]) for row in rows[:2]] == [("4.00", "1.00"), ("6.00", "1.50")]


def test_starts_and_floors_have_their_columns(reported):
    params = {"model": "lite", "backend": "openvino", "precision": "int8", "size": 512}
    facts = {"import_s": 0.5, "load_s": 0.25, "host_peak_bytes": 300 << 20}
    (row,) = _rows(reported(Result("start", "a", {**params, "cache": "cold"}, _times(1.5, calls=1), extra_info=facts)))
    assert (row["cache"], row["median, s"], row["load, s"], row["host peak, MiB"]) == ("cold", "1.50", "0.250", "300")
    facts = {"floor_s": 0.02, "share_of_floor": 0.5, "bound": "memory"}
    (row,) = _rows(reported(Result("latency", "a", params, _times(0.04), extra_info=facts)))
    assert (row["median, ms"], row["of the floor"]) == ("40.0", "50 %")
    assert row["bound by"] == "memory"


def test_rates_are_in_thousands_of_millions(reported):
    facts = {"per_s": 2.5e12, "runner": "a product"}
    (row,) = _rows(reported(Result("peaks", "a", {"device": "cpu", "of": "fp32"}, None, extra_info=facts)))
    assert row == {"device": "cpu", "of": "fp32", "10^9/s": "2,500", "reached by": "a product"}


def test_a_group_that_is_not_known_shows_all_that_it_has(reported):
    report = reported(
        Result("costs", "a", {"model": "lite", "size": 512}, None, extra_info={"gflop": 24.81, "parts": {"a": 1}})
    )
    assert "## Costs" in report
    assert _rows(report) == [{"model": "lite", "size": "512", "gflop": "24.8", "parts": "a 1"}]


def test_figures_of_the_wrong_kind_leave_their_cells_empty(reported):
    facts = {"share_of_floor": "half", "floor_s": None, "bound": ["memory"]}
    (row,) = _rows(reported(Result("latency", "a", _params("openvino", "int8"), _times(0.04), extra_info=facts)))
    assert row["bound by"] == "memory"
    assert "of the floor" not in row


def test_a_cell_holds_nothing_that_ends_it_or_moves_the_cursor():
    assert format_cell("a|b\nc\x1b[2J<img>\ud800") == "a\\|b c [2J&lt;img> "


def test_a_table_leaves_empty_columns_out_and_puts_numbers_to_the_right():
    text = format_table(["name", "none", "number"], [["a", None, 1.5], ["b", None, None]])
    assert text.splitlines() == [
        "| name | number |",
        "| ---- | -----: |",
        "| a    |   1.50 |",
        "| b    |        |",
    ]


def test_what_a_run_has_data_for_is_drawn_and_the_same_each_time(tmp_path):
    params = {"model": "lite$", "backend": "openvino", "precision": "int8", "size": 512}
    run = _run(
        Result("latency", "a", _params("openvino", "int8"), Times(((0.04, 0.041, 0.08),) * 3)),
        Result("latency", "b", _params("openvino", "int8", size=256), _times(0.01)),
        Result("latency", "c", _params("onnxruntime", "fp32"), _times(0.08)),
        Result("latency", "d", _params("tensorrt", "fp16"), None, skipped="why"),
        Result("throughput", "e", {**params, "batch": 4}, _times(0.1), extra_info={"pictures_per_s": 40.0}),
        Result(
            "throughput", "f", {**params, "batch": 1, "streams": 2}, _times(0.2), extra_info={"pictures_per_s": 40.0}
        ),
        Result("latency", "g", params, _times(0.05), extra_info={"share_of_floor": 0.5, "bound": "memory"}),
    )
    drawn, again = draw(run, tmp_path / "once"), draw(run, tmp_path / "again")
    names = ("latency", "distribution", "throughput", "floor")
    assert [path.name for path in drawn] == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert [path.read_bytes() for path in drawn] == [path.read_bytes() for path in again]
    assert [path.read_bytes()[:8] for path in drawn[::2]] == [b"\x89PNG\r\n\x1a\n"] * 4


def test_calls_that_all_took_as_long_are_drawn(tmp_path):
    paths = draw(_run(Result("latency", "a", _params("openvino", "int8"), _times(0.04))), tmp_path)
    assert [path.name for path in paths[::2]] == ["latency.png", "distribution.png"]


def test_a_run_without_figures_is_not_drawn(tmp_path):
    skipped = Result("latency", "a", _params("openvino", "int8"), None, skipped="why")
    assert draw(_run(skipped, Result("start", "b", {"cache": "cold"}, _times(1.0))), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_labels_keep_apart_in_their_order_and_stay_where_there_is_room():
    assert _apart([0.9, 0.1, 0.5], 0.1) == pytest.approx([0.9, 0.1, 0.5])
    assert _apart([0.5, 0.5, 0.1], 0.1) == pytest.approx([0.45, 0.55, 0.1])
    crowded = _apart([0.99, 1.0, 0.98, 0.97], 0.2)
    assert crowded == pytest.approx([0.8, 1.0, 0.6, 0.4])
    many = np.random.default_rng(0).uniform(0, 1, 20).tolist()
    places = sorted(_apart(many, 0.05))
    assert places[0] >= 0
    assert places[-1] <= 1
    assert np.diff(places).min() >= 0.05 - 1e-9
