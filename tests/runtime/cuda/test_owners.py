"""Owners of things on the GPU free them once, and not at exit."""

from __future__ import annotations

import gc
import subprocess
import sys

from tests.runtime.fake_cuda import FakeCuda

from adain_models.errors import AdainError
from adain_rt.cuda.owners import DeviceBuffer, Event, Graph, PinnedBuffer, Stream


def test_owners_free_what_they_own_once():
    fake = FakeCuda()
    with fake.current():
        stream = Stream(fake)
        owners = [DeviceBuffer(fake, 8), PinnedBuffer(fake, (2, 2), "float32"), Event(fake)]
        owners.append(Graph(fake, stream, lambda: None))
    # a stream has an event of its own
    assert (len(fake.memory), len(fake.pinned), len(fake.events), len(fake.graphs)) == (1, 1, 2, 1)
    for owner in owners[:2]:
        owner.close()
        owner.close()
    del owners, owner, stream
    gc.collect()
    assert (fake.memory, fake.pinned, fake.events, fake.graphs) == ({}, {}, {}, {})


def test_owners_of_a_lost_gpu_go_quietly(monkeypatch):
    fake = FakeCuda()

    def lost(_: int) -> None:
        raise AdainError("the GPU failed in cudaFree (cudaErrorIllegalAddress: in words)")

    monkeypatch.setattr(fake, "free", lost)
    with fake.current():
        DeviceBuffer(fake, 8).close()


def test_nothing_is_freed_at_exit():
    """The driver takes all back then, and may be gone before."""
    code = (
        "from adain_rt.cuda.owners import DeviceBuffer\n"
        "class Cuda:\n"
        "    allocate = staticmethod(lambda nbytes: 256)\n"
        "    free = staticmethod(lambda address: print('freed'))\n"
        "kept = DeviceBuffer(Cuda(), 8)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert (done.stdout, done.stderr) == ("", "")


def test_a_closed_stream_frees_its_event_too():
    fake = FakeCuda()
    with fake.current():
        stream = Stream(fake)
        streams = len(fake.streams)
        stream.close()
    assert len(fake.streams) == streams - 1
    assert fake.events == {}
