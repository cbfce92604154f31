"""Batches on Ray Data. All tests share a cluster of two machines of one core each, which are processes here.

The last test takes one of the machines away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adain_rt.backends import Settings
from adain_rt.contract import Pixels
from adain_rt.jobs.batch import Batch
from adain_rt.jobs.painter import Painter, Result, Task
from adain_rt.jobs.styles import parse
from adain_rt.stylizer import Stylizer

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,  # it needs Ray
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # Ray's, of its own environment variables
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

OPTIONS = ("--style", "painting.png", "--style-size", "0", "--backend", "onnxruntime", "--precision", "fp32")


class Fatal(Painter):
    """Ends its process at one picture, as a decoder with a fault or a system without memory does."""

    def _try(self, content: str, tasks: list[Task]) -> Iterator[Result]:
        if Path(content).name == "fatal.png":
            os._exit(1)
        yield from super()._try(content, tasks)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose head computes nothing, with two machines of one core, to which this process is connected."""
    from ray.cluster_utils import Cluster

    memory = 80 << 20
    head = {"num_cpus": 0, "object_store_memory": memory, "include_dashboard": False}
    head["_system_config"] = {"health_check_period_ms": 1000}  # so that it knows soon that a machine is lost
    made = Cluster(initialize_head=True, head_node_args=head)
    made.doomed = made.add_node(num_cpus=1, object_store_memory=memory)
    made.add_node(num_cpus=1, object_store_memory=memory)
    ray.init(address=made.address, log_to_driver=False, logging_level="critical")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def photos(desk, china: Pixels) -> Path:
    """A folder of forty small photographs of several sizes."""
    (desk / "photos").mkdir()
    for number in range(40):
        size = 32 + 4 * (number % 5)
        Image.fromarray(china[number * 8 :][:size, : size + 8]).save(desk / "photos" / f"{number:02}.png")
    return desk / "photos"


def work_on(batch: Batch, painter: Painter | None = None) -> Iterator[Result]:
    from adain_rt.integrations import ray_data

    ready = painter or batch.make_painter(stylizer())
    with ray_data.hush():
        yield from ray_data.run(batch, ready, ray_data.Workers(None, 1, 0), None)


def stylizer() -> Stylizer:
    return Stylizer(backend="onnxruntime", precision="fp32", settings=Settings(threads=1))


def batch_alone(*options: str) -> subprocess.CompletedProcess[str]:
    """Paint one picture by a command in a process of its own."""
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", "batch", "photo.jpg", *OPTIONS]
    return subprocess.run([*command, "-o", "out/", *options], capture_output=True, text=True, check=False)  # noqa: S603


def plan(*contents: str, **options) -> Batch:
    return Batch(contents, [parse("painting.png")], "out/", style_size=0, **options)


def test_a_batch_does_what_stylize_does(cluster, run, desk, photos):
    (photos / "broken.jpg").write_bytes(b"broken")
    plain = run("stylize", "photos", *OPTIONS, "-o", "plain/")
    batch = run("batch", "photos", *OPTIONS, "-o", "out/", "--manifest", "done.jsonl")
    assert (plain.status, batch.status) == (1, 1)
    # Ray's lines before are here alone: its loggers have the stderr of pytest, and not the descriptor.
    assert batch.err.splitlines()[-1] == plain.err.strip().replace("photos/broken", f"{photos}/broken")
    assert "painted: 40" in batch.out
    assert "failed: 1" in batch.out
    names = sorted(path.name for path in (desk / "plain").iterdir())
    assert sorted(path.name for path in (desk / "out").iterdir()) == names
    for name in names:
        assert (desk / "out" / name).read_bytes() == (desk / "plain" / name).read_bytes()
    rows = [json.loads(line) for line in Path("done.jsonl").read_text("utf-8").splitlines()]
    assert Counter(row["status"] for row in rows) == {"painted": 40, "failed": 1}
    assert {row["backend"] for row in rows} == {"onnxruntime", None}
    resumed = run("batch", "photos", *OPTIONS, "-o", "out/", "--manifest", "done.parquet", "--resume")
    assert "skipped: 40, failed: 1  (" in resumed.out


def test_a_picture_that_ends_its_worker_is_one_failure(cluster, photos, desk, monkeypatch):
    from adain_rt.integrations import ray_data

    monkeypatch.setattr(ray_data, "_TRIES", 1)
    monkeypatch.setattr(ray_data, "_TRIES_ALONE", 1)
    (photos / "19.png").rename(photos / "fatal.png")
    batch = plan("photos")
    made = batch.make_painter(stylizer())
    results = list(work_on(batch, Fatal(made.stylizer, made.job, made.mixes)))
    assert Counter(result.status for result in results) == {"painted": 39, "failed": 1}
    assert len({result.content for result in results}) == 40
    (failed,) = (result for result in results if result.status == "failed")
    assert failed.error.startswith(f"{photos / 'fatal.png'}: the worker ended each time it came to this picture")


def test_a_worker_that_fits_nowhere_is_refused(cluster, run, desk):
    run("batch", "photo.jpg", *OPTIONS, "-o", "out/", "--threads", "64").refused(
        "no machine has room for a worker with 64 cores and 0 GPUs; use fewer --threads or --gpus"
    )


@pytest.mark.cluster
def test_a_cluster_is_found_by_its_address_and_ray_is_not_heard(cluster, desk):
    # With no address, Ray is started on this machine: the blocks of docs/guides/ray.md do that.
    ended = batch_alone("--address", cluster.address)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("painted: 1  (")
    assert ended.stdout.count("\n") == 1
    assert (desk / "out" / "photo_stylized_painting.jpg").is_file()


def test_a_cluster_that_is_not_there_is_one_line(desk):
    ended = batch_alone("--address", "127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("adain-rt: the Ray cluster at 127.0.0.1:1 cannot be reached (")
    assert ended.stderr.count("\n") == 1


def test_a_machine_that_is_lost_costs_no_picture_and_doubles_none(cluster, photos, desk):
    results = []
    for result in work_on(plan("photos")):
        results.append(result)
        if len(results) == 6:
            cluster.remove_node(cluster.doomed, allow_graceful=False)
    assert Counter(result.status for result in results) == {"painted": 40}
    assert len({result.content for result in results}) == 40
    made = {path.name for path in (desk / "out").iterdir() if not path.name.startswith(".")}  # a kill may leave a part
    assert made == {f"{Path(result.content).stem}_stylized_painting.png" for result in results}
