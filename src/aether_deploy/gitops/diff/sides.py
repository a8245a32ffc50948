"""A rendered tree as one side of a diff."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from aether_deploy.gitops.index import UnitIndex, index_unit
from aether_deploy.gitops.tree import Tree


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
