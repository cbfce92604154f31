"""``adain-rt serve``: how it starts, and how it says that it cannot."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest
from tests.runtime.serve.servers import PROGRAM, serving


def test_a_port_that_is_taken_is_refused(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        run("serve", "--port", port).refused(
            f"127.0.0.1:{port}: cannot be listened on", "choose another --port or --host"
        )


def test_an_address_of_another_machine_is_refused(run):
    run("serve", "--host", "192.0.2.1").refused("192.0.2.1:8000: cannot be listened on")
    run("serve", "--host", "nowhere.invalid").refused("nowhere.invalid: is no address of this machine")


def test_a_model_that_cannot_run_is_refused_before_anything_is_served(run, tmp_path):
    run("serve", "--model", tmp_path, "--port", "0").refused(str(tmp_path))


@pytest.mark.parametrize("package", ["prometheus_client", "python_multipart", "starlette", "uvicorn"])
def test_a_missing_package_is_one_line_that_can_be_copied(package):
    program = f"import sys; sys.modules['{package}'] = None; {PROGRAM}"
    ended = subprocess.run([sys.executable, "-c", program, "serve"], capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == 2
    assert re.fullmatch(rf"adain-rt: serve needs {package}(\.\w+)?: pip install 'adain-rt\[serve\]'\n", ended.stderr)


def test_other_commands_load_nothing_of_the_server():
    told = "import atexit, sys; atexit.register(lambda: print(sorted({*sys.modules} & {'asyncio', 'starlette'})))"
    command = [sys.executable, "-c", f"{told}; {PROGRAM}", "stylize", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert ended.stdout.endswith("[]\n")


def test_a_server_for_others_says_that_it_has_no_token_and_goes_by_any_name(tmp_path):
    with serving(tmp_path / "log", "--host", "0.0.0.0") as server, server.client() as client:  # noqa: S104 - on purpose
        assert "there is no token" in server.log.read_text()
        assert client.get("/v1/models", headers={"Host": "paint.example"}).status_code == 200
