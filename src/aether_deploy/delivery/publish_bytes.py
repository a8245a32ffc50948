"""That a commit holds, byte for byte, what was rendered."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from aether_deploy.delivery.disk import Obstacle
from aether_deploy.delivery.git import Git, GitError, TreeEntry, list_entries
from aether_deploy.delivery.publish_checks import NotPublishedError, named
from aether_deploy.delivery.publish_target import Target
from aether_deploy.gitops.index import BadIndexError, index_unit, parse_root_index, render_unit_index
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME, Tree

# Attributes that change bytes between a commit and a checkout, and values that leave them as they are.
_HARMLESS = {
    "filter": {"unset", "unspecified"},
    "ident": {"unset", "unspecified"},
    "working-tree-encoding": {"unset", "unspecified", "UTF-8", "utf-8"},
    "eol": {"unset", "unspecified", "lf"},
}


def rendered_files(tree: Tree) -> dict[str, bytes]:
    """Return the bytes of every file of a tree by path, the units' indexes among them, the root's left out."""
    files: dict[str, bytes] = {}
    for unit in tree.units:
        files |= {f"{unit.path}/{file.path}": file.text.encode() for file in unit.files}
        files[f"{unit.path}/{INDEX_NAME}"] = render_unit_index(index_unit(unit)).encode()
    return files


def blob_ids(files: Mapping[str, bytes], object_format: str) -> dict[str, str]:
    """Return the id that Git gives each file."""
    import hashlib

    new: Callable[[bytes], hashlib._Hash] = hashlib.sha256 if object_format == "sha256" else hashlib.sha1
    return {path: new(b"blob %d\0%b" % (len(content), content)).hexdigest() for path, content in files.items()}


def is_there(
    target: Target,
    entries: Mapping[str, TreeEntry],
    tree: Tree,
    ids: Mapping[str, str],
    *,
    environments: Collection[str],
    complete: bool,
) -> bool:
    """Return whether the branch holds the tree already, so that there is nothing to commit.

    Args:
        target: The branch.
        entries: What its folder holds.
        tree: What it shall hold.
        ids: The ids of the tree's files.
        environments: Those that were rendered.
        complete: Whether these are all: then units of others are to be removed.
    """
    if JOURNAL_NAME in entries or not _hold(entries, ids) or INDEX_NAME not in entries:
        return False
    content = next(target.repository.git.objects([target.folder + INDEX_NAME]))
    try:
        listed = set(parse_root_index(content or b"", INDEX_NAME))
    except BadIndexError:
        return False
    units = {unit.path for unit in tree.units}
    others = listed - units
    return units <= listed and not any(complete or unit.partition("/")[0] in environments for unit in others)


def _hold(entries: Mapping[str, TreeEntry], ids: Mapping[str, str]) -> bool:
    return all(path in entries and entries[path].is_file and entries[path].id == known for path, known in ids.items())


def check_bytes(target: Target, git: Git, commit: str, ids: Mapping[str, str]) -> None:
    """Refuse a commit that holds other bytes than were rendered.

    Raises:
        GitError: It does; a hook changed files, or a setting of git did.
    """
    entries = list_entries(git, f"{commit}:{target.path}/")
    changed = sorted(path for path in ids if not _hold(entries, {path: ids[path]}))
    if changed:
        reason = f"{target.path}: a hook or a setting of git changed what was rendered: {named(changed)}"
        raise GitError(reason, fix=f"let hooks leave {target.path}/ alone; nothing was published")


def check_attributes(target: Target, work: Git, paths: Iterable[str]) -> None:
    """Refuse attributes by which a checkout would hold other bytes than the commit.

    Args:
        target: Where the tree goes.
        work: Git in a work tree whose index holds the branch.
        paths: Relative to the tree's folder.

    Raises:
        NotPublishedError: One file of each attribute that does so is named.
    """
    given = b"".join(os.fsencode(f"{target.path}/{path}") + b"\0" for path in paths)
    said = os.fsdecode(work.tell("check-attr", "--cached", "-z", "--stdin", "--all", given=given)).split("\0")
    triples = zip(said[::3], said[1::3], said[2::3], strict=False)
    first: dict[tuple[str, str], str] = {}
    for path, name, value in triples:
        if name in _HARMLESS and value not in _HARMLESS[name]:
            first.setdefault((name, value), path)
    if first:
        raise NotPublishedError(target, _attribute_obstacles(target, first))


def _attribute_obstacles(target: Target, first: Mapping[tuple[str, str], str]) -> Iterator[Obstacle]:
    for (name, value), path in first.items():
        said = name if value == "set" else f"{name}={value}"
        fix = f"end .gitattributes with the line: {target.path}/** -text -eol -filter -ident -working-tree-encoding"
        yield Obstacle(path, f"has the attribute {said}, which changes its bytes", fix)
