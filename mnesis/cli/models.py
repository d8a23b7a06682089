"""`mnesis models`: model files on this machine."""

from pathlib import Path

import click

from mnesis import local
from mnesis.errors import BadRequest
from mnesis.progress import shown, track


@click.group()
def models() -> None:
    """Model files that run on this machine."""


@models.command("list")
def list_() -> None:
    """Show the models that are here, and those that can be had."""
    here = local.installed()
    for path in here:
        click.echo(f"local/{path.stem}  {path.stat().st_size / 1e6:,.0f} MB  {_about(path)}")
    for name, offer in local.OFFERS.items():
        if name not in {path.stem for path in here}:
            click.echo(f"{name}  {offer.size / 1e6:,.0f} MB  not here: mnesis models get {name}  ({offer.about})")
    click.echo(f"in {local.folder()}")


@models.command()
@click.argument("name")
def get(name: str) -> None:
    """Bring a model here: NAME is one that `mnesis models list` shows."""
    if name in local.OFFERS and local.is_here(name):
        click.echo(f"{name} is here already: {local.find(f'local/{name}')}")
    else:
        with shown(), track(f"bringing {name}", unit="B") as progress:
            path = local.get(name, progress.reach)
        click.echo(f"{name} is here: {path}")
    click.echo(f'use it as model="local/{name}"; it needs the extra: pip install "mnesis[local]"')


def _about(path: Path) -> str:
    try:
        header = local.read_header(path)
    except BadRequest as error:
        return f"unusable: {error}"
    return f"{header.context_length:,} tokens, {'takes tools' if header.takes_tools else 'no tools'}"
