"""``aether-deploy lab status``: what runs, and which faults are in effect."""

import click
import msgspec

from aether_deploy.cli.lab_text import status_text
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.lab.system.control import ask_status


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Name every process, and what it leads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what is not as it should be.")
def command(verbose: bool, as_json: bool, quiet: bool) -> int:
    """Say which processes of the lab run where, which faults are in effect, and since when.

    Exit 1 if a process ended that nobody ended.
    """
    status = ask_status()
    holds = not status.complaints
    if as_json:
        print_json(envelope("lab status", ok=holds, problems=(), result=msgspec.to_builtins(status)))
    elif not quiet:
        click.echo(status_text(status, verbose=verbose))
    for complaint in () if as_json else status.complaints:
        click.echo(f"error: {complaint}", err=True)
    return 0 if holds else 1
