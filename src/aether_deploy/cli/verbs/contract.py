"""``aether-deploy contract``: the verbs about the contract of world servers."""

import click

from aether_deploy.cli.app import GROUPS, LazyGroup


@click.group(cls=LazyGroup, verbs=GROUPS["contract"], prefix="contract_", subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """Test world servers that run against the contract that manifests, autoscalers and hooks rely on."""
