"""A rendered tree as one side of a diff, and where its files lie for commands."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType

from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.gitops.engines import commands_around
from aether_deploy.gitops.index import UnitIndex, index_unit
from aether_deploy.gitops.tree import Tree
from aether_deploy.platform.config import Platform


class RenderedSide:
    """The tree that is to be."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @cached_property
    def units(self) -> Mapping[str, UnitIndex]:
        """The index of every unit, by its folder."""
        return {unit.path: index_unit(unit) for unit in self._tree.units}

    def contents(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return the bytes of files, by path relative to the tree's root."""
        wanted = set(paths)
        return {
            path: file.text.encode()
            for unit in self._tree.units
            for file in unit.files
            if (path := f"{unit.path}/{file.path}") in wanted
        }


def place_of(
    platform: Platform | None, root: str, unit: str, folder: str, sums: Mapping[str, str] = MappingProxyType({})
) -> Place:
    """Return where a folder of a unit lies, and how its engine is held still.

    Args:
        platform: The unit's platform; None where its environment is gone.
        root: Where the tree lies: ``deploy``.
        unit: Path of the unit below it.
        folder: The folder below that; empty for the unit itself.
        sums: The SHA-256 of each file of the folder as it is to be, by name.
    """
    where = "/".join(part for part in (root.rstrip("/"), unit, folder) if part)
    cluster = unit.partition("/clusters/")[2]
    if platform is None or not cluster:
        return Place(folder=where, sums=sums)
    suspend, resume = commands_around(platform, cluster, folder)
    return Place(folder=where, suspend=suspend, resume=resume, manager=platform.gitops.field_manager, sums=sums)


def sums_by_folder(index: UnitIndex | None) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of every file of a unit, by folder and name."""
    found: dict[str, dict[str, str]] = {}
    for entry in index.entries if index is not None else ():
        folder, _, name = entry.path.rpartition("/")
        found.setdefault(folder, {})[name] = entry.sha256
    return found
