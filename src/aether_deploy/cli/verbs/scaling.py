"""``aether-deploy scaling``: the verbs about scaling by players."""

import click

from aether_deploy.cli.app import GROUPS, LazyGroup


@click.group(cls=LazyGroup, verbs=GROUPS["scaling"], prefix="scaling_", subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """Replay, explain, compare and prove how worlds and services scale by players.

    What the cluster's autoscaler will do is computed on this machine, by a model of the controller of the cluster's
    Kubernetes version, for the manifests that render writes.
    """
