"""Reading a rendered tree back: from a folder, or from a commit without a work tree.

The indexes are read first; they say which files there are. Their content is read on demand, many at once.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from aether_deploy.delivery.disk import Obstacle, joined, read_file
from aether_deploy.delivery.git import Git, list_files
from aether_deploy.delivery.repository import Repository, open_repository
from aether_deploy.gitops.index import BadIndexError, UnitIndex, parse_root_index, parse_unit_index
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME
from aether_deploy.problems import EffectError

Parsed = TypeVar("Parsed")
Contents = Callable[[list[str]], dict[str, bytes]]

_FEW_PATHS = 50
RESTORE = "restore the file from version control, or render the tree again"


class NothingThereError(EffectError):
    """What was to be read does not exist there at all: no tree, no description."""


class UnreadableTreeError(EffectError):
    """A tree cannot be read; ``faults`` holds every reason, sorted by path."""

    def __init__(self, where: str, faults: Iterable[Obstacle]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.path))
        count = f"{len(self.faults)} fault{'s' * (len(self.faults) != 1)}"
        lines = [f"{where}: the tree cannot be read: {count}"]
        lines += [f"{joined(where, fault.path)}: {fault.reason}\n  fix: {fault.fix}" for fault in self.faults]
        super().__init__("\n".join(lines))


class StoredTree(msgspec.Struct, frozen=True):
    """A tree that was written before: its indexes, and a way to what its files hold.

    Attributes:
        where: What messages call it: ``deploy``, ``origin/main:deploy``.
        commit: The commit that it was read from; None for a folder.
        units: The index of each unit, by the unit's path, sorted.
        reader: Gives the content of files by their paths below the root, those that exist.
    """

    where: str
    commit: str | None
    units: Mapping[str, UnitIndex]
    reader: Contents

    @property
    def file_count(self) -> int:
        """How many files the indexes list, themselves left out."""
        return sum(len(index.entries) for index in self.units.values())

    def contents(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return what files hold, as they lie there: an edited one with its edit.

        Args:
            paths: Relative to the tree's root: ``prod/clusters/us-east-1/cluster/namespace-aether-prod.yaml``.

        Raises:
            UnreadableTreeError: Files are missing or cannot be read; all of them are in it.
            EffectError: The repository or the disk refuses.
        """
        wanted = list(dict.fromkeys(paths))
        found = self.reader(wanted)
        missing = [path for path in wanted if path not in found]
        if missing:
            reason = "is listed by its index, and is no file there"
            raise UnreadableTreeError(self.where, (Obstacle(path, reason, RESTORE) for path in missing))
        return found


def read_tree(folder: str | os.PathLike[str]) -> StoredTree:
    """Return the tree in a folder.

    Raises:
        NothingThereError: The folder is missing, or holds no tree.
        UnreadableTreeError: Indexes are missing or damaged, or a run was interrupted; every fault is in it.
        EffectError: The disk refuses.
    """
    root = os.fspath(folder) or "."
    return _read(root, None, lambda paths: _from_disk(root, paths))


def read_tree_at(repo: str | os.PathLike[str], ref: str, path: str) -> StoredTree:
    """Return the tree in a folder of a commit. No work tree is looked at.

    Args:
        repo: The repository, or a folder in it.
        ref: What names the commit: ``origin/main``, a tag, an id.
        path: The tree's folder, relative to the repository's root; ``.`` for the root itself.

    Raises:
        NothingThereError: The commit has no such folder, or no tree is in it.
        UnreadableTreeError: Indexes are missing or damaged, or a run was interrupted; every fault is in it.
        EffectError: There is no such repository or commit, or git fails.
    """
    repository = open_repository(os.fspath(repo))
    return tree_of_commit(repository, repository.commit(ref), path, named=ref)


def tree_of_commit(repository: Repository, commit: str, path: str, *, named: str = "") -> StoredTree:
    """Return the tree in a folder of a commit, given by its id; ``named`` is what messages call the commit.

    Raises:
        NothingThereError, UnreadableTreeError, EffectError: As :func:`read_tree_at`.
    """
    folder = "" if path in ("", ".") else f"{path.strip('/')}/"
    where = f"{named or commit[:12]}:{folder.rstrip('/')}"
    return _read(where, commit, _CommitFiles(repository.git, f"{commit}:{folder}"))


class _CommitFiles:
    """The files below a folder of a commit.

    Git resolves a path from the root each time, so many are looked up in one listing and read by their ids: of 90,000
    files that takes 1.5 seconds instead of 20.
    """

    def __init__(self, git: Git, folder: str) -> None:
        self._git = git
        self._folder = folder
        self._listed: dict[str, str] | None = None

    def __call__(self, paths: list[str]) -> dict[str, bytes]:
        ids = self._ids() if len(paths) > _FEW_PATHS else {path: self._folder + path for path in paths}
        there = [path for path in paths if path in ids]
        contents = self._git.objects(ids[path] for path in there)
        return {path: content for path, content in zip(there, contents, strict=True) if content is not None}

    def _ids(self) -> dict[str, str]:
        if self._listed is None:
            self._listed = list_files(self._git, self._folder)
        return self._listed


def _from_disk(root: str, paths: list[str]) -> dict[str, bytes]:
    found = {}
    for path in paths:
        try:
            found[path] = read_file(joined(root, path), sys.maxsize)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            fix = "make it readable for this user, then run again"
            raise EffectError(f"{joined(root, path)}: cannot be read: {error.strerror}\n  fix: {fix}") from error
    return found


def _read(where: str, commit: str | None, reader: Contents) -> StoredTree:
    faults: list[Obstacle] = []

    def parsed(path: str, content: bytes, parse: Callable[[bytes, str], Parsed]) -> Parsed | None:
        try:
            return parse(content, joined(where, path))
        except BadIndexError as error:
            faults.append(Obstacle(path, f"line {error.line} {error.reason}", error.fix))
            return None

    first = reader([INDEX_NAME, JOURNAL_NAME])
    if INDEX_NAME not in first and JOURNAL_NAME not in first:
        raise NothingThereError(
            f"{where}: holds no tree of aether-deploy\n  fix: name another place, or render one first"
        )
    if JOURNAL_NAME in first:
        faults.append(Obstacle(JOURNAL_NAME, "a run was interrupted here", "render again, which completes it"))
    units = parsed(INDEX_NAME, first.get(INDEX_NAME, b""), parse_root_index) or ()
    if not units and not faults:
        faults.append(Obstacle(INDEX_NAME, "is empty: a tree has a unit at least", RESTORE))
    paths = {unit: f"{unit}/{INDEX_NAME}" for unit in units}
    found = reader(list(paths.values()))
    faults += [
        Obstacle(path, "is missing, and the root's index lists its unit", RESTORE)
        for path in paths.values()
        if path not in found
    ]
    indexes = {unit: parsed(path, found[path], parse_unit_index) for unit, path in paths.items() if path in found}
    if faults:
        raise UnreadableTreeError(where, faults)
    return StoredTree(where, commit, {unit: index for unit, index in indexes.items() if index is not None}, reader)
