"""``aether-deploy simulate``: the verbs that let things fail in a model, by the rules that decide in production."""

import click

from aether_deploy.cli.app import GROUPS, LazyGroup


@click.group(cls=LazyGroup, verbs=GROUPS["simulate"], prefix="simulate_", subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """Let a database fail in a simulation, and see how long writes stop and what is lost.

    Members decide by the rules of Patroni's election; chance comes from a seed, so that each run can be repeated.
    """
