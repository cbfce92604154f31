"""``adain-rt bench``: what its commands say and write. No time is asserted."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from adain_bench.cli import command, sections
from adain_bench.cli import measure as measure_cli
from adain_bench.measure.request import Request
from adain_bench.measure.timing import _Timing
from adain_bench.record import run_file as records
from adain_bench.record.run import CUT_SHORT
from adain_bench.record.run import Result as Measured
from adain_bench.record.statistics import Times
from adain_models.errors import AdainError
from adain_rt.cli import main

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
    assert run.command.startswith("adain-rt")
    assert {"cpu", "packages", "before", "after", "weights_sha256"} <= set(run.machine_info)
    assert len(run.results) == 4  # two precisions, with the style encoded and not
    assert all(result.times.flat.min() > 0 for result in run.results)
    assert {result.extra_info["psnr_db"] == "the same" for result in run.results} == {True, False}


def test_json_is_the_record_and_nothing_else():
    said = _run("latency", *_QUICK, "--backend", "onnxruntime", "--precision", "int8", "--batch", 2, "--json")
    (excluded, included) = json.loads(said.stdout)["benchmarks"]
    assert (excluded["params"]["batch"], included["params"]["style_encoding"]) == (2, "included")


@pytest.mark.slow
def test_floors_stand_beside_times_and_the_rates_that_they_come_from():
    options = ["--backend", "onnxruntime", "--precision", "fp32", "--floor", "--threads", 1]
    rows = json.loads(_run("latency", *_QUICK, *options, "--json").stdout)
    excluded, included = rows["benchmarks"]
    assert 0 < excluded["extra_info"]["floor_s"] < included["extra_info"]["floor_s"]
    assert 0 < excluded["extra_info"]["share_of_floor"] < 1
    assert {"fp32 operations", "bytes"} <= {row["params"]["of"] for row in rows["untimed"] if row["group"] == "peaks"}


def test_the_tables_pictures_a_second_are_the_records(tmp_path):
    options = ["--backend", "onnxruntime", "--precision", "int8", "--batch", 2, "--streams", 2]
    said = _run("throughput", *_QUICK, *options, "-o", tmp_path)
    rows = [line.split("|") for line in said.output.splitlines() if line.startswith("| lite")]
    results = records.read(tmp_path / "run.json").results
    assert len(rows) == len(results) == 2
    for row, result in zip(rows, results, strict=True):
        assert float(row[5].replace(",", "")) == pytest.approx(result.extra_info["pictures_per_s"], rel=5e-3)


def test_throughput_has_batches_and_streams():
    options = ["--backend", "onnxruntime", "--precision", "int8", "--batch", 2, "--streams", 2, "--json"]
    rows = json.loads(_run("throughput", *_QUICK, *options).stdout)["benchmarks"]
    assert [(row["params"]["batch"], row["params"].get("streams")) for row in rows] == [(1, 2), (2, None)]
    assert all(row["extra_info"]["pictures_per_s"] > 0 for row in rows)


def test_tiles_stand_beside_the_whole_picture():
    options = ["--backend", "onnxruntime", "--precision", "int8", "--size", 200, "--tile", 128, "--tile", 64]
    said = _run("tiles", "--repeats", "2", "--seconds", "0.02", *options)
    rows = [[cell.strip() for cell in line.split("|")] for line in said.output.splitlines() if "onnxruntime" in line]
    assert [row[1:4] for row in rows] == [["lite onnxruntime int8", "200", tiles] for tiles in ("off", "128", "64")]
    assert rows[0][-2] == "1.00"
    assert all(float(row[-2]) > 0 for row in rows)


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
    times = [float(layer.split()[0]) for layer in layers]
    assert times == sorted(times, reverse=True)
    assert any(layer.endswith("(Conv)") for layer in layers)  # which of them is costliest differs between releases


@pytest.fixture
def fake_parts(monkeypatch):
    """The parts of ``all``, each of which finds one time, and one backend that is not here."""

    def fake(name: str):
        def section(request: Request) -> list[Measured]:
            params = {"model": "lite", "size": max(request.sizes)}
            missing = Measured(name, "lite tensorrt", {"model": "lite"}, None, skipped="not installed")
            return [Measured(name, f"lite {max(request.sizes)}", params, Times(((0.1,),))), missing]

        return section

    for name in ("paper", "latency", "throughput", "start"):
        monkeypatch.setattr(sections, name, fake(name))


def test_all_ends_with_one_record_of_every_part(fake_parts, tmp_path):
    said = _run("all", "-o", tmp_path)
    assert said.exit_code == 0, said.output
    run = records.read(tmp_path / "run.json")
    assert [each.group for each in run.results if each.times] == ["paper", "latency", "latency", "throughput", "start"]
    assert sum(each.skipped is not None for each in run.results) == 4  # each group says once what is not here


@pytest.mark.parametrize("error", [AdainError("no memory"), KeyboardInterrupt(), BrokenPipeError()])
def test_what_was_measured_before_a_failure_is_printed_and_recorded(fake_parts, monkeypatch, tmp_path, error):
    def throughput(_: Request) -> Iterator[Measured]:
        yield Measured("throughput", "the first", {"model": "lite"}, Times(((0.1,),)))
        raise error

    monkeypatch.setattr(sections, "throughput", throughput)
    said = _run("all", "-o", tmp_path)
    assert said.exception is not None
    run = records.read(tmp_path / "run.json")
    assert [each.group for each in run.results if each.times] == ["paper", "latency", "latency", "throughput"]
    assert run.cut_short
    assert "\n\nThis run was cut short. The tables have what was measured until then.\n" in said.output
    assert report_of(said.output, "Throughput") in (tmp_path / "report.md").read_text("utf-8")


def report_of(text: str, title: str) -> str:
    """Return the part of a report under a heading."""
    return text[text.index(f"## {title}") :].partition("\n\n")[0]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("options", [["--json"], []])
def test_a_signal_leaves_what_was_measured_and_its_own_status(monkeypatch, capsys, tmp_path, number, status, options):
    """It comes in the second of 50 turns."""
    monkeypatch.setattr(_Timing, "take_turn", interrupted(_Timing.take_turn, number))
    arguments = ["--repeats", 50, "--seconds", 0.05, "--size", 16, "--backend", "onnxruntime", "--precision", "int8"]
    monkeypatch.setattr("sys.argv", [str(each) for each in ["adain-rt", "bench", "latency", *arguments, *options]])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    said = capsys.readouterr()
    assert said.err.strip() == ""
    if options:
        assert json.loads(said.out)["cut_short"] is True
        assert [len(each["stats"]["data"]) > 0 for each in json.loads(said.out)["benchmarks"]] == [True]
    else:
        assert "| lite onnxruntime int8 " in said.out
        assert f": {CUT_SHORT}" in said.out


def interrupted(take_turn: Callable[[_Timing], None], number: signal.Signals) -> Callable[[_Timing], None]:
    """Let a signal come when one case has been timed."""
    taken: list[_Timing] = []

    def take(timing: _Timing) -> None:
        taken.append(timing)
        if len(taken) > 1:
            signal.raise_signal(number)
        take_turn(timing)

    return take


def test_what_is_refused_before_anything_is_measured_leaves_no_record(monkeypatch, tmp_path):
    said = _run("latency", "--backend", "onnxruntime", "--precision", "fp16", "-o", tmp_path)
    assert "nothing is left to measure" in str(said.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_report_without_matplotlib_is_whole_but_for_the_plots(fake_parts, monkeypatch, tmp_path):
    monkeypatch.setattr("adain_bench.runs.find_spec", lambda _: None)
    said = _run("all", "-o", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "report.md"}
    assert "pip install 'adain-rt[bench]'" in said.output


@pytest.mark.parametrize("taken", ["run.json", "report.md", ""])
def test_a_folder_that_cannot_be_written_into_is_refused_before_anything_is_measured(monkeypatch, tmp_path, taken):
    monkeypatch.setattr(sections, "latency", lambda _: pytest.fail("measured"))
    output = tmp_path / "out"
    (output / taken).mkdir(parents=True) if taken else output.touch()
    said = _run("latency", "-o", output)
    assert said.exit_code != 0
    assert "out" in str(said.exception) or "out" in said.output


def test_what_is_asked_for_twice_is_measured_once():
    options = ["--backend", "onnxruntime", "--backend", "onnxruntime", "--precision", "int8", "--size", 16, "--json"]
    assert len(json.loads(_run("latency", *_QUICK, *options).stdout)["benchmarks"]) == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--seconds", "nan"], "nan is not a finite number"),
        (["--backend", "onnxruntime", "--precision", "fp16"], "nothing is left to measure"),
        (["--floor", "--size", 36], "multiples of 8: not 36"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(options, why):
    said = _run("latency", *options)
    assert said.exit_code != 0
    assert why in said.output + str(said.exception)


def test_two_models_of_one_name_are_refused(tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent / "mine").mkdir(parents=True)
    said = _run("latency", "--model", tmp_path / "a" / "mine", "--model", tmp_path / "b" / "mine")
    assert "two models are called mine" in str(said.exception)


def test_all_is_every_section_and_nothing_is_timed_twice(monkeypatch):
    asked = []
    monkeypatch.setattr(measure_cli, "run_and_print", lambda parts, *_: asked.extend(parts))
    assert _run("all").exit_code == 0
    assert {part for part, _ in asked} == {sections.paper, sections.latency, sections.throughput, sections.start}
    first, second = (request for part, request in asked if part is sections.latency)
    assert (first.peers, first.floor, set(first.sizes) & set(second.sizes)) == (True, True, set())


def test_only_the_peers_that_are_named_are_timed(monkeypatch):
    monkeypatch.setattr(measure_cli, "run_and_print", lambda parts, *_: asked.extend(parts))
    asked: list[tuple[object, Request]] = []
    assert _run("latency", "--peer", "pytorch-eager", "--backend", "onnxruntime", "--precision", "fp32").exit_code == 0
    ((_, request),) = asked
    backends = [each.params["backend"] for each in sections._contenders(request)]
    assert backends == ["pytorch-eager", "onnxruntime"]


def test_a_peer_that_does_not_exist_is_refused_with_those_that_do():
    said = _run("latency", "--peer", "pytorch")
    assert "--peer pytorch: there are pytorch-eager, pytorch-compiled" in str(said.exception)


def test_the_papers_network_is_kept_where_it_is_asked_for(monkeypatch, tmp_path):
    asked = []

    def stop(folder: Path) -> None:
        asked.append(folder)
        raise AdainError("seen")

    monkeypatch.setattr("adain_bench.measure.paper.vgg19_model", stop)
    assert str(_run("paper", "--network", tmp_path).exception) == "seen"
    assert asked == [tmp_path]
