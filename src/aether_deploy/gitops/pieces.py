"""A rendered cluster and the pieces that it is applied in."""

from typing import Literal

import msgspec

from aether_deploy.gitops.stages import CLUSTER, DATA, MONITORING, WORKLOADS
from aether_deploy.platform.config import Platform
from aether_deploy.platform.rendering import ClusterManifests
from aether_deploy.platform.secrets import FOLDER as SECRETS


class RenderedCluster(msgspec.Struct, frozen=True):
    """One cluster's manifests, and the folder that they lie in.

    Attributes:
        path: The folder, relative to the tree's root.
        cluster: The manifests.
        split: ``cluster`` keeps all workloads together; ``workload`` gives each a piece of its own.
    """

    path: str
    cluster: ClusterManifests
    split: Literal["cluster", "workload"] = "cluster"


class Piece(msgspec.Struct, frozen=True):
    """What an engine applies as one: a folder below a cluster's.

    Attributes:
        folder: Relative to the cluster's folder; empty for the whole.
        stage: The stage that it belongs to.
        name: What tells it from the other pieces.
        objects: How many objects it holds.
    """

    folder: str
    stage: str
    name: str
    objects: int


def pieces_of(rendered: RenderedCluster) -> tuple[Piece, ...]:
    """Return the pieces that a cluster is applied in, in order."""
    cluster = rendered.cluster
    pieces = [Piece(CLUSTER, CLUSTER, CLUSTER, len(cluster.cluster))]
    if cluster.monitoring:
        pieces.append(Piece(MONITORING, MONITORING, MONITORING, len(cluster.monitoring)))
    for namespace, folders in cluster.namespaces:
        stage = WORKLOADS if namespace == cluster.namespace else DATA
        if rendered.split == "cluster":
            objects = sum(len(folder.manifests) for folder in folders)
            pieces.append(Piece(namespace, stage, stage, objects))
        else:
            pieces += [
                Piece(f"{namespace}/{folder.name}", stage, _piece_name(stage, folder.name), len(folder.manifests))
                for folder in folders
            ]
    return tuple(pieces)


def piece_name_of(platform: Platform, folder: str) -> str:
    """Return the name of the piece that a folder of a cluster belongs to.

    Args:
        platform: The platform.
        folder: Relative to the cluster's folder: ``aether-prod-data/accounts``.
    """
    top, _, leaf = folder.partition("/")
    stage = {platform.namespace: WORKLOADS, platform.data_namespace: DATA}.get(top)
    if stage is None or not leaf:
        return stage or top
    return stage if platform.gitops.split == "cluster" else _piece_name(stage, leaf)


def _piece_name(stage: str, folder: str) -> str:
    """Both namespaces may have a folder of Secrets; else components and workloads share one space of names."""
    return f"{DATA}-{folder}" if stage == DATA and folder == SECRETS else folder
