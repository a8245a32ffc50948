"""A tree in a commit, surveyed as one on disk is: by what Git lists, and the content of what differs."""

from collections.abc import Mapping
from hashlib import sha256

from aether_deploy.delivery.disk import Kind, Listing, Survey
from aether_deploy.delivery.git import Git, TreeEntry
from aether_deploy.gitops.tree import folders_of


class CommitSurvey(Survey):
    """What a folder of a commit holds.

    A file that has the id of what was rendered needs no reading, and the others are read at once: so a small change in
    a tree of 90,000 files takes a few seconds.
    """

    def __init__(
        self,
        root: str,
        git: Git,
        entries: Mapping[str, TreeEntry],
        rendered: Mapping[str, bytes],
        ids: Mapping[str, str],
    ) -> None:
        """Prepare a survey.

        Args:
            root: What messages call the folder: ``main:deploy``.
            git: In the repository.
            entries: What the folder holds.
            rendered: The files of the new tree.
            ids: Their ids.
        """
        self.root = root
        self.obstacles = {}
        self._git = git
        self._entries = entries
        self._rendered = rendered
        self._ids = ids
        self._contents: dict[str, bytes] = {}
        self._folders = _kinds(entries)
        self._listings: dict[str, Listing | None] = {"": self._scan("")}

    def read(self, path: str, size: int = -1) -> bytes | None:
        content = self._content(path)
        return content if size < 0 else content[:size]

    def sha256(self, path: str) -> str | None:
        return sha256(self._content(path)).hexdigest()

    def _scan(self, folder: str) -> Listing:
        kinds = self._folders.get(folder)
        if kinds is None:
            return Listing(False, {}, {})
        capitals: dict[str, list[str]] = {}
        for name in kinds:
            if name.casefold() != name:
                capitals.setdefault(name.casefold(), []).append(name)
        return Listing(True, kinds, capitals)

    def _content(self, path: str) -> bytes:
        if self._entries[path].id == self._ids.get(path):
            return self._rendered[path]
        if path not in self._contents:
            self._read_like(path)
        return self._contents[path]

    def _read_like(self, path: str) -> None:
        """Read all files of which there may be a question: those that change, or those that are in no new tree."""
        changes = path in self._ids
        wanted = [
            each
            for each, entry in self._entries.items()
            if entry.is_file and (each in self._ids) is changes and entry.id != self._ids.get(each)
        ]
        contents = self._git.objects(self._entries[each].id for each in wanted)
        self._contents |= {each: content or b"" for each, content in zip(wanted, contents, strict=True)}


def _kinds(entries: Mapping[str, TreeEntry]) -> dict[str, dict[str, Kind]]:
    """Return what each folder holds."""
    folders: dict[str, dict[str, Kind]] = {}
    for path, entry in entries.items():
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            for above in folders_of(path):
                parent, _, own = above.rpartition("/")
                folders.setdefault(parent, {})[own] = "folder"
        folders.setdefault(folder, {})[name] = _kind(entry)
    return folders


def _kind(entry: TreeEntry) -> Kind:
    if entry.is_file:
        return "file"
    return "special" if entry.is_submodule else "symlink"
