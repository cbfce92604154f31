"""The latency measurement: what it times, not how long it takes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from adain_bench.cli import command
from adain_bench.latency import Latency, measure


def test_every_case_is_timed_once_a_round_and_the_warm_up_is_left_out(stylizer):
    *_, measured = measure(stylizer, (16, 24), rounds=3)
    assert [(case.size, case.encodes_style) for case in measured] == [
        (16, False), (16, True), (24, False), (24, True),
    ]  # fmt: skip
    assert all(len(case.seconds) == 3 and min(case.seconds) > 0 for case in measured)


def test_the_statistics_are_those_of_the_samples():
    case = Latency(512, encodes_style=False, seconds=(3.0, 1.0, 2.0, 10.0, 4.0))
    assert (case.median, case.fastest) == (3.0, 1.0)
    assert case.p90 == pytest.approx(7.6)


def test_json_has_every_time_and_what_made_it():
    said = json.loads(CliRunner().invoke(command, ["latency", "--size", "16", "--rounds", "2", "--json"]).stdout)
    assert said["model"] == "lite"
    assert [case["style_encoding"] for case in said["cases"]] == ["excluded", "included"]
    assert all(len(case["seconds"]) == 2 for case in said["cases"])
