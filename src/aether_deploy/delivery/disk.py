"""What stands on disk below a root, without following a symlink; and the lock on that root.

Every folder is listed once and remembered: that costs one system call per folder, where asking for every
component of every path costs ten times as many. What may not be touched is noted as an obstacle, so that
a plan reports all of them at once.
"""

# Paths are strings here: thousands of files a run, and Path objects cost more than the system calls.

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from aether_deploy.problems import EffectError

try:
    import fcntl
except ImportError:  # Windows has no flock; a run goes without the lock
    fcntl = None  # type: ignore[assignment]

Kind = Literal["file", "folder", "symlink", "special"]

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20
_TAKEN = {"file": "a file", "folder": "a folder", "symlink": "a symbolic link", "special": "a special file"}


class Obstacle(msgspec.Struct, frozen=True):
    """Something on disk that stops a run: where, why, and what to do about it."""

    path: str
    reason: str
    fix: str


class TreeBlockedError(EffectError):
    """The tree cannot be written, and nothing was. ``obstacles`` holds every reason, sorted by path."""

    def __init__(self, root: str, obstacles: list[Obstacle]) -> None:
        self.obstacles = tuple(sorted(obstacles, key=lambda obstacle: obstacle.path))
        count = f"{len(obstacles)} obstacle{'s' * (len(obstacles) != 1)}"
        lines = [f"nothing was written to {root}: {count}"]
        lines += [f"{joined(root, o.path)}: {o.reason}\n  fix: {o.fix}" for o in self.obstacles]
        super().__init__("\n".join(lines))


class Listing(msgspec.Struct, frozen=True):
    """What a folder holds.

    Attributes:
        exists: Whether the folder does.
        kinds: Its names, and what each is.
        capitals: The names that hold a capital letter, by what they fold to.
    """

    exists: bool
    kinds: dict[str, Kind]
    capitals: dict[str, list[str]]

    def twin_of(self, name: str) -> str | None:
        """Return another name here that differs from ``name`` only in case."""
        folded = name.casefold()
        twins = [twin for twin in self.capitals.get(folded, ()) if twin != name]
        if folded != name and folded in self.kinds:
            return folded
        return twins[0] if twins else None


ABSENT = Listing(False, {}, {})
_ROOT_FIX = "choose another folder with -o, or move it away"


class Survey:
    """The folders below ``root`` as they are found; ``obstacles`` by path, as they are met."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.obstacles: dict[str, Obstacle] = {}
        self._listings: dict[str, Listing | None] = {"": _list_root(root)}

    def block(self, path: str, reason: str, fix: str) -> None:
        """Note an obstacle; the first at a path is the one that counts."""
        self.obstacles.setdefault(path, Obstacle(path, reason, fix))

    def listing(self, folder: str) -> Listing | None:
        """Return what ``folder`` holds; None where something else stands in its place, which is noted."""
        if folder not in self._listings:
            self._listings[folder] = self._list(folder)
        return self._listings[folder]

    def has_file(self, path: str) -> bool | None:
        """Return whether a regular file stands at ``path``; None for an obstacle, which is noted."""
        folder, _, name = path.rpartition("/")
        listing = self.listing(folder)
        if listing is None:
            return None
        kind = listing.kinds.get(name)
        if listing.exists and (twin := listing.twin_of(name)):
            self._block_twin(path, twin)
            return None
        if kind is None or kind == "file":
            return kind is not None
        self._block_kind(path, kind, "a file")
        return None

    def read(self, path: str, size: int = sys.maxsize) -> bytes | None:
        """Return the first ``size`` bytes of a file, or fewer if it ends; None if it cannot be read."""
        try:
            return read_file(joined(self.root, path), size)
        except OSError as error:
            self._block_read(path, error)
            return None

    def sha256(self, path: str) -> str | None:
        """Return the hash of a file of any size; None if it cannot be read."""
        from hashlib import sha256

        digest = sha256()
        try:
            descriptor = os.open(joined(self.root, path), _READ)
            try:
                while chunk := os.read(descriptor, _CHUNK):
                    digest.update(chunk)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._block_read(path, error)
            return None
        return digest.hexdigest()

    def _list(self, folder: str) -> Listing | None:
        parent, _, name = folder.rpartition("/")
        above = self.listing(parent)
        if above is None or not above.exists:
            return above
        kind = above.kinds.get(name)
        if twin := above.twin_of(name):
            self._block_twin(folder, twin)
        elif kind is None:
            return ABSENT
        elif kind != "folder":
            self._block_kind(folder, kind, "a folder")
        else:
            try:
                return self._scan(folder)
            except FileNotFoundError:
                return ABSENT
            except OSError as error:
                self._block_read(folder, error)
        return None

    def _scan(self, folder: str) -> Listing:
        return _scan(joined(self.root, folder))

    def _block_read(self, path: str, error: OSError) -> None:
        fix = "make it readable for this user, then run again"
        self.block(path, f"cannot be read: {error.strerror}", fix)

    def _block_kind(self, path: str, kind: Kind, wanted: str) -> None:
        reason = f"is {_TAKEN[kind]}, where {wanted} of the tree has its place"
        self.block(path, reason, "move it away; --force does not replace it")

    def _block_twin(self, path: str, twin: str) -> None:
        reason = f"differs only in upper and lower case from '{twin}', which is there already"
        self.block(path, reason, f"rename or remove '{twin}'; --force does not replace it")


def joined(root: str, path: str) -> str:
    """Return ``path`` below ``root``, for the system and for messages."""
    if not path:
        return root
    return f"{root}{path}" if root.endswith("/") else f"{root}/{path}"


def read_file(path: str, size: int) -> bytes:
    """Return the first ``size`` bytes of a regular file, or fewer if it ends. Never follows a symlink."""
    descriptor = os.open(path, _READ)
    try:
        content = os.read(descriptor, min(size, _CHUNK))
        while len(content) < size and (more := os.read(descriptor, min(size - len(content), _CHUNK))):
            content += more
        return content
    finally:
        os.close(descriptor)


def _list_root(root: str) -> Listing:
    try:
        return _scan(root)
    except FileNotFoundError:
        return ABSENT
    except OSError as error:
        raise EffectError(f"{root}: cannot be listed: {error.strerror}\n  fix: {_ROOT_FIX}") from error


def _scan(folder: str) -> Listing:
    kinds: dict[str, Kind] = {}
    capitals: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            kinds[name] = _kind(entry)
            folded = name.casefold()
            if folded != name:
                capitals.setdefault(folded, []).append(name)
    return Listing(True, kinds, capitals)


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "symlink"
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else "special"


@contextmanager
def locked(root: str | os.PathLike[str]) -> Iterator[None]:
    """Keep every other run of this program out of ``root`` while the block runs; create ``root`` if missing.

    The lock is advisory and ends with the process, however it ends. Where the system or the file system has
    no such lock, the block runs without one.

    Raises:
        EffectError: Another run holds the lock, or ``root`` is no folder that can be used.
    """
    folder = os.fspath(root) or "."
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY) if fcntl is not None else None
    except OSError as error:
        reason = "is not a folder" if isinstance(error, FileExistsError) else error.strerror
        raise EffectError(f"{folder}: cannot be used as a folder: {reason}\n  fix: {_ROOT_FIX}") from error
    if descriptor is None:
        yield
        return
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EffectError(
            f"another aether-deploy is writing to {folder}\n  fix: wait until it is done, then run again"
        ) from error
    except OSError:
        return  # NFS and others refuse to lock a folder
