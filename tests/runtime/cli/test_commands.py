"""Commands that other packages offer."""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.metadata import EntryPoint
from types import ModuleType

import click
import pytest

GROUP = "adain_rt.commands"


@click.command("juggle")
def juggle() -> None:
    """Juggle pictures."""
    click.echo("juggled")


@pytest.fixture
def offered(monkeypatch):
    """Offer commands as an installed package would: one that works, and some that cannot be loaded."""
    module = ModuleType("circus")
    module.juggle = juggle
    module.clown = "not a command"
    monkeypatch.setitem(sys.modules, "circus", module)
    points = [
        EntryPoint("juggle", "circus:juggle", GROUP),
        EntryPoint("clown", "circus:clown", GROUP),
        EntryPoint("lion", "lion_tamer.cli:command", GROUP),
        EntryPoint("info", "circus:juggle", GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point for point in points if point.group == group])


def test_a_command_of_another_package_is_listed_and_run(run, offered):
    assert "  juggle   Juggle pictures.\n" in run("--help").out
    assert run("juggle").out == "juggled\n"


def test_a_package_that_is_missing_or_broken_costs_only_its_own_line(run, offered):
    result = run("--help")
    assert (result.status, result.err) == (0, "")
    assert "  lion     (lion_tamer.cli cannot be loaded: No module named 'lion_tamer')\n" in result.out
    assert "  clown    (circus:clown is not a command)\n" in result.out
    assert "  stylize  Paint photos in the style of pictures.\n" in result.out
    run("lion").refused("lion_tamer.cli cannot be loaded: No module named 'lion_tamer'")
    run("clown").refused("circus:clown is not a command")


def test_a_package_cannot_replace_a_command_of_the_runtime(run, offered):
    assert "juggled" not in run("info").out
    assert run("--help").out.count("  info ") == 1


def test_a_command_of_the_runtime_is_found_without_reading_entry_points(run, monkeypatch):
    def fail(**_):
        raise AssertionError

    monkeypatch.setattr(metadata, "entry_points", fail)
    assert run("style", "list").status == 0
