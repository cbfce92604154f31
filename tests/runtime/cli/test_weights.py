from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from adain_models.errors import AdainError
from adain_models.networks.lite import Lite
from adain_models.weights import checkpoint, spec, store
from adain_models.weights.spec import WeightsFile
from adain_rt import contract
from adain_rt.cli.weights import command

CONVOLUTIONS = {
    "vgg_normalised.pth": "3>3 3>2 2>2 2>4 4>4 4>8 8>8 8>8 8>8 8>16",
    "decoder.pth": "16>8 8>8 8>8 8>8 8>4 4>4 4>2 2>2 2>3",
}
INDICES = {
    "vgg_normalised.pth": (0, 2, 5, 9, 12, 16, 19, 22, 25, 29),
    "decoder.pth": (1, 5, 8, 11, 14, 18, 21, 25, 28),
}


def public_state(name: str) -> dict[str, torch.Tensor]:
    """Return a public file's tensors, of a network 2 channels wide."""
    state = {}
    for index, widths in zip(INDICES[name], CONVOLUTIONS[name].split(), strict=True):
        inputs, outputs = map(int, widths.split(">"))
        kernel = 3 if index else 1
        state[f"{index}.weight"] = torch.randn(outputs, inputs, kernel, kernel)
        state[f"{index}.bias"] = torch.randn(outputs)
    return state


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The directory with what the server has."""
    directory = tmp_path / "published"
    directory.mkdir()
    for name in INDICES:
        torch.save(public_state(name), directory / name)
    return directory


class Handler(SimpleHTTPRequestHandler):
    def log_request(self, *_: object) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def asked(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that the server is asked for, vgg19 being published there."""
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(published))) as server:
        server.asked = []  # type: ignore[attr-defined]
        publish(monkeypatch, published, server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.asked  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def publish(monkeypatch: pytest.MonkeyPatch, published: Path, port: int) -> None:
    files = tuple(
        WeightsFile(
            name,
            f"http://127.0.0.1:{port}/{name}",
            hashlib.sha256((published / name).read_bytes()).hexdigest(),
        )
        for name in INDICES
    )
    monkeypatch.setitem(spec.MODELS, "vgg19", dataclasses.replace(spec.MODELS["vgg19"], files=files))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADAIN_RT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_torch(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del published  # which torch has written before it goes
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "adain_models.weights.importing", raising=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=True)


def output(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout.strip()


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, AdainError)
    return str(error)


def imported(directory: Path, model: str) -> str:
    return f"{directory}: imported; write the graphs with `adain-rt export --model {model}`"


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(output("list", "--json"))}


def test_fetch_downloads_and_imports(asked: list[str], cache: Path, published: Path) -> None:
    directory = cache / "models" / "vgg19"
    assert output("fetch", "vgg19") == imported(directory, "vgg19")
    assert asked == ["/vgg_normalised.pth", "/decoder.pth"]
    network = checkpoint.load(directory / "weights.safetensors")
    decoder = torch.load(published / "decoder.pth")
    assert torch.equal(network.state_dict()["decoder.conv1_1.weight"], decoder["28.weight"])


def test_fetching_what_is_here_says_so_and_downloads_nothing(asked: list[str], cache: Path) -> None:
    output("fetch", "vgg19")
    asked.clear()
    assert output("fetch", "vgg19") == f"vgg19 is already installed: {cache / 'models' / 'vgg19'}"
    assert asked == []


def test_fetching_what_ships_in_the_package_says_so() -> None:
    assert output("fetch", "lite") == "lite ships in the package; nothing to fetch"


@pytest.mark.usefixtures("no_torch")
def test_without_pytorch_fetch_keeps_the_files_and_says_what_to_install(asked: list[str], cache: Path) -> None:
    downloads = cache / "downloads" / "vgg19"
    encoder, decoder = downloads / "vgg_normalised.pth", downloads / "decoder.pth"
    assert refusal("fetch", "vgg19") == (
        f"{encoder} and {decoder}: converting the weights needs PyTorch; run "
        "`pip install 'adain-rt[export]'`, then run this again"
    )
    assert states()["vgg19"] == "fetched, not imported"
    asked.clear()
    refusal("fetch", "vgg19")
    assert asked == []


def test_with_no_network_fetch_names_both_files_and_where_they_go(
    published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, published, port=1)
    assert refusal("fetch", "vgg19") == (
        "vgg_normalised.pth cannot be fetched (Connection refused); "
        "download http://127.0.0.1:1/vgg_normalised.pth and http://127.0.0.1:1/decoder.pth by hand "
        f"into {cache / 'downloads' / 'vgg19'}, then run this again"
    )


def test_with_no_network_fetch_names_only_what_is_not_here(
    published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, published, port=1)
    downloads = cache / "downloads" / "vgg19"
    downloads.mkdir(parents=True)
    (published / "vgg_normalised.pth").rename(downloads / "vgg_normalised.pth")
    assert refusal("fetch", "vgg19") == (
        "decoder.pth cannot be fetched (Connection refused); download http://127.0.0.1:1/decoder.pth "
        f"by hand into {downloads}, then run this again"
    )


def test_files_put_there_by_hand_are_imported_with_no_network(
    published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, published, port=1)
    (cache / "downloads").mkdir(parents=True)
    published.rename(cache / "downloads" / "vgg19")
    assert output("fetch", "vgg19") == imported(cache / "models" / "vgg19", "vgg19")


