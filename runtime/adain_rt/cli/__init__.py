"""The command line, ``adain-rt``. A command's module is imported when the command is run, not before."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

import click

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.cli.terminal import Notices, complain, word_error

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["cli", "main"]

_COMMANDS = {
    "stylize": ("adain_rt.cli.stylize", "Paint photos in the style of pictures."),
    "style": ("adain_rt.cli.style", "Save, list and show styles."),
    "grid": ("adain_rt.cli.grid", "Lay out many stylised pictures on one sheet."),
    "weights": ("adain_rt.cli.weights", "List, fetch and import the weights of models."),
    "train": ("adain_rt.cli.train", "Train a network on your own pictures."),
    "info": ("adain_rt.cli.info", "Show versions, devices and the backend in use."),
}
"""The runtime's own commands. They stand here so that running one reads no entry points."""

_ENTRY_POINTS = "adain_rt.commands"
"""The entry point group in which other packages offer commands; each names a ``click.Command``."""


class _Commands(click.Group):
    """Finds commands by name, and lists them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [*_COMMANDS, *_find_entry_points()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name in _COMMANDS:
            command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
            return command
        entry_point = _find_entry_points().get(cmd_name)
        return None if entry_point is None else _load_command(entry_point)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        rows = [(name, summary) for name, (_, summary) in _COMMANDS.items()]
        for name, entry_point in _find_entry_points().items():
            try:
                rows.append((name, _load_command(entry_point).get_short_help_str(limit=200)))
            except AdainError as error:
                rows.append((name, f"({error.message})"))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _find_entry_points() -> dict[str, EntryPoint]:
    """Return the commands of other packages by name, sorted."""
    from importlib.metadata import entry_points

    found = {each.name: each for each in entry_points(group=_ENTRY_POINTS)}
    return {name: found[name] for name in sorted(found.keys() - _COMMANDS.keys())}


def _load_command(entry_point: EntryPoint) -> click.Command:
    """Return the command of another package.

    Raises:
        AdainError: the package is missing or broken.

    """
    try:
        command = entry_point.load()
    except Exception as error:  # whatever another package raises
        raise AdainError(f"{entry_point.module} cannot be loaded: {error or type(error).__name__}") from error
    if not isinstance(command, click.Command):
        raise AdainError(f"{entry_point.value} is not a command")
    return command


@click.group(cls=_Commands)
@click.version_option(package_name="adain-rt")
def cli() -> None:
    """Paint photos in the style of any picture, on a CPU or a GPU.

    \b
    Examples:
      adain-rt stylize photo.jpg --style painting.jpg
      adain-rt stylize photo.jpg --style @starry-night
      adain-rt style list

    The method is Adaptive Instance Normalization (AdaIN).
    """


def main() -> None:
    """Run the command line. An error that the user can mend is one line on stderr and exit status 2."""
    _prepare_streams()
    logging.getLogger("adain_rt").addHandler(Notices())
    signal.signal(signal.SIGTERM, _exit_on_signal)
    if "" in sys.argv[1:]:
        _fail("an argument is empty; check that no variable in it is unset")
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except (AdainError, UnicodeError) as error:
        _fail(word_error(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "adain-rt"
        _fail(f"{error.format_message()} (see `{command} --help`)")
    except click.ClickException as error:
        _fail(error.format_message())
    except click.Abort:
        sys.exit(130)  # the status that shells give a program that Ctrl-C ended
    except OSError as error:
        if error.filename is None:  # stdout; closed, so that Python does not try again to write what it holds
            with suppress(OSError):
                sys.stdout.close()
        _fail(f"{error.filename or 'stdout'}: {explain(error)}")
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    complain(message)
    sys.exit(2)


def _prepare_streams() -> None:
    """Make every standard stream exist and take any character.

    A program may be started without them, and a terminal's encoding may not have all characters of a title.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that nothing half-written is left."""
    del frame
    sys.exit(128 + number)
