"""How many threads compute where nobody says how many."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from adain_models.weights import store
from adain_rt.backends.base import Settings
from adain_rt.backends.onnxruntime.cpu import OnnxRuntimeBackend
from adain_rt.machine import limits

LITE = store.model_dir("lite")

SHARE_OF_TIME = """
import pathlib, sys, time, numpy as np
from adain_rt.backends import open_backend
from adain_rt.machine import limits
limits.cores = lambda: 1
backend = open_backend(sys.argv[1], pathlib.Path(sys.argv[2]))
run = lambda: backend.run("encode", {"image": np.zeros((1, 512, 512, 3), np.uint8)})
run(); used, passed = time.process_time(), time.perf_counter()
for _ in range(5): run()
print((time.process_time() - used) / (time.perf_counter() - passed))
"""


@pytest.mark.parametrize("name", [pytest.param("openvino", marks=pytest.mark.slow), "onnxruntime"])
def test_a_container_with_one_processors_time_gets_one_thread(name):
    command = [sys.executable, "-c", SHARE_OF_TIME, name, str(LITE)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own program
    assert float(said) < 1.2


@pytest.mark.parametrize(
    ("limit", "asked", "threads"), [(None, None, 0), (10_000, None, 0), (1, None, 1), (1, 3, 3), (None, 3, 3)]
)
def test_without_a_limit_the_library_chooses_and_what_is_asked_for_holds(monkeypatch, limit, asked, threads):
    monkeypatch.setattr(limits, "cores", lambda: limit)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    backend = OnnxRuntimeBackend(LITE, "fp32", Settings(threads=asked))
    assert backend._options().intra_op_num_threads == threads


@pytest.mark.parametrize(("threads", "together"), [(1, 2), (2, 1)])
def test_runs_that_would_share_onnx_runtimes_threads_come_one_after_the_other(monkeypatch, threads, together):
    backend = OnnxRuntimeBackend(LITE, "fp32", Settings(threads=threads))
    inside, most, meeting = [], [], threading.Barrier(2)

    class Session:
        def run(self, _outputs, _inputs):
            inside.append(1)
            with suppress(threading.BrokenBarrierError):
                meeting.wait(0.2 if together == 1 else 60)
            most.append(len(inside))
            inside.pop()
            return ()

    monkeypatch.setattr(backend, "_open_session", lambda _graph: Session())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: backend.run("encode", {}), range(2)))
    assert max(most) == together


@pytest.mark.slow
def test_training_keeps_to_a_containers_time(monkeypatch):
    import torch

    from adain_rt.jobs import training

    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    for limit in (None, 2):
        monkeypatch.setattr(limits, "cores", lambda limit=limit: limit)
        training.prepare_device("cpu")
    assert set_to == [2]
