"""``aether-deploy router``: the router of players, as a process."""

import click

from aether_deploy.cli.app import GROUPS, LazyGroup


@click.group(cls=LazyGroup, verbs=GROUPS["router"], prefix="router_", subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """Run the router that sends players to the closest healthy region, over HTTP."""
