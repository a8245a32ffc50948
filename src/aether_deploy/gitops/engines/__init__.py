"""Objects of the engine that applies the tree: one module for each engine, found by its name."""

from collections.abc import Sequence
from importlib import import_module

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
    module = import_module(f"{__name__}.{platform.gitops.engine}")
    units: tuple[Unit, ...] = module.render_units(platform, clusters)
    return units
