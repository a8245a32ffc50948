"""One publisher at a time in a repository, and the temporary folder that it works in.

A file in the repository's common folder is what publishers lock. The kernel takes the lock back when its holder ends,
however it ends. The file names the temporary folder of its holder, so that the next one can remove what a ``kill -9``
left.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aether_deploy.delivery.repository import Repository
from aether_deploy.problems import EffectError

LOCK_NAME = "aether-deploy.publishing"
PREFIX = "aether-deploy-publish-"

_OWNER = "repository"
_FIX_TEMPORARY = "let TMPDIR name a folder that can be written and has room"


class Turn:
    """The right to publish to a repository, while nobody else does."""

    def __init__(self, repository: Repository, descriptor: int) -> None:
        self.repository = repository
        self._descriptor = descriptor

    def remove_leftovers(self) -> None:
        """Remove the temporary work tree of a publisher that was killed, or of ourselves."""
        folder = os.fsdecode(os.pread(self._descriptor, 4096, 0)).strip("\n")
        if folder and self._is_ours(folder):
            _remove(folder)
        if not folder or not os.path.isdir(folder) or not self._is_ours(folder):
            os.ftruncate(self._descriptor, 0)
        trees = os.path.join(self.repository.common, "worktrees")
        with suppress(OSError):
            for name in os.listdir(trees):
                if name.startswith(PREFIX):
                    shutil.rmtree(os.path.join(trees, name), ignore_errors=True)
            os.rmdir(trees)  # as git does with the last one

    @contextmanager
    def temporary(self) -> Iterator[str]:
        """Yield a new folder, which is removed at the end; if we are killed, by the next publisher.

        Raises:
            EffectError: It cannot be made.
        """
        folder = os.path.join(tempfile.gettempdir(), f"{PREFIX}{os.urandom(6).hex()}")
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, os.fsencode(folder) + b"\n", 0)
        try:
            try:
                os.mkdir(folder, 0o700)
                with open(os.path.join(folder, _OWNER), "wb") as owner:
                    owner.write(os.fsencode(self.repository.common))
            except OSError as error:
                raise EffectError(f"{folder}: {error.strerror}\n  fix: {_FIX_TEMPORARY}") from error
            yield folder
        finally:
            self.remove_leftovers()

    def _is_ours(self, folder: str) -> bool:
        """Return whether a folder is a temporary one of this repository: the file that names it may be a copy."""
        if not os.path.basename(folder).startswith(PREFIX) or os.path.islink(folder) or not os.path.isdir(folder):
            return False
        try:
            with open(os.path.join(folder, _OWNER), "rb") as owner:
                return owner.read() in (os.fsencode(self.repository.common), b"")  # empty: killed while it was written
        except FileNotFoundError:
            return not os.listdir(folder)
        except OSError:
            return False


def _remove(folder: str) -> None:
    """Remove a temporary folder; the file that says whose it is goes last."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name != _OWNER:
                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, _OWNER))
        os.rmdir(folder)


@contextmanager
def turn_of(repository: Repository) -> Iterator[Turn]:
    """Keep every other publisher out of the repository while the block runs, and clean up after one that was killed.

    Raises:
        EffectError: Another one is at work, or the repository cannot be written.
    """
    path = os.path.join(repository.common, LOCK_NAME)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        fix = "give this user the right to write there"
        raise EffectError(f"{path}: {error.strerror}\n  fix: {fix}") from error
    try:
        _lock(descriptor, repository)
        turn = Turn(repository, descriptor)
        turn.remove_leftovers()
        yield turn
    finally:
        os.close(descriptor)


def _lock(descriptor: int, repository: Repository) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        reason = f"another aether-deploy is publishing to {repository.folder}"
        raise EffectError(f"{reason}\n  fix: wait until it is done, then run again") from error
    except OSError:
        return  # some network file systems have no locks; the branch's expected value still tells who was first
