"""A tree that was rendered, compared with one that was stored: in a folder, or in a commit."""

from collections.abc import Sequence
from typing import Any

from aether_deploy.delivery.disk import Obstacle, joined
from aether_deploy.delivery.tree_reading import StoredTree, UnreadableTreeError
from aether_deploy.gitops.diff.changes import Body, Diff
from aether_deploy.gitops.diff.diffing import diff_sides
from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.gitops.diff.sides import RenderedSide, place_of
from aether_deploy.gitops.tree import Tree
from aether_deploy.platform.config import Platform

_RESTORE = "restore the file from version control, or render the tree again"


def diff_trees(
    platforms: Sequence[Platform],
    before: StoredTree | Tree,
    after: Tree,
    *,
    root: str,
    environments: Sequence[str] | None = None,
) -> Diff:
    """Return what it does to clusters that ``after`` takes the place of ``before``.

    Args:
        platforms: The platforms that ``after`` was rendered from.
        before: What is deployed.
        after: What is to be.
        root: Where ``after`` will lie, for commands: ``deploy``.
        environments: What is compared; left out, the environments of ``platforms``.

    Raises:
        EffectError: A file of ``before`` cannot be read.
    """
    stored = RenderedSide(before) if isinstance(before, Tree) else before
    where = "the tree" if isinstance(before, Tree) else before.where

    def parse(path: str, content: bytes) -> Body:
        return _parsed(joined(where, path), content)

    by_environment = {platform.environment: platform for platform in platforms}

    def place(unit: str, folder: str) -> Place:
        return place_of(by_environment.get(unit.partition("/")[0]), root, unit, folder)

    compared = list(by_environment) if environments is None else environments
    return diff_sides(stored, RenderedSide(after), parse=parse, places=place, environments=compared)


def _parsed(where: str, content: bytes) -> Body:
    """Return the object that a file of ours holds."""
    import yaml

    try:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        body = yaml.load(content, loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UnreadableTreeError(where, [Obstacle("", f"is no YAML: {reason}", _RESTORE)]) from error
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        raise UnreadableTreeError(where, [Obstacle("", "holds no object of Kubernetes", _RESTORE)])
    return body
