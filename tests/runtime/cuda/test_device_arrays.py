"""Arrays on the GPU, taken from other libraries and given to them, in the memory of a fake GPU."""

from __future__ import annotations

import gc
import sys
from typing import Any

import numpy as np
import pytest
from tests.runtime.fake_cuda import FakeArray, FakeCuda, patched_dlpack_device

from adain_models.errors import AdainError
from adain_rt.cuda import dlpack
from adain_rt.cuda.arrays import DeviceArray, borrow, is_on_device
from adain_rt.cuda.owners import Stream

PICTURE = np.arange(2 * 16 * 4, dtype=np.uint8).reshape(2, 16, 4)


@pytest.fixture
def fake() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def stream(fake) -> Stream:
    with fake.current():
        return Stream(fake)


class Lender:
    """An object that speaks DLPack alone: NumPy's capsules, said to be of a GPU."""

    def __init__(self, content: np.ndarray, device: tuple[int, int] = (dlpack.CUDA, 0)) -> None:
        block = np.empty(content.nbytes + 256, np.uint8)  # where the GPU's memory begins at a multiple of 256
        offset = -block.ctypes.data % 256
        self.content = block[offset : offset + content.nbytes].view(content.dtype).reshape(content.shape)
        self.content[...] = content
        self.shape = content.shape
        self.streams: list[int | None] = []
        self._device = device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        self.streams.append(stream)
        capsule = self.content.__dlpack__()
        patched_dlpack_device(capsule, dlpack.CUDA)
        return capsule


def test_dlpack_is_taken_where_it_is_and_given_back(stream):
    lender = Lender(PICTURE)
    before = np.asarray(lender.content)
    taken = borrow("image", lender, "uint8", PICTURE.shape, stream)
    assert taken.address == before.ctypes.data
    assert lender.streams == [stream.handle]  # so that its library lets our stream wait
    taken.release()


def test_a_capsule_is_consumed_once_and_its_deleter_called_once():
    freed: list[str] = []

    class Watched(np.ndarray):
        def __del__(self) -> None:
            freed.append("freed")

    array = PICTURE.copy().view(Watched)
    capsule = array.__dlpack__()
    del array
    tensor = dlpack.read_capsule(capsule)
    assert "used_dltensor" in repr(capsule)
    with pytest.raises(AdainError, match="used before"):
        dlpack.read_capsule(capsule)
    del capsule
    gc.collect()
    assert freed == []
    tensor.release()
    gc.collect()
    assert freed == ["freed"]


def test_what_a_capsule_says_is_read():
    strided = np.zeros((4, 6), np.float32)[:, ::2]
    tensor = dlpack.read_capsule(strided.__dlpack__())
    assert (tensor.typestr, tensor.shape, tensor.strides) == ("f4", (4, 3), (24, 8))
    tensor.release()


def test_the_array_interface_is_taken_where_it_is_and_its_stream_waited_for(fake, stream):
    with fake.current():
        theirs = fake.create_stream()
        array = FakeArray(fake, PICTURE, theirs)
        taken = borrow("image", array, "uint8", PICTURE.shape, stream)
        assert taken.address == array.address
        assert fake.view(array.address, 1)[0] == 0xCD  # not made yet
        stream.synchronize()
    np.testing.assert_array_equal(fake.view(array.address, PICTURE.nbytes), PICTURE.reshape(-1))
    taken.release()


def test_an_array_that_is_ready_is_not_waited_for(fake, stream):
    array = FakeArray(fake, PICTURE)
    array.stream = None
    fake.calls.clear()
    with fake.current():
        borrow("image", array, "uint8", PICTURE.shape, stream)
    assert fake.calls == []


