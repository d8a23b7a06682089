"""The command `mnesis`: one file per group of commands, gathered here."""

import click

from mnesis.cli.erase import erase_
from mnesis.cli.models import models
from mnesis.cli.sessions import COMMANDS
from mnesis.errors import MnesisError


class _Commands(click.Group):
    """Shows an error of ours as the sentence that it is."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MnesisError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mnesis")
def main() -> None:
    """Sessions with language models that lose nothing."""


for _command in (models, *COMMANDS, erase_):
    main.add_command(_command)
