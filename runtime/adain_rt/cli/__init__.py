"""The command line, ``adain-rt``. A command's module is imported when the command is run, not before."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from adain_models.errors import AdainError

__all__ = ["cli", "main"]

_COMMANDS = {
    "stylize": ("adain_rt.cli.stylize", "Paint photos in the style of pictures."),
    "style": ("adain_rt.cli.style", "Save, list and show styles."),
    "grid": ("adain_rt.cli.grid", "Lay out many stylised pictures on one sheet."),
    "weights": ("adain_rt.cli.weights", "List, fetch and import the weights of models."),
    "export": ("adain_export.cli", "Write a model's ONNX graphs, and check them against PyTorch."),
    "bench": ("adain_bench.cli", "Measure how long styles and pictures take."),
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
    try:
        status = cli.main(standalone_mode=False)
    except AdainError as error:
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
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    click.echo(f"adain-rt: {' '.join(message.split())}", err=True)
    sys.exit(2)
