"""The GPU's day, rehearsed on a processor: each step a process with a limit, and a failure a line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import datetime, timezone

import pytest
from click.testing import CliRunner
from tests.runtime.serve.servers import wait_until

from adain_bench.cli import command
from adain_bench.contenders.ours import ours
from adain_bench.measure import gpu_day
from adain_bench.measure.exactness import exactness
from adain_bench.measure.gpu_day import Day, Step, backends_on_gpu
from adain_bench.record import run_file as records
from adain_bench.record.run import CUT_SHORT, Result, Run
from adain_bench.record.statistics import Times
from adain_models.errors import AdainError
from adain_rt import cuda

PYTHON = (sys.executable, "-c")


@pytest.fixture
def day(tmp_path) -> Day:
    return Day(tmp_path, time.monotonic() + 600)


def test_the_whole_day_is_rehearsed_but_for_what_takes_minutes_on_a_processor(tmp_path):
    """The paper's table and PyTorch compiled are begun, and their limits end them."""
    done = CliRunner().invoke(command, ["gpu", "--rehearse", "--minutes", "30", "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    run = records.read(tmp_path / "run.json")
    ended = {each.name: each.skipped for each in run.results if each.group == "steps"}
    assert list(ended) == ["network", "exactness", "latency", "throughput", "paper", "tests", "peers"]
    assert {name: why for name, why in ended.items() if why} == dict.fromkeys(
        ("paper", "peers"), "it was ended after 2 s"
    )
    assert {each.group for each in run.results} == {"steps", "tests", "exactness", "latency", "peaks", "throughput"}
    assert {each.params["model"] for each in run.results if each.group == "latency" and each.times} == {"lite", "vgg19"}
    report = (tmp_path / "report.md").read_text("utf-8")
    assert "## Exactness" in report
    assert "- paper, peers: it was ended after 2 s" in report


def test_a_step_that_fails_is_a_line_with_the_last_that_it_said(day):
    (result,) = day.results(Step("broken", 30, (*PYTHON, "print('before'); raise ValueError('no\\tsuch kernel')")))
    assert (result.group, result.name, result.skipped) == ("steps", "broken", "ValueError: no such kernel")


def test_a_step_that_hangs_is_ended_with_all_that_it_started(day, tmp_path, monkeypatch):
    """What it started holds a pipe open for as long as it runs."""
    monkeypatch.setattr(gpu_day, "_GRACE", 0.5)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    holds = f"import time; pipe = open({str(pipe)!r}, 'wb', 0); pipe.write(b'here'); time.sleep(60)"
    hangs = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", {holds!r}])
time.sleep(60)
"""
    begun = time.monotonic()
    (result,) = day.results(Step("hangs", 3.5, (*PYTHON, hangs)))
    assert result.skipped == "it was ended after 3 s"
    assert 3 < time.monotonic() - begun < 30
    assert os.read(reader, 100) == b"here"
    wait_until(lambda: is_at_its_end(reader))
    os.close(reader)


def is_at_its_end(reader: int) -> bool:
    """Whether nobody holds a pipe open for writing."""
    try:
        return os.read(reader, 100) == b""
    except BlockingIOError:
        return False


def test_what_ends_the_day_leaves_a_step_a_moment_to_write_what_it_knows(day, tmp_path):
    """The step of this test writes what it knows as pytest does, when it is interrupted."""
    mark = tmp_path / "mark"
    knows = f"""
import pathlib, time
try:
    pathlib.Path({str(mark)!r}).touch()
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path({str(day.folder / "tests.xml")!r}).write_text("<testsuite><testcase name='a'/></testsuite>")
"""

    def interrupt() -> None:
        wait_until(mark.exists)
        signal.raise_signal(signal.SIGINT)

    found = []
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        found.extend(day.results(Step("tests", 60, (*PYTHON, knows))))
    interrupting.join()
    assert [(each.group, each.skipped) for each in found] == [("tests", None), ("steps", CUT_SHORT)]
    assert found[0].extra_info["passed"] == 1


def test_no_step_begins_when_the_time_is_up(tmp_path):
    (result,) = Day(tmp_path, time.monotonic() + 4).results(Step("late", 30, (*PYTHON, "raise SystemExit(1)")))
    assert result.skipped == "no time was left"


def test_tests_that_fail_are_named_and_the_others_counted(day):
    junit = """<testsuites><testsuite>
      <testcase classname="tests.gpu.test_running" name="test_a"/>
      <testcase classname="tests.gpu.test_running" name="test_b">
        <failure message="assert 3 &lt;= 2&#10;more"/></testcase>
      <testcase classname="tests.gpu.test_running" name="test_c"><skipped message="not installed"/></testcase>
    </testsuite></testsuites>"""
    (day.folder / "tests.xml").write_text(junit, "utf-8")
    failed, whole, step = day.results(Step("tests", 30, (*PYTHON, "print('1 failed, 1 passed'); raise SystemExit(1)")))
    assert (failed.name, failed.skipped) == ("test_running test_b", "assert 3 <= 2")
    assert whole.extra_info == {"passed": 1, "failed": 1, "skipped": 1}
    assert step.skipped == "1 failed, 1 passed"


def test_nothing_is_told_twice(day):
    again = Step("tests", 30, (*PYTHON, ""))
    (day.folder / "tests.xml").write_text("<testsuite><testcase name='a'/></testsuite>", "utf-8")
    assert [each.group for each in day.results(again)] == ["tests", "steps"]
    assert [each.group for each in day.results(again)] == ["steps"]


def test_a_case_that_one_step_did_not_come_to_is_measured_by_another(day):
    def write(step: str, **measured: object) -> None:
        case = Result("latency", "lite torch", {"model": "lite"}, **measured)
        (day.folder / step).mkdir()
        run = Run("adain-rt bench latency", datetime.now(timezone.utc), 1, {}, {"id": None, "dirty": None}, (case,))
        records.write(run, day.folder / step / records.NAME)

    write("latency", times=None, skipped=CUT_SHORT)
    write("peers", times=Times(((0.1,),)))
    assert [each.group for each in day.results(Step("latency", 30, (*PYTHON, "")))] == ["steps"]
    assert [each.group for each in day.results(Step("peers", 30, (*PYTHON, "")))] == ["latency", "steps"]


@pytest.mark.skipif(cuda.hindrance() is None, reason="a GPU is here")
def test_without_a_gpu_every_backend_says_why():
    with pytest.raises(AdainError, match=r"no backend can run on a GPU here: tensorrt: .*; torch: ") as caught:
        backends_on_gpu()
    assert "\n" not in str(caught.value)


def test_exactness_is_of_each_backend_and_what_fails_says_why(vgg19_dir, monkeypatch):
    models = [str(vgg19_dir)]
    (found,) = exactness(ours(models, ["onnxruntime"], ["fp32"]), models, [32])
    assert found.extra_info["largest_difference"] <= 1
    assert found.extra_info["within_one_level"] == 1
    assert found.extra_info["psnr_db"] == "the same" or found.extra_info["psnr_db"] > 60
    monkeypatch.setattr("adain_bench.measure.exactness.picture", lambda *_: None)
    (failed,) = exactness(ours(models, ["onnxruntime"], ["fp32"]), models, [32])
    assert failed.skipped
