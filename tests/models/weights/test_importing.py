from __future__ import annotations

import os
import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adain_models.errors import AdainError
from adain_models.networks.lite import Lite
from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import checkpoint, importing
from adain_models.weights.importing import import_weights

WIDTH = 2  # of the first block; 64 in the real files
ENCODER = {
    0: (3, 3, 1, 1),
    2: (WIDTH, 3, 3, 3),
    5: (WIDTH, WIDTH, 3, 3),
    9: (2 * WIDTH, WIDTH, 3, 3),
    12: (2 * WIDTH, 2 * WIDTH, 3, 3),
    16: (4 * WIDTH, 2 * WIDTH, 3, 3),
    19: (4 * WIDTH, 4 * WIDTH, 3, 3),
    22: (4 * WIDTH, 4 * WIDTH, 3, 3),
    25: (4 * WIDTH, 4 * WIDTH, 3, 3),
    29: (8 * WIDTH, 4 * WIDTH, 3, 3),
    32: (8 * WIDTH, 8 * WIDTH, 3, 3),  # conv4_2: in the file, and not used
}
DECODER = {
    1: (4 * WIDTH, 8 * WIDTH, 3, 3),
    5: (4 * WIDTH, 4 * WIDTH, 3, 3),
    8: (4 * WIDTH, 4 * WIDTH, 3, 3),
    11: (4 * WIDTH, 4 * WIDTH, 3, 3),
    14: (2 * WIDTH, 4 * WIDTH, 3, 3),
    18: (2 * WIDTH, 2 * WIDTH, 3, 3),
    21: (WIDTH, 2 * WIDTH, 3, 3),
    25: (WIDTH, WIDTH, 3, 3),
    28: (3, WIDTH, 3, 3),
}


def state_of(convolutions: dict[int, tuple[int, ...]]) -> dict[str, Tensor]:
    state = {}
    for index, shape in convolutions.items():
        state[f"{index}.weight"] = torch.randn(shape)
        state[f"{index}.bias"] = torch.randn(shape[0])
    return state


@pytest.fixture
def public(tmp_path: Path) -> list[Path]:
    files = [tmp_path / "vgg_normalised.pth", tmp_path / "decoder.pth"]
    torch.save(state_of(ENCODER), files[0])
    torch.save(state_of(DECODER), files[1], _use_new_zipfile_serialization=False)  # as the real ones are
    return files


@pytest.fixture
def lite() -> dict[str, Tensor]:
    return {name: torch.randn_like(tensor) for name, tensor in Lite().state_dict().items()}


def refusal(files: list[Path], directory: Path, architecture: str | None = None) -> str:
    """Import what must be refused; return the one line that says why."""
    with pytest.raises(AdainError) as caught:
        import_weights(files, directory, architecture)
    assert not directory.exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("order", [1, -1], ids=["encoder first", "decoder first"])
def test_the_two_public_files_make_a_vgg19(public: list[Path], tmp_path: Path, order: int) -> None:
    path = import_weights(public[::order], tmp_path / "model")
    assert path == tmp_path / "model" / "weights.safetensors"
    tensors = checkpoint.load(path).state_dict()
    encoder, decoder = torch.load(public[0]), torch.load(public[1])
    assert torch.equal(tensors["encoder.affine.weight"], encoder["0.weight"])
    assert torch.equal(tensors["encoder.conv4_1.bias"], encoder["29.bias"])
    assert torch.equal(tensors["decoder.conv4_1.weight"], decoder["1.weight"])
    assert torch.equal(tensors["decoder.conv1_1.bias"], decoder["28.bias"])
    assert len(tensors) == 2 * (len(ENCODER) - 1 + len(DECODER))


def test_our_own_safetensors_file_is_imported_as_it_is(tmp_path: Path) -> None:
    network = Vgg19(width=WIDTH)
    checkpoint.save(network, tmp_path / "mine.safetensors")
    path = import_weights([tmp_path / "mine.safetensors"], tmp_path / "model")
    assert path.read_bytes() == (tmp_path / "mine.safetensors").read_bytes()


