"""The engine that applies the tree: its objects, and how to hold it still. One module for each, found by its name."""

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.tree import Unit
from aether_deploy.platform.config import Platform


def engine_units(platform: Platform, clusters: Sequence[RenderedCluster]) -> tuple[Unit, ...]:
    """Return the units of the platform's engine; none where nothing applies the tree by itself.

    Args:
        platform: The platform, without faults.
        clusters: Its clusters as they are rendered.
    """
    if platform.gitops.engine == "none":
        return ()
    units: tuple[Unit, ...] = _engine(platform).render_units(platform, clusters)
    return units


def commands_around(platform: Platform, cluster: str, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands that keep the engine from a folder, and those that let it go on.

    Args:
        platform: The platform.
        cluster: Name of the cluster.
        folder: A folder with objects, relative to the cluster's.
    """
    if platform.gitops.engine == "none":
        return (), ()
    found: tuple[tuple[str, ...], tuple[str, ...]] = _engine(platform).commands_around(platform, cluster, folder)
    return found


def _engine(platform: Platform) -> ModuleType:
    return import_module(f"{__name__}.{platform.gitops.engine}")
