"""Records of runs: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from adain_bench.record.run import Result, Run
from adain_bench.record.run_file import read, write
from adain_bench.record.statistics import Times
from adain_models.errors import AdainError

_PARAMS = {"model": "lite", "backend": "openvino", "precision": "int8", "size": 512, "batch": 1}


@pytest.fixture
def run():
    """A run of a case with both times, one that was skipped, and one that was counted and not timed."""
    return Run(
        command="adain-rt bench latency --size 512",
        started=datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=2))),
        seconds=123.4,
        machine_info={"cpu": {"name": "a processor", "cores": 2}, "gpu": None, "packages": {"numpy": "2.0"}},
        commit_info={"id": "0123abc", "dirty": True},
        results=(
            Result(
                "latency",
                "lite int8",
                _PARAMS,
                Times(((0.5, 0.25, 0.3), (0.375, 0.625, 8.0))),
                gpu_times=Times(((0.125, 0.1), (0.1, 0.2))),
                extra_info={"psnr_db": 42.5, "notes": ["a", {"b": 1}]},
            ),
            Result("latency", "lite fp32", _PARAMS | {"precision": "fp32"}, None, skipped="no such backend"),
            Result("costs", "lite int8", {"model": "lite"}, None, extra_info={"gflop": 24.8}),
        ),
    )


@pytest.fixture
def changed(run, tmp_path):
    """A function that writes the run with some change made to the JSON, and returns the path."""

    def change(make):
        write(run, tmp_path / "run.json")
        document = json.loads((tmp_path / "run.json").read_text())
        make(document)
        (tmp_path / "run.json").write_text(json.dumps(document))
        return tmp_path / "run.json"

    return change


def test_a_run_that_is_written_is_read_the_same(run, tmp_path):
    write(run, tmp_path / "new" / "run.json")
    assert read(tmp_path / "new" / "run.json") == run


def test_the_file_has_the_fields_that_pytest_benchmark_compares(run, tmp_path):
    write(run, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    (timed,) = document["benchmarks"]  # it reads no file with an entry that has no stats
    assert [result["skipped"] for result in document["untimed"]] == ["no such backend", None]
    assert timed["fullname"] == "latency: lite int8"
    assert timed["stats"]["outliers"] == "1;1"  # 8 s, by deviations and by quartiles
    figures = {"min", "max", "mean", "stddev", "median", "iqr", "ops", "rounds", "iterations"}
    assert all(isinstance(timed["stats"][name], int | float) for name in figures)
    assert timed["stats"]["data"] == [0.5, 0.25, 0.3, 0.375, 0.625, 8.0]


def test_figures_that_are_not_finite_are_written_as_null_and_numpys_as_numbers(run, tmp_path):
    info = {"psnr_db": float("inf"), "many": [np.float32("nan"), np.int64(3)], "times": (1, 2)}
    write(
        replace(run, results=(Result("g", "n", {"size": np.int64(8)}, None, extra_info=info),)), tmp_path / "run.json"
    )
    (result,) = read(tmp_path / "run.json").results
    assert result.extra_info == {"psnr_db": None, "many": [None, 3], "times": [1, 2]}
    assert result.params == {"size": 8}


def test_a_record_that_cannot_be_written_leaves_the_old_one(run, tmp_path):
    write(run, tmp_path / "run.json")
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(TypeError):
        write(replace(run, machine_info={"what": object()}), tmp_path / "run.json")
    assert (tmp_path / "run.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_results_that_contradict_themselves_are_refused(run):
    with pytest.raises(ValueError, match="was skipped, and has times"):
        replace(run.results[0], skipped="why")
    with pytest.raises(ValueError, match="two results of the name lite int8"):
        replace(run, results=run.results[:1] * 2)
    with pytest.raises(ValueError, match="printable"):
        replace(run.results[0], name="a\x1b[2J")
    with pytest.raises(ValueError, match="time zone"):
        replace(run, started=run.started.replace(tzinfo=None))


def test_another_version_is_refused_by_its_name(changed):
    path = changed(lambda document: document.update(version="5.1.0"))
    with pytest.raises(AdainError, match=r"run\.json: .*version '5\.1\.0', and version '1' is known"):
        read(path)


@pytest.mark.parametrize("key", ["version", "command", "datetime", "seconds", "machine_info", "commit_info", "untimed"])
def test_a_field_that_is_missing_is_named(changed, key):
    path = changed(lambda document: document.pop(key))
    with pytest.raises(AdainError, match=f"{key} is missing"):
        read(path)


@pytest.mark.parametrize("key", ["group", "name", "params", "extra_info", "stats", "gpu_stats", "skipped"])
def test_a_field_of_a_result_that_is_missing_or_of_another_type_is_named(changed, key):
    with pytest.raises(AdainError, match=f"{key} is missing"):
        read(changed(lambda document: document["benchmarks"][0].pop(key)))
    with pytest.raises(AdainError, match=f"{key} is of another type"):
        read(changed(lambda document: document["benchmarks"][0].update({key: 3})))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda stats: stats.update(median=0.1), "median is 0.1, and 0.4375 of the times"),
        (lambda stats: stats.pop("p99"), "p99 is missing"),
        (lambda stats: stats.update(repeats=4), "6 times are not 4 repeats"),
        (lambda stats: stats.update(repeats=0), "6 times are not 0 repeats"),
        (lambda stats: stats.update(repeats=True), "repeats is of another type"),
        (lambda stats: stats.update(data=[]), "0 times are not 2 repeats"),
        (lambda stats: stats.update(data=["1"] * 6), "a time is of another type"),
        (lambda stats: stats["data"].__setitem__(0, -1), "above zero"),
    ],
)
def test_times_and_figures_that_do_not_fit_are_refused(changed, make, why):
    with pytest.raises(AdainError, match=why):
        read(changed(lambda document: make(document["benchmarks"][0]["stats"])))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": NaN}',
        b'{"version": "1", "seconds": 1e999}',
        b'{"seconds": ' + b"9" * 400 + b"}",
        b'{"seconds": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_record_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(AdainError, match=r"run\.json: is not the record of a run, or is damaged") as raised:
        read(tmp_path / "run.json")
    assert len(str(raised.value).splitlines()) == 1


def test_a_file_that_is_missing_a_folder_or_too_large_is_named(tmp_path):
    with pytest.raises(AdainError, match=r"none\.json: cannot be read \(No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(AdainError, match="cannot be read"):
        read(tmp_path)
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(AdainError, match=r"large\.json: is larger than 64 MiB"):
        read(tmp_path / "large.json")


def test_a_time_without_a_time_zone_is_refused(changed):
    with pytest.raises(AdainError, match="time zone"):
        read(changed(lambda document: document.update(datetime="2026-11-24T12:00:00")))
    with pytest.raises(AdainError, match="is damaged"):
        read(changed(lambda document: document.update(datetime="yesterday")))
