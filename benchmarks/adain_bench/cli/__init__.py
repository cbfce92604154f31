"""``adain-rt bench``. A command's module is imported when the command is run or described, not before."""

from __future__ import annotations

from importlib import import_module

import click

from adain_rt.cli.groups import LazyGroup

__all__ = ["command"]

_COMMANDS = {
    "all": "measure:everything",
    "compare": "record:compare",
    "exactness": "measure:exactness",
    "gpu": "measure:gpu",
    "latency": "measure:latency",
    "normalization": "normalization:command",
    "paper": "measure:paper",
    "profile": "profile:command",
    "quality": "quality:command",
    "report": "record:report",
    "serve": "measure:serve",
    "start": "measure:start",
    "throughput": "measure:throughput",
    "tiles": "measure:tiles",
    "video": "video:command",
}
"""From a command's name to its module in this package, and its name there."""


class _Commands(LazyGroup):
    """Finds commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command


@click.group("bench", cls=_Commands)
def command() -> None:
    """Measure speed and picture quality.

    Start with `all`: it measures speed on this machine and writes a report.
    """