@pytest.mark.usefixtures("asked")
def test_a_terminal_shows_how_far_the_download_is() -> None:
    program = (
        "import json, sys\n"
        "sys.modules['torch'] = None\n"
        "from adain_models.weights import spec\n"
        "from adain_models.weights.spec import ModelSpec, WeightsFile\n"
        "files = tuple(WeightsFile(*file) for file in json.loads(sys.argv.pop()))\n"
        "spec.MODELS['vgg19'] = ModelSpec('vgg19', 'vgg19', '', 0, '', files)\n"
        "from adain_rt.cli.weights import command\n"
        "command(['fetch', 'vgg19'])\n"
    )
    files = json.dumps([dataclasses.astuple(file) for file in spec.MODELS["vgg19"].files])
    terminal, its_end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen, os.fdopen(its_end, "wb") as stderr:
        subprocess.run([sys.executable, "-c", program, files], stderr=stderr, check=False)  # noqa: S603 - our own
        shown = screen.read(100_000).decode()
    assert "vgg_normalised.pth" in shown
    assert "100%" in shown


def test_list_tells_of_each_model_what_it_is_and_whether_it_is_here() -> None:
    heading, *lines = output("list").splitlines()
    assert heading.split() == ["name", "state", "graphs", "parameters", "licence", "summary"]
    lite, vgg19 = lines
    assert lite.startswith("lite   bundled      ")
    assert vgg19.startswith("vgg19  not fetched  no      7,010,959   MIT")


@pytest.mark.usefixtures("asked")
def test_list_json_follows_a_model_from_absent_to_exported(cache: Path) -> None:
    assert states() == {"lite": "bundled", "vgg19": "not fetched"}
    output("fetch", "vgg19")
    assert states()["vgg19"] == "present"
    directory = cache / "models" / "vgg19"
    for graph in contract.GRAPHS:
        assert json.loads(output("list", "--json"))[1]["graphs"] is False
        (directory / contract.graph_file(graph)).touch()
    row = json.loads(output("list", "--json"))[1]
    assert row["graphs"] is True
    assert row["directory"] == str(directory)
    assert row["parameters"] == 7_010_959


def test_path_prints_the_directory_of_a_bundled_model() -> None:
    assert Path(output("path", "lite")) == store.model_dir("lite")


@pytest.mark.usefixtures("asked")
def test_path_prints_the_directory_of_a_fetched_model_and_only_then(cache: Path) -> None:
    assert refusal("path", "vgg19") == "vgg19 is not installed; run `adain-rt weights fetch vgg19`"
    output("fetch", "vgg19")
    assert output("path", "vgg19") == str(cache / "models" / "vgg19")


@pytest.mark.parametrize("name", ["fetch", "path"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    assert refusal(name, "vgg20") == "model 'vgg20' is unknown: there are lite, vgg19"


def test_import_makes_a_named_model_of_the_public_files(published: Path, cache: Path) -> None:
    files = published / "decoder.pth", published / "vgg_normalised.pth"
    assert output("import", *files, "--model", "vgg19") == imported(cache / "models" / "vgg19", "vgg19")
    assert states()["vgg19"] == "present"


def test_import_makes_a_directory_of_ones_own(tmp_path: Path) -> None:
    checkpoint.save(Lite(), tmp_path / "mine.safetensors")
    directory = tmp_path / "my model"
    assert output("import", tmp_path / "mine.safetensors", "-o", directory) == imported(directory, f"'{directory}'")
    assert checkpoint.load(directory / "weights.safetensors").architecture == "lite"


def test_import_never_replaces_what_ships_in_the_package(tmp_path: Path) -> None:
    checkpoint.save(Lite(), tmp_path / "mine.safetensors")
    message = refusal("import", tmp_path / "mine.safetensors", "--model", "lite")
    assert message == "lite ships in the package and cannot be replaced; import into a directory with -o DIR"


def test_import_refuses_another_architecture_under_a_name(tmp_path: Path) -> None:
    checkpoint.save(Lite(), tmp_path / "mine.safetensors")
    assert "of lite, not of vgg19" in refusal("import", tmp_path / "mine.safetensors", "--model", "vgg19")


@pytest.mark.parametrize("where", [[], ["--model", "vgg19", "-o", "model"]], ids=["neither", "both"])
def test_import_wants_to_know_one_place(where: list[str]) -> None:
    result = run("import", "mine.safetensors", *where)
    assert result.exit_code == 2
    assert "give either --model NAME or -o DIR" in result.stderr


@pytest.mark.usefixtures("no_torch")
def test_without_pytorch_import_says_what_to_install(tmp_path: Path) -> None:
    message = refusal("import", tmp_path / "mine.pth", "-o", tmp_path / "model")
    assert "pip install 'adain-rt[export]'" in message


def test_the_module_imports_no_torch() -> None:
    program = "import sys, adain_rt.cli.weights; print('torch' in sys.modules, 'onnxruntime' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout == "False False\n"


@pytest.mark.parametrize("name", ["list", "fetch", "path", "import"])
def test_help_is_short_and_has_an_example(name: str) -> None:
    help_text = output(name, "--help")
    assert len(help_text.splitlines()) < 25
    assert f"adain-rt weights {name}" in help_text or name == "list"
