"""Platforms become a tree of values, and what only the whole tree shows."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from aether_deploy.gitops.engines import engine_units
from aether_deploy.gitops.layout import Made, cluster_unit, unit_path
from aether_deploy.gitops.pieces import RenderedCluster, pieces_of
from aether_deploy.gitops.runbooks import runbook_units
from aether_deploy.gitops.tree import Tree, Unit, build_tree
from aether_deploy.platform.config import Platform
from aether_deploy.platform.rendering import render_cluster
from aether_deploy.problems import Problem

OBJECTS_PER_KUSTOMIZATION = 1000  # kustomize is quadratic: beyond it engines run into their time limits


def render_clusters(platforms: Iterable[Platform], files: Mapping[str, bytes]) -> list[RenderedCluster]:
    """Return every cluster of every environment.

    Args:
        platforms: One platform for each environment, without faults.
        files: Content of every config file's ``source``, by its path in the description.
    """
    return [
        RenderedCluster(unit_path(platform, site.cluster), render_cluster(platform, site, files), platform.gitops.split)
        for platform in platforms
        for site in platform.sites
    ]


def render_tree(
    platforms: Iterable[Platform], files: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[Tree, list[RenderedCluster]]:
    """Return the tree of the platforms, and the manifests it was made of. Equal input gives equal bytes."""
    units: list[Unit] = []
    clusters: list[RenderedCluster] = []
    for platform in platforms:
        here = render_clusters([platform], files)
        clusters += here
        made: Made = {}
        units += [cluster_unit(platform, rendered.cluster, made) for rendered in here]
        units += engine_units(platform, here)
        units += runbook_units(platform)
    return build_tree(units), clusters


def check_clusters(clusters: Iterable[RenderedCluster]) -> list[Problem]:
    """Return what the manifests show and no single entry does: more objects than an engine can read at once."""
    problems = []
    for rendered in clusters:
        if rendered.split == "cluster":
            number = len(rendered.cluster.manifests)
            if number > OBJECTS_PER_KUSTOMIZATION:
                problems.append(_too_many(rendered.path, number, "set gitops.split to workload"))
            continue
        problems += [
            _too_many(f"{rendered.path}/{piece.folder}", piece.objects, "make two workloads of it")
            for piece in pieces_of(rendered)
            if piece.objects > OBJECTS_PER_KUSTOMIZATION
        ]
    return problems


def _too_many(path: str, number: int, fix: str) -> Problem:
    return Problem(
        path="$",
        reason=f"{path} gets {number} objects under one kustomization.yaml; "
        f"above {OBJECTS_PER_KUSTOMIZATION} an engine may run into its time limit",
        fix=fix,
        severity="warning",
    )
