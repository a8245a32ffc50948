"""Platforms become a tree of values, and what only the whole tree shows."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from aether_deploy.gitops.layout import cluster_unit, unit_path
from aether_deploy.gitops.tree import Tree, build_tree
from aether_deploy.platform.config import Platform
from aether_deploy.platform.rendering import ClusterManifests, render_cluster
from aether_deploy.problems import Problem

OBJECTS_PER_KUSTOMIZATION = 1000  # kustomize is quadratic: beyond it engines run into their time limits


class RenderedCluster(msgspec.Struct, frozen=True):
    """One cluster's manifests, and the folder that they lie in.

    Attributes:
        path: The folder, relative to the tree's root.
        cluster: The manifests.
    """

    path: str
    cluster: ClusterManifests


def render_clusters(platforms: Iterable[Platform], files: Mapping[str, bytes]) -> list[RenderedCluster]:
    """Return every cluster of every environment.

    Args:
        platforms: One platform for each environment, without faults.
        files: Content of every config file's ``source``, by its path in the description.
    """
    return [
        RenderedCluster(unit_path(platform, site.cluster), render_cluster(platform, site, files))
        for platform in platforms
        for site in platform.sites
    ]


def render_tree(
    platforms: Iterable[Platform], files: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[Tree, list[RenderedCluster]]:
    """Return the tree of the platforms, and the manifests it was made of. Equal input gives equal bytes."""
    units, clusters = [], []
    for platform in platforms:
        for rendered in render_clusters([platform], files):
            clusters.append(rendered)
            units.append(cluster_unit(platform, rendered.cluster))
    return build_tree(units), clusters


def check_clusters(clusters: Iterable[RenderedCluster]) -> list[Problem]:
    """Return what the manifests show and no single entry does: more objects than an engine can read."""
    problems = []
    for rendered in clusters:
        number = len(rendered.cluster.manifests)
        if number > OBJECTS_PER_KUSTOMIZATION:
            problems.append(
                Problem(
                    path="$",
                    reason=f"{rendered.path} gets {number} objects under one kustomization.yaml; "
                    f"above {OBJECTS_PER_KUSTOMIZATION} an engine may run into its time limit",
                    fix="place fewer workloads in one region, or apply its workload folders one by one",
                    severity="warning",
                )
            )
    return problems
