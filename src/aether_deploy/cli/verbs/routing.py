"""``aether-deploy routing``: the verbs about routing players between regions."""

import click

from aether_deploy.cli.app import GROUPS, LazyGroup


@click.group(cls=LazyGroup, verbs=GROUPS["routing"], prefix="routing_", subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """Say what the loss of regions does to players, and what other rules would have decided.

    Everything is decided by the function that the router runs, on this machine and without a cluster.
    """
