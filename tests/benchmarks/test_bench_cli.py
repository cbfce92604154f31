"""``adain-rt bench``: what its commands say and write. No time is asserted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from adain_bench import measure_cli, sections
from adain_bench import record as records
from adain_bench.cli import command
from adain_bench.record import Times
from adain_models.errors import AdainError

_QUICK = ["--repeats", "2", "--seconds", "0.02", "--size", "16"]


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of latencies, written into a folder; and what was said."""
    folder = tmp_path_factory.mktemp("run") / "made"
    said = _run("latency", *_QUICK, "--backend", "onnxruntime", "-o", folder)
    assert said.exit_code == 0, said.output
    return folder, said.output


def test_a_run_is_a_table_a_record_a_report_and_plots(measured):
    folder, said = measured
    assert {"run.json", "report.md", "latency.png", "latency.svg"} <= {path.name for path in folder.iterdir()}
    report = (folder / "report.md").read_text("utf-8")
    assert "| lite onnxruntime int8 " in said
    assert said.strip() in report
    assert "![Latency](latency.png)" in report


def test_the_record_tells_every_time_and_the_machine(measured):
    run = records.read(measured[0] / "run.json")
    assert run.command.startswith("adain-rt ")
    assert {"cpu", "packages", "before", "after", "weights_sha256"} <= set(run.machine_info)
    assert len(run.results) == 4  # two precisions, with the style encoded and not
    assert all(result.times.flat.min() > 0 for result in run.results)
    assert {result.extra_info["psnr_db"] == "the same" for result in run.results} == {True, False}


def test_json_is_the_record_and_nothing_else():
    said = _run("latency", *_QUICK, "--backend", "onnxruntime", "--precision", "int8", "--batch", 2, "--json")
    (excluded, included) = json.loads(said.stdout)["benchmarks"]
    assert (excluded["params"]["batch"], included["params"]["style_encoding"]) == (2, "included")


def test_floors_stand_beside_times_and_the_rates_that_they_come_from():
    options = ["--backend", "onnxruntime", "--precision", "fp32", "--floor", "--threads", 1]
    rows = json.loads(_run("latency", *_QUICK, *options, "--json").stdout)
    excluded, included = rows["benchmarks"]
    assert 0 < excluded["extra_info"]["floor_s"] < included["extra_info"]["floor_s"]
    assert 0 < excluded["extra_info"]["share_of_floor"] < 1
    assert {"fp32 operations", "bytes"} <= {row["params"]["of"] for row in rows["untimed"] if row["group"] == "peaks"}


def test_throughput_has_batches_and_streams():
    options = ["--backend", "onnxruntime", "--precision", "int8", "--batch", 2, "--streams", 2, "--json"]
    rows = json.loads(_run("throughput", *_QUICK, *options).stdout)["benchmarks"]
    assert [(row["params"]["batch"], row["params"].get("streams")) for row in rows] == [(1, 2), (2, None)]
    assert all(row["extra_info"]["pictures_per_s"] > 0 for row in rows)


def test_a_run_against_itself_has_no_slower_case_and_status_0(measured):
    record = measured[0] / "run.json"
    said = _run("compare", record, record)
    assert "slower" not in said.output
    assert said.exit_code == 0


def test_a_slower_run_is_named_and_has_status_1(measured, tmp_path):
    run = records.read(measured[0] / "run.json")
    steady = [replace(each, times=Times(((0.1, 0.1, 0.1),) * 5)) for each in run.results]
    slow = replace(steady[0], times=Times(((0.2, 0.2, 0.2),) * 5))
    records.write(replace(run, results=tuple(steady)), tmp_path / "before.json")
    records.write(replace(run, results=(slow, *steady[1:])), tmp_path / "after.json")
    said = CliRunner().invoke(
        command, ["compare", str(tmp_path / "before.json"), str(tmp_path / "after.json")], standalone_mode=False
    )
    assert said.return_value == 1
    assert f"slower         2.000 (2.000-2.000)  100.0 ms  200.0 ms  latency: {slow.name}" in said.output


def test_what_is_no_record_is_refused_by_name(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    said = _run("compare", tmp_path / "bad.json", tmp_path / "bad.json")
    assert isinstance(said.exception, AdainError)
    assert "bad.json" in str(said.exception)


def test_a_report_is_written_again_from_a_record(measured, tmp_path):
    assert _run("report", measured[0] / "run.json", "-o", tmp_path / "again").exit_code == 0
    for name in ("report.md", "latency.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (measured[0] / name).read_bytes()


def test_a_profile_lists_the_costliest_layers_with_their_operations():
    said = _run("profile", "--backend", "onnxruntime", "--precision", "fp32", "--size", 64, "--top", 3)
    assert said.exit_code == 0, said.output
    head, costs, _, *layers = said.output.splitlines()
    assert head == "stylize of lite in fp32, onnxruntime, 64x64, batch 1"
    assert costs.startswith("0.4 GFLOP")
    assert len(layers) == 3
    assert all("Conv" in layer for layer in layers)


def test_all_is_every_section_and_nothing_is_timed_twice(monkeypatch):
    asked = []
    monkeypatch.setattr(measure_cli, "measured", lambda parts, *_: asked.extend(parts))
    assert _run("all").exit_code == 0
    assert {part for part, _ in asked} == {sections.paper, sections.latency, sections.throughput, sections.start}
    first, second = (request for part, request in asked if part is sections.latency)
    assert (first.peers, first.floor, set(first.sizes) & set(second.sizes)) == (True, True, set())
