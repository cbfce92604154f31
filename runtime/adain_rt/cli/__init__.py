"""The command line, ``adain-rt``. A command's module is imported when the command is run, not before."""

from __future__ import annotations

import logging
import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

import click

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.cli.groups import LazyGroup
from adain_rt.cli.streams import prepare_streams, settle_streams
from adain_rt.cli.terminal import Notices, complain, word_error

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["cli", "main"]

_COMMANDS = {
    "stylize": ("adain_rt.cli.stylize", "Paint photos in the style of pictures."),
    "video": ("adain_rt.cli.video", "Paint clips in the style of pictures, with their sound."),
    "live": ("adain_rt.cli.live", "Paint what a camera, a stream or a file shows, while it runs."),
    "style": ("adain_rt.cli.style", "Save, list and show styles."),
    "batch": ("adain_rt.cli.batch", "Paint folders of photos on all cores, or on a Ray cluster."),
    "grid": ("adain_rt.cli.grid", "Lay out many stylised pictures on one sheet."),
    "serve": ("adain_rt.cli.serve", "Serve the page and the API over HTTP."),
    "weights": ("adain_rt.cli.weights", "List, fetch and import the weights of models."),
    "train": ("adain_rt.cli.train", "Train a network on your own pictures."),
    "info": ("adain_rt.cli.info", "Show versions, devices and the backend in use."),
}
"""The runtime's own commands. They stand here so that running one reads no entry points."""

_ENTRY_POINTS = "adain_rt.commands"
"""The entry point group in which other packages offer commands; each names a ``click.Command``."""

_SIGPIPE = 13
"""The signal that ends other programs when nobody reads what they write. Windows has no name for it."""


class _Commands(LazyGroup):
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
    prepare_streams()
    logging.getLogger("adain_rt").addHandler(Notices())
    signal.signal(signal.SIGTERM, _exit_on_signal)
    status = _run()
    settle_streams()
    sys.exit(status)


def _run() -> int:
    """Run the command that was given, write the rest of what it prints, and return the exit status."""
    try:
        status = _run_command()
        sys.stdout.flush()
    except (AdainError, UnicodeError) as error:
        status = _fail(word_error(error))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "adain-rt"
        status = _fail(f"{error.format_message()} (see `{command} --help`)")
    except click.ClickException as error:
        status = _fail(error.format_message())
    except click.Abort:
        status = 128 + signal.SIGINT  # the status that shells give a program that Ctrl-C ended
    except BrokenPipeError:
        status = 128 + _SIGPIPE  # whoever read stdout has read enough: no fault, and nothing to say
    except OSError as error:
        status = _fail(_word_system_error(error))
    return status


def _run_command() -> int:
    """Run the command that was given, and return its exit status.

    Raises:
        AdainError: an argument is empty, or whatever the command raises.
        BrokenPipeError: nobody reads stdout any more.

    """
    if "" in sys.argv[1:]:
        raise AdainError("an argument is empty", hint="check that no variable in it is unset")
    stdout = sys.stdout
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        status = 0
    except SystemExit as ended:
        if sys.stdout is not stdout:  # click does this, and exits with status 1, when it meets a broken pipe
            raise BrokenPipeError from ended
        status = ended.code
    return status if isinstance(status, int) else 0


def _fail(message: str) -> int:
    """Complain, and return the exit status of a failure."""
    complain(message)
    return 2


def _word_system_error(error: OSError) -> str:
    """Return what the system says, and of what: an error without a file is of the working directory or stdout."""
    if error.filename is not None:
        return f"{error.filename}: {explain(error)}"
    try:
        os.getcwd()  # noqa: PTH109 - the same
    except FileNotFoundError:
        return "the working directory was deleted; change to one that exists"
    return f"stdout: {explain(error)}"


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that nothing half-written is left."""
    del frame
    sys.exit(128 + number)
