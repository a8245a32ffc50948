"""The rendered tree as values: files in units, units in a tree.

A *unit* is a folder that is rendered, indexed and pruned as a whole: one cluster, one engine, the runbooks
of an environment. Paths are posix and relative. A tree that exists is sound: every path is safe to write
below any root, on file systems that tell upper from lower case and on those that do not.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from aether_deploy.problems import ConfigError, Problem, shown

INDEX_NAME = "aether.index.jsonl"
"""The file in every unit, and in the tree's root, that tells which files are ours."""

JOURNAL_NAME = "aether.pending.jsonl"
"""The file in the tree's root that stands while a run is writing, or after one was interrupted."""

TEMPORARY_SUFFIX = ".aether-tmp"

_RESERVED = frozenset({".git", INDEX_NAME, JOURNAL_NAME})
_LONGEST_PATH = 1024


class TreeFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One file of a unit: its text, and which object it holds.

    Attributes:
        path: Where it goes, relative to its unit.
        text: Its content; written as UTF-8, newlines untouched.
        api_version: Of the object; None for what is no manifest (a runbook).
        kind: Of the object; ``Kustomization`` for a kustomization.yaml.
        namespace: Of the object; None where it is cluster scoped.
        name: Of the object; None for a kustomization.yaml.
        source: What in the description it comes from: ``worlds.world-server``.
    """

    path: str
    text: str
    api_version: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    source: str | None = None


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that is rendered, indexed and pruned as a whole.

    Attributes:
        path: Relative to the tree's root: ``prod/clusters/us-east-1``.
        name: The system that it belongs to.
        environment: The environment that it belongs to.
        cluster: The cluster that it is for; None where it is for several.
        files: What it holds, without its index.
    """

    path: str
    name: str
    environment: str
    cluster: str | None = None
    files: tuple[TreeFile, ...] = ()


class Tree(msgspec.Struct, frozen=True):
    """All units of a render.

    Raises:
        ConfigError: Paths collide or are unsafe; see :func:`check_units`.
    """

    units: tuple[Unit, ...]

    def __post_init__(self) -> None:
        problems = check_units(self.units)
        if problems:
            raise ConfigError(problems)

    @property
    def objects(self) -> int:
        """How many Kubernetes objects the tree holds."""
        return sum(file.name is not None for unit in self.units for file in unit.files)

    @property
    def file_count(self) -> int:
        """How many files the tree is on disk, the index of every unit and of the root included."""
        return sum(len(unit.files) + 1 for unit in self.units) + 1


def build_tree(units: Iterable[Unit]) -> Tree:
    """Return the tree of ``units``, its units and files sorted by path.

    Raises:
        ConfigError: Paths collide or are unsafe; every such fault is in it.
    """
    ordered = (
        msgspec.structs.replace(unit, files=tuple(sorted(unit.files, key=lambda file: file.path))) for unit in units
    )
    return Tree(tuple(sorted(ordered, key=lambda unit: unit.path)))


def path_fault(path: str) -> str | None:
    """Return why ``path`` may not name a file below some folder, or None if it may.

    Index and journal lie in a folder that others write to, so what they name is hostile until it passed.
    """
    if not path:
        return "is empty"
    if len(path) > _LONGEST_PATH:
        return f"is longer than {_LONGEST_PATH} characters"
    if not path.isprintable():
        return "holds a character that cannot be printed"
    if "\\" in path:
        return "holds a backslash"
    if path[0] == "/" or path[1:2] == ":":
        return "is absolute"
    parts = path.casefold().split("/")
    if ".." in parts:
        return "leads out of its folder"
    if "" in parts or "." in parts:
        return "is not in its shortest form"
    if TEMPORARY_SUFFIX in path or not _RESERVED.isdisjoint(parts):
        return "uses a name that is reserved"
    return None


def check_units(units: Sequence[Unit]) -> list[Problem]:
    """Return every reason why ``units`` cannot stand in one folder, on any file system."""
    return [*_unsafe_paths(units), *_nested_units(units), *_shared_paths(units), *_colliding_names(units)]


def _unsafe_paths(units: Sequence[Unit]) -> Iterator[Problem]:
    for unit in units:
        if fault := path_fault(unit.path):
            yield _problem(None, f"the unit's path {shown(unit.path)} {fault}", "name the unit otherwise")
        for file in unit.files:
            if fault := path_fault(file.path):
                yield _problem(file, f"the file's path {shown(file.path)} {fault}", "rename the object")


def _nested_units(units: Sequence[Unit]) -> Iterator[Problem]:
    seen: set[str] = set()
    for unit in units:
        if unit.path in seen:
            yield _problem(None, f"two units have the path {unit.path}", "rename one of them")
        seen.add(unit.path)
    for path in sorted(seen):
        for folder in folders_of(path):
            if folder in seen:
                yield _problem(None, f"the unit {path} lies in the unit {folder}", "rename one of them")


def _shared_paths(units: Sequence[Unit]) -> Iterator[Problem]:
    first: dict[str, TreeFile] = {}
    for unit in units:
        for file in unit.files:
            path = f"{unit.path}/{file.path}"
            other = first.setdefault(path, file)
            if other is not file:
                reason = f"{_described(file)} goes to {path}, and so does {_described(other)}"
                yield _problem(file, reason, "rename one of the two")


def _colliding_names(units: Sequence[Unit]) -> Iterator[Problem]:
    """Yield names that macOS and Windows take for one, and files that are folders too."""
    files, folders = _owners(units)
    for path in sorted(files.keys() & folders.keys()):
        reason = f"{path} is a file, and a folder for {_described(folders[path])}"
        yield _problem(files[path], reason, "rename one of the two")
    spellings: dict[tuple[str, str], str] = {}
    for path in sorted(files.keys() | folders.keys()):
        folder, _, name = path.rpartition("/")
        other = spellings.setdefault((folder, name.casefold()), path)
        if other != path:
            owner = files.get(path) or folders.get(path)
            reason = f"{path} differs from {other} only in upper and lower case"
            yield _problem(owner, reason, "rename one of the two; macOS and Windows take them for one")


def _owners(units: Sequence[Unit]) -> tuple[dict[str, TreeFile | None], dict[str, TreeFile | None]]:
    """Return all paths of files, and of the folders above them, each with the first file it is for."""
    files: dict[str, TreeFile | None] = {INDEX_NAME: None}
    folders: dict[str, TreeFile | None] = {}
    for unit in units:
        files[f"{unit.path}/{INDEX_NAME}"] = None
        folders |= dict.fromkeys((unit.path, *folders_of(unit.path)))
        for file in unit.files:
            path = f"{unit.path}/{file.path}"
            files.setdefault(path, file)
            if path.rpartition("/")[0] not in folders:
                for folder in folders_of(path):
                    folders.setdefault(folder, file)
    return files, folders


def folders_of(path: str) -> Iterator[str]:
    """Yield the folders above ``path``, the nearest first, the root left out."""
    folder = path.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _described(file: TreeFile | None) -> str:
    if file is None:
        return "an index"
    if file.name is None:
        return file.path
    name = file.name if file.namespace is None else f"{file.namespace}/{file.name}"
    source = "" if file.source is None else f" of {file.source}"
    return f"{file.kind} {name}{source}"


def _problem(file: TreeFile | None, reason: str, fix: str) -> Problem:
    path = "$" if file is None or file.source is None else f"$.{file.source}"
    return Problem(path=path, reason=reason, fix=fix)
