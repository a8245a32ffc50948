"""A tree that was rendered, compared with one that was stored: in a folder, or in a commit."""

from collections.abc import Sequence
from typing import Any

import msgspec

from aether_deploy.delivery.disk import Obstacle, joined
from aether_deploy.delivery.tree_reading import RESTORE, StoredTree, UnreadableTreeError
from aether_deploy.gitops.diff.changes import Body, Diff
from aether_deploy.gitops.diff.diffing import diff_sides
from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.gitops.diff.sides import RenderedSide, place_of, sums_by_folder
from aether_deploy.gitops.index import sha256_of
from aether_deploy.gitops.tree import Tree
from aether_deploy.platform.config import Platform


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
    edited: tuple[str, ...] = ()
    by_environment = {platform.environment: platform for platform in platforms}
    compared = list(by_environment) if environments is None else environments
    if isinstance(before, StoredTree):
        before, edited = _as_it_lies(before, compared)
    stored = RenderedSide(before) if isinstance(before, Tree) else before
    where = "the tree" if isinstance(before, Tree) else before.where

    def parse(path: str, content: bytes) -> Body:
        return parse_object(joined(where, path), content)

    side = RenderedSide(after)
    sums: dict[str, dict[str, dict[str, str]]] = {}

    def place(unit: str, folder: str) -> Place:
        if unit not in sums:
            sums[unit] = sums_by_folder(side.units.get(unit))
        platform = by_environment.get(unit.partition("/")[0])
        return place_of(platform, root, unit, folder, sums[unit].get(folder, {}))

    diff = diff_sides(stored, side, parse=parse, places=place, environments=compared)
    return msgspec.structs.replace(diff, edited=edited)


def _as_it_lies(tree: StoredTree, environments: Sequence[str]) -> tuple[StoredTree, tuple[str, ...]]:
    """Return a tree with indexes that say what its files hold, and the files that somebody edited or removed.

    Only units of ``environments`` are read, and they are all that is left. An engine applies what lies there,
    whatever an index says of it.

    Raises:
        EffectError: Files cannot be read.
    """
    units, edited = {}, []
    for unit, index in tree.units.items():
        if index.environment not in environments:
            continue
        contents = tree.reader([f"{unit}/{entry.path}" for entry in index.entries])
        entries = []
        for entry in index.entries:
            content = contents.get(f"{unit}/{entry.path}")
            found = None if content is None else sha256_of(content)
            if found != entry.sha256:
                edited.append(f"{unit}/{entry.path}")
            if found is not None:
                entries.append(entry if found == entry.sha256 else msgspec.structs.replace(entry, sha256=found))
        units[unit] = msgspec.structs.replace(index, entries=tuple(entries))
    return msgspec.structs.replace(tree, units=units), tuple(edited)


def parse_object(where: str, content: bytes) -> Body:
    """Return the object that a file of a tree holds.

    Raises:
        UnreadableTreeError: It holds none; ``where`` is what the message calls the file.
    """
    import yaml

    try:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        body = yaml.load(content, loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UnreadableTreeError(where, [Obstacle("", f"is no YAML: {reason}", RESTORE)]) from error
    if not isinstance(body, dict) or not _is_object(body):
        raise UnreadableTreeError(where, [Obstacle("", "holds no object of Kubernetes", RESTORE)])
    return body


def _is_object(body: dict[str, Any]) -> bool:
    """Return whether a value has what the rules of a diff rest on."""
    metadata, spec = body.get("metadata"), body.get("spec", {})
    if not isinstance(metadata, dict) or not isinstance(spec, dict) or not isinstance(body.get("kind"), str):
        return False
    template = spec.get("template", {})
    pod = template.get("spec", {}) if isinstance(template, dict) else None
    lists = [spec.get("volumeClaimTemplates", []), pod.get("containers", []) if isinstance(pod, dict) else None]
    maps = [metadata.get("labels", {}), metadata.get("annotations", {})]
    return (
        isinstance(spec.get("replicas", 0), int)
        and all(isinstance(each, dict) for each in maps)
        and all(isinstance(each, list) and all(isinstance(item, dict) for item in each) for each in lists)
    )
