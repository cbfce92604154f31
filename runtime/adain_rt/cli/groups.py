"""Groups of commands that are imported when they are run."""

from __future__ import annotations

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that holds no commands: a subclass lists and gets them. For a mistyped name it suggests others."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names, and the other arguments.

        Raises:
            click.NoSuchCommand: there is none.

        """
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:  # whose suggestions are of those that the group holds
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None
