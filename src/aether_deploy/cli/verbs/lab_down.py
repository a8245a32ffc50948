"""``aether-deploy lab down``: the end of the lab."""

import click
import msgspec

from aether_deploy.cli.lab_text import down_text
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.lab.system.control import ask_down


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
def command(as_json: bool, quiet: bool) -> int:
    """End the lab and everything that it runs; returns when all of it is gone, with its files."""
    ended = ask_down()
    if as_json:
        print_json(envelope("lab down", ok=True, problems=(), result=msgspec.to_builtins(ended)))
    elif not quiet:
        click.echo(down_text(ended))
    return 0
