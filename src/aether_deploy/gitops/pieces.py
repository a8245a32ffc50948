"""A rendered cluster and the pieces that it is applied in."""

from typing import Literal

import msgspec

from aether_deploy.gitops.stages import CLUSTER, MONITORING, WORKLOADS
from aether_deploy.platform.rendering import ClusterManifests


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
    if rendered.split == "cluster" and cluster.folders:
        objects = sum(len(folder.manifests) for folder in cluster.folders)
        pieces.append(Piece(cluster.namespace, WORKLOADS, WORKLOADS, objects))
    if rendered.split == "workload":
        pieces += [
            Piece(f"{cluster.namespace}/{folder.name}", WORKLOADS, folder.name, len(folder.manifests))
            for folder in cluster.folders
        ]
    return tuple(pieces)
