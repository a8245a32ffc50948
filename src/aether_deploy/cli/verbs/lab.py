"""``aether-deploy lab``: the verbs about a platform that runs on this machine."""

import click

from aether_deploy.cli.app import GROUPS, LazyGroup


@click.group(cls=LazyGroup, verbs=GROUPS["lab"], prefix="lab_", subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """Run the whole platform as real processes on this machine, let it fail, and compare with what was predicted."""
