"""Write a rendered tree to disk: complete, or completed by the next run.

    write_tree(root, tree)

The order is what makes it safe to interrupt. First the journal names every file that is about to change;
then files are replaced one by one, old ones removed, the units' indexes replaced, the root's index last;
then the journal goes. Each file is old or new at any moment, never half.
"""

# Paths are strings here: thousands of files a run, and Path objects cost more than the system calls.

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from aether_deploy.delivery.disk import Obstacle, TreeBlockedError, joined, locked
from aether_deploy.delivery.tree_plan import Change, WritePlan, plan_write, temporary_of
from aether_deploy.gitops.tree import JOURNAL_NAME, Tree
from aether_deploy.problems import EffectError

__all__ = ["Change", "Obstacle", "TreeBlockedError", "WritePlan", "apply_write", "locked", "plan_write", "write_tree"]

Progress = Callable[[int, int], None]

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FIXES = {
    errno.ENOSPC: "free some space, then run again",
    errno.EDQUOT: "raise the quota or free some space, then run again",
    errno.EROFS: "mount it writable, then run again",
    errno.EACCES: "give this user the right to write there, then run again",
    errno.EPERM: "give this user the right to write there, then run again",
    errno.ENOENT: "something removed it meanwhile; run again",
}


def apply_write(root: str | os.PathLike[str], plan: WritePlan, progress: Progress | None = None) -> None:
    """Do what ``plan`` says; nothing where it changes nothing.

    Args:
        root: The folder that the plan was made for; created if missing.
        plan: From :func:`plan_write`, made under the same lock.
        progress: Called with (files done, files in all) after each file that is written or removed.

    Raises:
        TreeBlockedError: Folders are not writable; nothing was written.
        EffectError: The disk refused (full, vanished, no permission). Each file is old or new, and the
            next run completes this one.
    """
    if not plan.changes_nothing:
        _Run(os.fspath(root) or ".", plan, progress or _silent).apply()


def _silent(done: int, total: int) -> None:
    """Report to nobody."""


class _Run:
    """One application of a plan; ``_at`` is the path it is busy with, for the message when it fails."""

    def __init__(self, root: str, plan: WritePlan, progress: Progress) -> None:
        self._root = root
        self._plan = plan
        self._progress = progress
        self._total = len(plan.written) + len(plan.removed)
        self._done = 0
        self._begun = False
        self._at = ""

    def apply(self) -> None:
        try:
            os.makedirs(self._root, exist_ok=True)
            self._refuse_unwritable()
            self._change()
        except OSError as error:
            raise self._refusal(error) from error

    def _change(self) -> None:
        plan = self._plan
        self._remove_leftovers()
        if self._total:
            self._write_journal(plan.journal)
        self._begun = True
        self._create_folders()
        self._write(plan.files)
        self._remove(plan.prunes)
        self._write(plan.indexes)
        self._remove(plan.pruned_indexes)
        self._remove_empty_folders()
        self._write(() if plan.root_index is None else (plan.root_index,))
        self._finish_journal()

    def _remove_leftovers(self) -> None:
        for path in self._plan.leftovers:
            self._at = path
            with suppress(FileNotFoundError):
                os.unlink(joined(self._root, path))

    def _write_journal(self, content: bytes) -> None:
        """Replace the journal, and have it on disk before anything that it names changes."""
        self._at = JOURNAL_NAME
        _write_file(self._root, JOURNAL_NAME, content, sync=True)
        _sync_folder(self._root)

    def _finish_journal(self) -> None:
        self._at = JOURNAL_NAME
        if self._plan.journal_after is not None:
            self._write_journal(self._plan.journal_after)
        else:
            with suppress(FileNotFoundError):
                os.unlink(joined(self._root, JOURNAL_NAME))

    def _create_folders(self) -> None:
        for folder in self._plan.folders:
            self._at = folder
            os.mkdir(joined(self._root, folder))

    def _write(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._at = change.path
            _write_file(self._root, change.path, change.content)
            self._count()

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._at = path
            with suppress(FileNotFoundError):
                os.unlink(joined(self._root, path))
            self._count()

    def _remove_empty_folders(self) -> None:
        for folder in self._plan.vacated:
            self._at = folder
            try:
                os.rmdir(joined(self._root, folder))
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise

    def _count(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)

    def _refuse_unwritable(self) -> None:
        """Refuse before the first change what would be refused in the middle."""
        plan = self._plan
        paths = [*plan.written, *plan.removed, *plan.leftovers, *plan.folders, JOURNAL_NAME]
        created = set(plan.folders)
        folders = {path.rpartition("/")[0] for path in paths} - created
        obstacles = [
            Obstacle(folder, "is not writable for this user", _FIXES[errno.EACCES])
            for folder in sorted(folders)
            if not os.access(joined(self._root, folder), os.W_OK | os.X_OK)
        ]
        if obstacles:
            raise TreeBlockedError(self._root, obstacles)

    def _refusal(self, error: OSError) -> EffectError:
        fix = _FIXES.get(error.errno or 0, "mend the cause, then run again")
        done = f"after {self._done} of {self._total} files: " if self._begun else "nothing was written: "
        more = "; it completes what this run began" if self._begun else ""
        where = joined(self._root, self._at)
        return EffectError(f"{where}: {done}{error.strerror}\n  fix: {fix}{more}")


def _write_file(root: str, path: str, content: bytes, *, sync: bool = False) -> None:
    """Put a complete file at ``path`` in one step; what fails leaves the old one, and no temporary file."""
    temporary = joined(root, temporary_of(path))
    descriptor = os.open(temporary, _CREATE, 0o666)
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, joined(root, path))
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _sync_folder(folder: str) -> None:
    """Have the folder's names on disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_tree(
    root: str | os.PathLike[str],
    tree: Tree,
    *,
    environments: Iterable[str] | None = None,
    complete: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> WritePlan:
    """Make the folder ``root`` hold ``tree``, alone of all runs, and return what was done.

    Args:
        root: The tree's root; made if it is missing.
        tree: What it shall hold.
        environments: The environments that were rendered; left out, those of the tree's units.
        complete: These are all environments that there are: units of others are removed.
        force: Replace edited and foreign files that stand in the way.
        progress: Called with how many files are done, of how many.

    Raises:
        EffectError: Something stands in the way, another run is at work, or the disk refuses.
    """
    rendered = list(environments) if environments is not None else [unit.environment for unit in tree.units]
    with locked(root):
        plan = plan_write(root, tree, environments=rendered, complete=complete, force=force)
        apply_write(root, plan, progress)
    return plan
