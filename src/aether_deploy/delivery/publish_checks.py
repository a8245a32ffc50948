"""What stands in the way of publishing: somebody's unfinished work, another git, files that are not ours."""

import os
import time
from collections.abc import Iterable, Iterator

from aether_deploy.delivery.disk import Obstacle, TreeBlockedError
from aether_deploy.delivery.git import Git, TreeEntry
from aether_deploy.delivery.publish_target import Target
from aether_deploy.delivery.repository import Repository
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME, folders_of
from aether_deploy.problems import EffectError, printable

_LOCK_PATIENCE_SECS = 2.0
_NAMED_MAX = 5

# What git leaves in a work tree's own folder while something is unfinished, what it is, and what ends it.
_UNFINISHED = (
    ("rebase-merge", "a rebase", "rebase"),
    ("rebase-apply", "a rebase", "rebase"),
    ("MERGE_HEAD", "a merge", "merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "cherry-pick"),
    ("REVERT_HEAD", "a revert", "revert"),
    ("sequencer", "a cherry-pick", "cherry-pick"),
)
_FOLDER, _LINK, _SUBMODULE = "040000", "120000", "160000"


class NotPublishedError(TreeBlockedError):
    """Nothing was published; ``obstacles`` holds every reason."""

    def __init__(self, target: Target, obstacles: Iterable[Obstacle]) -> None:
        self.obstacles = tuple(obstacles)
        count = f"{len(self.obstacles)} obstacle{'s' * (len(self.obstacles) != 1)}"
        lines = [f"nothing was published to {target.branch} of {target.repository.folder}: {count}"]
        lines += [f"{each.path}: {each.reason}\n  fix: {each.fix}" for each in self.obstacles]
        EffectError.__init__(self, "\n".join(lines))


def check_repository(target: Target) -> None:
    """Refuse a repository in which somebody is in the middle of something.

    Raises:
        NotPublishedError: With all that was found.
    """
    repository = target.repository
    obstacles = [*_unfinished(repository), *_locks(target), *_edits(target), *_other_work_trees(target)]
    if obstacles:
        raise NotPublishedError(target, obstacles)


def check_identity(git: Git) -> None:
    """Refuse to commit as nobody.

    Raises:
        GitError: Git does not know who commits.
    """
    for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        git.tell("var", name, doing="git does not know who commits")


def _unfinished(repository: Repository) -> Iterator[Obstacle]:
    """Yield what is unfinished in the work tree; a bare repository has none of it."""
    for name, what, command in _UNFINISHED:
        if os.path.exists(os.path.join(repository.own, name)):
            where = repository.top or repository.common
            fix = f"finish it, or end it: git -C {where} {command} --abort"
            yield Obstacle(where, f"{what} is unfinished", fix)
            return


def _locks(target: Target) -> Iterator[Obstacle]:
    """Yield locks of other gits that last: most are gone in no time."""
    repository = target.repository
    paths = [os.path.join(repository.common, f"{target.ref}.lock"), os.path.join(repository.common, "packed-refs.lock")]
    if repository.top is not None:
        paths += [os.path.join(repository.own, name) for name in ("index.lock", "HEAD.lock")]
    deadline = time.monotonic() + _LOCK_PATIENCE_SECS
    while any(map(os.path.lexists, paths)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for path in filter(os.path.lexists, paths):
        fix = "wait until that git is done; if none runs, remove the file"
        yield Obstacle(path, "another git is at work, or was killed", fix)


def _edits(target: Target) -> Iterator[Obstacle]:
    top = target.repository.top
    if top is None or not target.repository.has_index:
        return
    paths = changed_paths(Git(top), [target.path], untracked=False)
    if paths:
        fix = f"commit them, or take them back: git -C {top} restore --staged --worktree {target.path}"
        yield Obstacle(os.path.join(top, target.path), f"has edits that are not committed: {named(paths)}", fix)


def _other_work_trees(target: Target) -> Iterator[Obstacle]:
    """Yield other work trees that have the branch: it must not move below somebody's feet."""
    for tree in target.repository.work_trees():
        if tree.ref == target.ref and not tree.is_own:
            fix = f"publish from there: --repo {tree.folder}; or let it have another branch"
            yield Obstacle(tree.folder, f"has the branch {target.branch} checked out", fix)
    for folder in _own_folders(target.repository):
        if folder != target.repository.own and _rebased(folder) == target.ref:
            fix = "finish it there, or end it: git rebase --abort"
            yield Obstacle(folder, f"a rebase of {target.branch} is unfinished", fix)


def _own_folders(repository: Repository) -> Iterator[str]:
    yield repository.common
    trees = os.path.join(repository.common, "worktrees")
    if os.path.isdir(trees):
        yield from (os.path.join(trees, name) for name in sorted(os.listdir(trees)))


def _rebased(folder: str) -> str | None:
    """Return the ref that is being rebased in a work tree."""
    for name in ("rebase-merge", "rebase-apply"):
        try:
            with open(os.path.join(folder, name, "head-name"), encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            continue
    return None


def changed_paths(work: Git, below: Iterable[str], *, untracked: bool) -> list[str]:
    """Return the files of a work tree that differ from its commit, staged or not.

    Args:
        work: Git in the work tree.
        below: Files or folders to look at, relative to its root.
        untracked: Whether files that git does not know count, ignored ones among them.
    """
    options = ["--untracked-files=all", "--ignored=traditional"] if untracked else ["--untracked-files=no"]
    literally = [f":(top,literal){path}" for path in below]
    said = work.tell(
        "status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=all", *options, "--", *literally
    )
    return sorted(line[3:].rstrip("/") for line in os.fsdecode(said).split("\0") if line)


def check_folder(target: Target, entries: dict[str, TreeEntry]) -> None:
    """Refuse a folder that is something else than a tree of ours, or holds one of somebody else's.

    Args:
        target: Where the tree goes.
        entries: What the folder holds there.

    Raises:
        NotPublishedError: It is no folder, or full of files that we do not know.
    """
    obstacle = _no_folder(target) or _foreign(target, entries)
    if obstacle:
        raise NotPublishedError(target, [obstacle])


def _no_folder(target: Target) -> Obstacle | None:
    if target.base is None:
        return None
    for path in reversed([target.path, *folders_of(target.path)]):
        said = os.fsdecode(target.repository.git.tell("ls-tree", "-z", "--full-tree", target.base, path))
        mode = said[:6]
        if mode and mode != _FOLDER:
            what = {_LINK: "a symbolic link", _SUBMODULE: "a submodule"}.get(mode, "a file")
            fix = "name another folder by gitops.path, or remove it from the branch first"
            return Obstacle(f"{target.branch}:{path}", f"is {what}, where the tree's folder has its place", fix)
    return None


def _foreign(target: Target, entries: dict[str, TreeEntry]) -> Obstacle | None:
    """Return that the folder is somebody else's: it has files, and no index says that any of them is ours.

    Notes and what Flux puts there before the first tree does not count.
    """
    if INDEX_NAME in entries or JOURNAL_NAME in entries:
        return None
    foreign = [path for path in sorted(entries) if not _may_be_first(path)]
    if not foreign:
        return None
    fix = "name another folder by gitops.path, or move these files away first"
    reason = f"is no tree of aether-deploy, but holds {named(foreign)}"
    return Obstacle(f"{target.branch}:{target.path}", reason, fix)


def _may_be_first(path: str) -> bool:
    return path.endswith(".md") or path.rpartition("/")[2].startswith(".") or "/flux-system/" in path


def check_way(target: Target, commit: str) -> None:
    """Refuse to bring ``commit`` into the work tree over what is not committed there, or where nothing can be written.

    Raises:
        NotPublishedError: With all files that are in the way.
    """
    top = target.repository.top
    if top is None or not target.in_work_tree():
        return
    ways = _written_paths(target, commit)
    folders = {folder for path in ways for folder in folders_of(path)}
    found = changed_paths(Git(top), sorted({path.partition("/")[0] for path in ways}), untracked=True)
    in_way = [path for path in found if path in ways or path in folders or not ways.isdisjoint(folders_of(path))]
    obstacles = [*_unwritable(top, ways)]
    if in_way:
        fix = "commit them, or move them away; the branch is checked out there"
        obstacles.append(Obstacle(top, f"has changes that are in the way: {named(in_way)}", fix))
    if obstacles:
        raise NotPublishedError(target, obstacles)


def _unwritable(top: str, paths: Iterable[str]) -> Iterator[Obstacle]:
    """Yield folders of a work tree in which git could not write, and so would leave files of both states."""
    folders = {os.path.join(top, path.rpartition("/")[0]) for path in paths}
    there = {_existing(folder) for folder in folders}
    for folder in sorted(there):
        if not os.access(folder, os.W_OK | os.X_OK):
            yield Obstacle(folder, "is not writable for this user", "give this user the right to write there")


def _existing(folder: str) -> str:
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder


def _written_paths(target: Target, commit: str) -> set[str]:
    """Return all files that differ between the work tree's commit and ``commit``."""
    git = target.repository.git
    if target.local is None:
        said = git.tell("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
    else:
        said = git.tell("diff-tree", "-r", "-z", "--name-only", "--no-renames", target.local, commit)
    return {path for path in os.fsdecode(said).split("\0") if path}


def named(paths: list[str]) -> str:
    """Return some paths for a message, and how many there are more."""
    more = f" and {len(paths) - _NAMED_MAX} more" if len(paths) > _NAMED_MAX else ""
    return ", ".join(map(printable, paths[:_NAMED_MAX])) + more