def test_a_safetensors_file_that_names_no_architecture_is_known_by_its_tensors(
    lite: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(lite, tmp_path / "mine.safetensors")
    path = import_weights([tmp_path / "mine.safetensors"], tmp_path / "model")
    network = checkpoint.load(path)
    assert network.architecture == "lite"
    assert all(torch.equal(tensor, lite[name]) for name, tensor in network.state_dict().items())


def test_a_state_dict_of_a_network_of_ours_is_imported(lite: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(lite, tmp_path / "mine.pth")
    imported = load_file(import_weights([tmp_path / "mine.pth"], tmp_path / "model"))
    assert imported.keys() == lite.keys()
    assert all(torch.equal(imported[name], lite[name]) for name in lite)


def test_half_precision_is_imported_as_float32(lite: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({name: tensor.half() for name, tensor in lite.items()}, tmp_path / "mine.pth")
    imported = load_file(import_weights([tmp_path / "mine.pth"], tmp_path / "model"))
    assert {tensor.dtype for tensor in imported.values()} == {torch.float32}


def test_weights_that_are_there_are_replaced(lite: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"old")
    torch.save(lite, tmp_path / "mine.pth")
    assert checkpoint.load(import_weights([tmp_path / "mine.pth"], tmp_path / "model")).channels == 128


def test_weights_of_another_architecture_than_asked_for_are_refused(lite: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(lite, tmp_path / "mine.pth")
    message = refusal([tmp_path / "mine.pth"], tmp_path / "model", "vgg19")
    assert message == f"{tmp_path / 'mine.pth'}: the weights of lite, not of vgg19"


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\x80\x02", b"PK\x03\x04" + bytes(99)])
@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_file_that_is_no_weights_file_is_named_as_that(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    message = refusal([tmp_path / name], tmp_path / "model")
    assert re.fullmatch(rf"{tmp_path / name}: is not a (PyTorch|safetensors) file, or is damaged", message)


def test_nothing_is_said_of_a_file_beside_why_it_is_refused(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "x.pth").write_bytes(pickle.dumps({}, protocol=4))  # PyTorch warns of this protocol
    assert "is not a PyTorch file" in refusal([tmp_path / "x.pth"], tmp_path / "model")
    assert len(recwarn) == 0


@pytest.mark.parametrize("keep", [20, 1000, -1])
def test_a_file_that_was_cut_short_is_named_as_damaged(public: list[Path], tmp_path: Path, keep: int) -> None:
    for file in public:
        whole = file.read_bytes()
        file.write_bytes(whole[:keep])
        assert refusal(public, tmp_path / "model") == f"{file}: is not a PyTorch file, or is damaged"
        file.write_bytes(whole)


class Code:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    state = state_of(DECODER) | {"1.bias": Code(tmp_path / "ran")}
    torch.save(state, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    message = refusal([tmp_path / "evil.pth"], tmp_path / "model")
    assert "opening it could run code" in message
    assert not (tmp_path / "ran").exists()


def test_code_in_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Code(tmp_path / "ran"), protocol=2))
    assert "opening it could run code" in refusal([tmp_path / "evil.pth"], tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_network_is_refused_with_the_way_out(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    assert "save the network's state_dict() instead" in refusal([tmp_path / "net.pth"], tmp_path / "model")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"0.weight": torch.zeros(1)}}, {}])
def test_a_file_without_named_tensors_is_named_as_that(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    assert "holds no tensors by name" in refusal([tmp_path / "x.pth"], tmp_path / "model")


def test_another_network_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    torch.save({"layer1.weight": torch.zeros(1), "fc\n\x1b[2J": torch.zeros(1)}, tmp_path / "resnet.pth")
    message = refusal([tmp_path / "resnet.pth"], tmp_path / "model")
    assert "holds the tensors of another network: expected encoder.conv1_1.weight" in message
    assert message.endswith(r"found 'fc\n\x1b[2J', 'layer1.weight'")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder.conv1.weight": None}, "expected (16, 3, 5, 5), found nowhere"),
        ({"encoder.conv1.weight": torch.zeros(3)}, "expected (16, 3, 5, 5), found (3,)"),
        ({"decoder.more": torch.zeros(3)}, "'decoder.more' expected nowhere, found (3,)"),
        ({"encoder.conv1.weight": torch.zeros(16, 3, 5, 5).long()}, "expected (16, 3, 5, 5), found nowhere"),
        ({"encoder.conv1.weight": torch.zeros(16, 3, 5, 5).to_sparse()}, "found nowhere"),
        ({"encoder.conv1.weight": torch.zeros(16, 3, 5, 5, device="meta")}, "found nowhere"),
    ],
    ids=["lacking", "of another shape", "too many", "of integers", "sparse", "without values"],
)
def test_a_network_of_ours_that_does_not_fit_is_told_which_tensor(
    lite: dict[str, Tensor], tmp_path: Path, change: dict[str, Tensor | None], said: str
) -> None:
    changed = {name: tensor for name, tensor in (lite | change).items() if tensor is not None}
    torch.save(changed, tmp_path / "mine.pth")
    message = refusal([tmp_path / "mine.pth"], tmp_path / "model")
    assert "holds the tensors of another network than lite: " in message
    assert said in message


def test_public_files_of_another_network_are_named_both(public: list[Path], tmp_path: Path) -> None:
    torch.save(state_of(DECODER) | {"28.weight": torch.zeros(3)}, public[1])
    message = refusal(public, tmp_path / "model")
    assert f"{public[0]} and {public[1]}: holds the tensors of another network than vgg19" in message


@pytest.mark.parametrize("chosen", [[0], [1], [0, 0], [1, 1], [0, 1, 1], []])
def test_anything_but_the_two_public_files_is_told_to_be_incomplete(
    public: list[Path], tmp_path: Path, chosen: list[int]
) -> None:
    message = refusal([public[index] for index in chosen], tmp_path / "model")
    assert "give vgg_normalised.pth and decoder.pth together" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal([tmp_path / "no.pth"], tmp_path / "model") == f"{tmp_path / 'no.pth'}: there is no such file"


def test_a_file_above_the_limit_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with (tmp_path / "huge.pth").open("wb") as file:
        file.truncate(importing._LIMIT_BYTES + 1)  # takes no room on the disk
    assert "is larger than 1024 MiB" in refusal([tmp_path / "huge.pth"], tmp_path / "model")


def test_a_directory_that_cannot_be_made_is_named(lite: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(lite, tmp_path / "mine.pth")
    with pytest.raises(AdainError, match="cannot be written"):
        import_weights([tmp_path / "mine.pth"], tmp_path / "mine.pth" / "model")


def test_tensors_that_are_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    """A file of a few bytes can hold a tensor that repeats one number for ever."""
    torch.save({"encoder.conv1.weight": torch.zeros(1).expand(1 << 30)}, tmp_path / "small.pth")
    assert (tmp_path / "small.pth").stat().st_size < 10_000
    assert "its tensors are larger than 1024 MiB" in refusal([tmp_path / "small.pth"], tmp_path / "model")


def pack(source: Path, target: Path, **added: bytes) -> None:
    """Write a PyTorch file again, compressed, with more parts."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
        for name, content in added.items():
            new.writestr(f"archive/data/{name}", content)


def test_a_file_that_unpacks_to_more_than_any_weights_is_refused_before_it_is_unpacked(
    lite: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(lite, tmp_path / "mine.pth")
    pack(tmp_path / "mine.pth", tmp_path / "bomb.pth", bomb=bytes(20 << 20))
    monkeypatch.setattr(importing, "_LIMIT_BYTES", 16 << 20)
    assert (tmp_path / "bomb.pth").stat().st_size < 16 << 20
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", None)
        said = refusal([tmp_path / "bomb.pth"], tmp_path / "model")
    assert said.endswith("bomb.pth: unpacks to more than 16 MiB, more than any weights")


def test_an_archive_that_ends_too_early_is_damaged(lite: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(lite, tmp_path / "mine.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "mine.pth").read_bytes()[:-30])
    assert refusal([tmp_path / "cut.pth"], tmp_path / "model").endswith("is not a PyTorch file, or is damaged")
