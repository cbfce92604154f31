"""The command line, ``adain-rt``. A command's module is imported when the command is run, not before."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType

import click

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.cli.terminal import Notices, complain

__all__ = ["cli", "main"]

_COMMANDS = {
    "stylize": ("adain_rt.cli.stylize", "Paint photos in the style of pictures."),
    "style": ("adain_rt.cli.style", "Save, list and show styles."),
    "grid": ("adain_rt.cli.grid", "Lay out many stylised pictures on one sheet."),
    "weights": ("adain_rt.cli.weights", "List, fetch and import the weights of models."),
    "train": ("adain_rt.cli.train", "Train a network on pictures of yours."),
    "export": ("adain_export.cli.export", "Write a model's ONNX graphs, and check them against PyTorch."),
    "quantize": ("adain_export.cli.quantize", "Make a model's graphs int8, calibrated on pictures of yours."),
    "build": ("adain_export.cli.build", "Build a model's TensorRT engines."),
    "inspect": ("adain_export.cli.inspect", "Tell what is in an ONNX graph or an engine."),
    "bench": ("adain_bench.cli", "Measure how long pictures take, and how good they are."),
    "info": ("adain_rt.cli.info", "Show versions, devices and the backend in use."),
}


class _LazyGroup(click.Group):
    """Lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_LazyGroup)
@click.version_option(package_name="adain-rt")
def cli() -> None:
    """Arbitrary style transfer with Adaptive Instance Normalization.

    \b
    Examples:
      adain-rt stylize photo.jpg --style painting.jpg
      adain-rt stylize photo.jpg --style @starry-night
      adain-rt style list
    """


def main() -> None:
    """Run the command line. What the user can mend is one line on stderr and exit status 2."""
    _prepare_streams()
    logging.getLogger("adain_rt").addHandler(Notices())
    signal.signal(signal.SIGTERM, _terminated)
    if "" in sys.argv[1:]:
        _fail("an argument is empty; a variable that is not set, perhaps")
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except (AdainError, UnicodeError) as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "adain-rt"
        _fail(f"{error.format_message()} (see `{command} --help`)")
    except click.ClickException as error:
        _fail(error.format_message())
    except click.Abort:
        sys.exit(130)  # what shells give a program that Ctrl-C ended
    except OSError as error:
        if error.filename is None:  # it is stdout, and Python would try again to write what could not be written
            with suppress(OSError):
                sys.stdout.close()
        _fail(f"{error.filename or 'stdout'}: {explain(error)}")
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    complain(message)
    sys.exit(2)


def _prepare_streams() -> None:
    """Let every standard stream be there, and take any character.

    A program may be started without them, and a terminal's encoding may lack what a title has.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _terminated(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that nothing half-written is left."""
    del frame
    sys.exit(128 + number)