def test_strides_that_are_those_of_a_contiguous_array_are_taken(fake, stream):
    array = FakeArray(fake, PICTURE[:1])
    array.strides = (999, 4, 1)  # along one element it does not matter
    with fake.current():
        borrow("image", array, "uint8", (1, 16, 4), stream)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dtype": np.dtype("int8")}, r"image must be uint8 \(2, 16, 4\), not i1 \(2, 16, 4\)"),
        ({"shape": (2, 16, 3)}, r"image must be uint8 \(2, 16, 4\), not u1 \(2, 16, 3\)"),
        ({"strides": (1, 2, 32)}, "image must be C-contiguous; pass a contiguous copy"),
        ({"offset": 64}, "image must begin at a multiple of 256 bytes; pass a copy of it"),
        ({"read_only": True}, "image is read-only and cannot be written"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_in_one_line(fake, stream, change, said):
    array = FakeArray(fake, PICTURE)
    vars(array).update(change)
    with fake.current(), pytest.raises(AdainError, match=rf"\A{said}\Z"):
        borrow("image", array, "uint8", PICTURE.shape, stream, written=True)


def test_a_masked_array_is_refused(fake, stream):
    class Masked(FakeArray):
        @property
        def __cuda_array_interface__(self) -> dict[str, Any]:
            return super().__cuda_array_interface__ | {"mask": object()}

    with fake.current(), pytest.raises(AdainError, match="masked"):
        borrow("image", Masked(fake, PICTURE), "uint8", PICTURE.shape, stream)


def test_another_gpu_is_refused(stream):
    with pytest.raises(AdainError, match=r"on another device \(DLPack's 2:1\) than the first GPU"):
        borrow("image", Lender(PICTURE, (dlpack.CUDA, 1)), "uint8", PICTURE.shape, stream)


def test_what_is_refused_is_given_back(stream):
    lender = Lender(PICTURE)
    before = sys.getrefcount(lender.content)
    with pytest.raises(AdainError, match="must be float32"):
        borrow("image", lender, "float32", PICTURE.shape, stream)
    gc.collect()
    after = sys.getrefcount(lender.content)
    assert after == before


def test_a_library_that_will_not_hand_over_is_refused_in_one_line(stream):
    class Unwilling(Lender):
        def __dlpack__(self, *, stream: int | None = None) -> Any:
            raise BufferError("Can't export tensors that require gradient\nuse tensor.detach()")

    with pytest.raises(
        AdainError, match=r"\Aimage cannot be handed over: Can't export tensors that require gradient\Z"
    ):
        borrow("image", Unwilling(PICTURE), "uint8", PICTURE.shape, stream)


def test_what_is_on_the_host_is_told_from_what_is_on_the_gpu(fake, stream):
    assert is_on_device(FakeArray(fake, PICTURE))
    assert is_on_device(Lender(PICTURE))
    assert not is_on_device(PICTURE)  # though it speaks DLPack
    with pytest.raises(AdainError, match="image is not an array on the GPU, but ndarray"):
        borrow("image", PICTURE, "uint8", PICTURE.shape, stream)


@pytest.mark.slow
def test_a_pytorch_tensor_with_gradients_is_told_by_its_device_and_refused_in_one_line(stream):
    """PyTorch raises where such a tensor is asked for ``__cuda_array_interface__``, be it only whether it has one."""
    import torch

    class WithGradients(Lender):
        @property
        def __cuda_array_interface__(self) -> dict[str, Any]:
            raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")

        def __dlpack__(self, *, stream: int | None = None) -> Any:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")

    assert is_on_device(WithGradients(PICTURE))
    assert not is_on_device(torch.zeros(2, requires_grad=True))
    with pytest.raises(AdainError, match=r"\Aimage cannot be handed over: Can't export tensors that require gradient"):
        borrow("image", WithGradients(PICTURE), "uint8", PICTURE.shape, stream)


def test_a_stream_orders_work_by_one_event(fake, stream):
    with fake.current():
        theirs = fake.create_stream()
        fake.calls.clear()
        for _ in range(3):
            stream.wait_for(theirs)
            stream.awaited_by(theirs)
    assert fake.calls == ["record", "wait"] * 6


def test_our_arrays_speak_both_protocols(fake):
    with fake.current():
        array = DeviceArray(fake, (2, 3), "float32", stream=None)
    interface = array.__cuda_array_interface__
    assert interface == {
        "shape": (2, 3),
        "typestr": "<f4",
        "data": (array.address, False),
        "strides": None,
        "stream": None,
        "version": 3,
    }
    assert array.__dlpack_device__() == (2, 0)
    tensor = dlpack.read_capsule(array.__dlpack__(stream=7))
    assert (tensor.address, tensor.typestr, tensor.shape, tensor.strides) == (array.address, "f4", (2, 3), None)
    tensor.release()


def test_our_memory_lives_as_long_as_the_consumer_has_it(fake):
    with fake.current():
        array = DeviceArray(fake, (2, 3), "float32", stream=None)
    tensor = dlpack.read_capsule(array.__dlpack__())
    del array
    gc.collect()
    assert len(fake.memory) == 1
    tensor.release()
    gc.collect()
    assert fake.memory == {}


def test_a_capsule_that_nobody_consumed_gives_our_memory_back(fake):
    with fake.current():
        array = DeviceArray(fake, (2, 3), "float32", stream=None)
    capsule = array.__dlpack__()
    del array, capsule
    gc.collect()
    assert fake.memory == {}


def test_the_consumers_stream_waits_for_the_stream_in_whose_order_our_array_is_made(fake):
    with fake.current():
        theirs, consumer = fake.create_stream(), fake.create_stream()
        array = DeviceArray(fake, (4,), "uint8", theirs)
        fake.put(theirs, lambda: fake.view(array.address, 4).fill(5))
        capsule = array.__dlpack__(stream=consumer)
        fake.synchronize(consumer)
    assert (fake.view(array.address, 4) == 5).all()
    before = list(fake.calls)
    array.__dlpack__(stream=-1)  # which asks not to
    assert fake.calls == before
    del capsule
