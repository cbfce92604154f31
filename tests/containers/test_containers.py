"""What the Dockerfiles promise, as far as it can be read: no image is built here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from adain_rt.cli import cli

tomllib = pytest.importorskip("tomllib")  # since Python 3.11

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "containers"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = {"cpu": ("serve", "openvino", "photos"), "gpu": ("serve", "tensorrt", "photos")}

both = pytest.mark.parametrize("kind", EXTRAS)


def read_steps(kind: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile and what follows them."""
    text = re.sub(r"^#.*\n", "", (CONTAINERS / f"Dockerfile.{kind}").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line]


def read_last(kind: str, name: str) -> str:
    return [rest for word, rest in read_steps(kind) if word == name][-1]


def list_requirements(extra: str) -> list[Requirement]:
    """Return what an extra installs, with what the extras in it install."""
    found = []
    for requirement in map(Requirement, PROJECT["project"]["optional-dependencies"][extra]):
        if requirement.name == "adain-rt":
            found += [each for name in requirement.extras for each in list_requirements(name)]
        else:
            found.append(requirement)
    return found


def read_pins(text: str) -> dict[str, Version]:
    """Return the versions in a lock file that come with hashes."""
    pins = re.findall(r"^(\S+)==(\S+)(?: ;.*)? \\\n((?:    --hash=sha256:\w{64}(?: \\)?\n)+)", text, re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version, _ in pins}


@both
def test_the_base_is_pinned_and_the_server_is_not_root(kind):
    bases = [rest for word, rest in read_steps(kind) if word == "FROM"]
    assert re.fullmatch(r"\S+:[\w.-]+@sha256:[0-9a-f]{64} AS base", bases[0])
    assert bases[1:] == ["base AS build", "base"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", read_last(kind, "USER"))


@both
def test_it_runs_a_command_that_there_is_and_asks_it_whether_it_is_well(kind):
    assert json.loads(read_last(kind, "ENTRYPOINT")) == ["adain-rt"]
    name, *arguments = json.loads(read_last(kind, "CMD"))
    command = cli.get_command(click.Context(cli), name)
    options = command.make_context(name, arguments).params
    assert options["host"] == "0.0.0.0"  # noqa: S104 - inside a container
    assert f":{options['port']}/v2/health/ready" in read_last(kind, "HEALTHCHECK")
    assert read_last(kind, "EXPOSE") == str(options["port"])
    python, flag, script = json.loads(read_last(kind, "HEALTHCHECK").split("CMD ")[1])
    assert (python, flag) == ("python", "-c")
    compile(script, "healthcheck", "exec")


@both
def test_all_that_it_installs_is_pinned_with_a_hash(kind):
    text = (CONTAINERS / f"{kind}.txt").read_text("utf-8")
    pinned = read_pins(text)
    assert len(pinned) == text.count("==")
    wanted = [*map(Requirement, PROJECT["project"]["dependencies"])]
    for extra in EXTRAS[kind]:
        wanted += list_requirements(extra)
    for requirement in wanted:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_what_builds_the_wheel_is_pinned_with_a_hash():
    text = (CONTAINERS / "build.txt").read_text("utf-8")
    pinned = read_pins(text)
    assert len(pinned) == text.count("==")
    for requirement in map(Requirement, PROJECT["build-system"]["requires"]):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_the_builder_gets_what_the_wheel_is_made_of_and_no_more():
    allowed = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] not in {"#", ""}]
    assert allowed[0] == "*"
    sent = {line[1:] for line in allowed if line.startswith("!")}
    project = PROJECT["project"]
    needed = {project["readme"], *project["license-files"], "pyproject.toml", "containers/*.txt"}
    assert sent == needed | {
        path.split("/")[0] for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }
