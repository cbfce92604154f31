"""The load on a server: what is measured, and that a wrong answer is noticed. No time is asserted."""

from __future__ import annotations

import pytest

from adain_bench.measure.serving import PLAIN_CASES, time_serving
from adain_bench.measure.timing import Plan
from adain_models.errors import AdainError
from adain_rt.stylizer import Stylizer

INT8 = ("--backend", "onnxruntime", "--precision", "int8")


def test_requests_are_timed_beside_plain_calls():
    turns: list[int] = []
    with Stylizer(backend="onnxruntime", precision="int8") as stylizer:
        results = list(time_serving(stylizer, INT8, 32, [1, 2], Plan(2, 0.2), lambda: turns.append(1)))
    assert len(results) == PLAIN_CASES + 2
    assert len(turns) == 2 * len(results)
    plain, served = results[0], results[-1]
    assert served.params == {"by": "server", "clients": 2, "size": 32}
    assert len(served.times.seconds) == 2
    assert 1 in {each.extra_info["share_of_throughput"] for each in results[:2]}
    assert all(each.extra_info["cpu_s"] >= 0 for each in results)
    assert served.extra_info["server_bytes_after"] > 20e6
    assert "server_bytes_after" not in plain.extra_info


def test_an_answer_that_is_not_the_plain_calls_ends_the_run():
    with (
        Stylizer(backend="onnxruntime", precision="fp32") as stylizer,
        pytest.raises(AdainError, match="painted another picture than the plain call"),
    ):
        list(time_serving(stylizer, INT8, 32, [1], Plan(1, 0.1), lambda: None))


def test_a_server_that_does_not_start_is_an_error():
    with Stylizer(backend="onnxruntime") as stylizer, pytest.raises(AdainError, match="the server does not start"):
        list(time_serving(stylizer, ["--backend", "nothing"], 32, [1], Plan(1, 0.1), lambda: None))
