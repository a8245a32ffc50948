"""Publish a tree: commit it to a branch of a Git repository, and push that branch.

    publish("../gitops", tree)

The commit is made in a temporary work tree of its own, on top of the branch's tip, with the user's hooks. Only then
the branch moves, from the commit that was found to the new one or not at all. With ``push`` the remote takes it first:
where it refuses, the clone's branch stays as it was.
"""

import os
from collections.abc import Callable, Iterable

import msgspec

from aether_deploy.delivery.disk import Obstacle, TreeBlockedError
from aether_deploy.delivery.git import Git, GitError, list_entries
from aether_deploy.delivery.publish_bytes import blob_ids, check_attributes, check_bytes, is_there, rendered_files
from aether_deploy.delivery.publish_checks import (
    NotPublishedError,
    check_folder,
    check_identity,
    check_repository,
    check_way,
)
from aether_deploy.delivery.publish_lock import turn_of
from aether_deploy.delivery.publish_message import default_message
from aether_deploy.delivery.publish_refs import NOTHING_PUBLISHED, commit_index, move_branch, push_commit
from aether_deploy.delivery.publish_survey import CommitSurvey
from aether_deploy.delivery.publish_target import Target, find_target
from aether_deploy.delivery.publish_work_tree import work_tree, write_changes
from aether_deploy.delivery.repository import open_repository
from aether_deploy.delivery.tree_reading import NothingThereError, StoredTree, UnreadableTreeError, tree_of_commit
from aether_deploy.delivery.tree_writer import Progress, WritePlan, plan_write
from aether_deploy.gitops.tree import Tree

Summarize = Callable[[StoredTree | None], str]
"""Says what a change does, given the tree that is there; None for none."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What a run published, or would.

    Attributes:
        repository: The clone, as it was named.
        branch: The branch.
        base: The commit that it was put on; None for a first commit.
        commit: The commit that holds the tree; ``base`` where that held it already, None in a plan of a new one.
        written: Files that are new or got other bytes, relative to the repository's root, sorted.
        removed: Files that went, likewise.
        message: Of the commit; empty where there is nothing to commit.
        remote: The remote that was pushed to; None where nothing had to be.
        taken_along: Commits of the clone's branch that the remote had not and that are pushed, too.
        notes: What else is to be known.
    """

    repository: str
    branch: str
    base: str | None
    commit: str | None
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    message: str = ""
    remote: str | None = None
    taken_along: int = 0
    notes: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether the branch holds the tree already, here and where it is pushed to."""
        return self.commit is not None and self.commit == self.base and self.remote is None


class _Job:
    """One tree on its way to one target."""

    def __init__(
        self,
        target: Target,
        tree: Tree,
        environments: Iterable[str] | None,
        complete: bool,
        message: str | None,
        summarize: Summarize | None,
    ) -> None:
        self.target = target
        self._tree = tree
        units = dict.fromkeys(unit.environment for unit in tree.units)
        self._environments = list(units if environments is None else environments)
        self._complete = complete
        self._message = message
        self._summarize = summarize
        self._entries = {} if target.base is None else list_entries(target.repository.git, target.folder)
        self._files = rendered_files(tree)
        self._ids = blob_ids(self._files, target.repository.object_format)

    def is_there(self) -> bool:
        """Return whether the branch holds the tree already."""
        check_folder(self.target, self._entries)
        return is_there(
            self.target,
            self._entries,
            self._tree,
            self._ids,
            environments=self._environments,
            complete=self._complete,
        )

    def plan(self) -> WritePlan:
        """Return what would be written.

        Raises:
            NotPublishedError: Edited or foreign files are in the way.
        """
        place = f"{self.target.branch}:{self.target.path}"
        survey = CommitSurvey(place, self.target.repository.git, self._entries, self._files, self._ids)
        try:
            return plan_write(
                place, self._tree, environments=self._environments, complete=self._complete, survey=survey
            )
        except TreeBlockedError as error:
            obstacles = [Obstacle(f"{place}/{o.path}", o.reason, _way_out(o.fix)) for o in error.obstacles]
            raise NotPublishedError(self.target, obstacles) from error

    def write(self, work: Git, plan: WritePlan, progress: Progress | None) -> None:
        """Write what changes into a work tree and its index."""
        check_attributes(self.target, work, self._ids)
        changes = write_changes(work, self.target.path, plan, progress)
        self._ids |= blob_ids(changes, self.target.repository.object_format)

    def message(self, plan: WritePlan) -> str:
        """Return the message of the commit."""
        if self._message is not None:
            return self._message
        summary = "" if self._summarize is None else self._summarize(self._tree_before())
        return default_message(self._tree, self._environments, plan, self._entries, summary)

    def commit(self, work: Git, message: str) -> str:
        """Commit what was written, and return the commit's id; ``base`` if there is nothing to commit.

        Raises:
            GitError: Git or a hook refuses, or a hook changed what was rendered.
        """
        commit = commit_index(self.target, work, message)
        check_bytes(self.target, work, commit, self._ids)
        return commit

    def publication(self, plan: WritePlan | None, message: str, commit: str | None) -> Publication:
        """Return what is published; without a plan, nothing new."""
        target = self.target
        pushes = target.remote is not None and (commit is None or commit != target.remote_tip)
        return Publication(
            repository=target.repository.folder,
            branch=target.branch,
            base=target.base,
            commit=commit,
            written=() if plan is None else tuple(f"{target.path}/{path}" for path in plan.written),
            removed=() if plan is None else tuple(f"{target.path}/{path}" for path in plan.removed),
            message=message,
            remote=target.remote if pushes else None,
            taken_along=target.taken_along() if pushes else 0,
        )

    def _tree_before(self) -> StoredTree | None:
        if self.target.base is None:
            return None
        try:
            return tree_of_commit(self.target.repository, self.target.base, self.target.path)
        except (NothingThereError, UnreadableTreeError):  # it was interrupted, and is completed now
            return None


def _way_out(fix: str) -> str:
    """Return the way out of what blocks a tree, for one in a repository: publishing has neither -o nor --force."""
    fix = fix.replace("with -o", "by gitops.path").partition("; --force")[0]
    without, forced, _ = fix.partition(", or give --force")
    return f"{without}, or take it out of the branch first" if forced else fix


def plan_publish(
    repo: str | os.PathLike[str],
    tree: Tree,
    *,
    environments: Iterable[str] | None = None,
    complete: bool = True,
    branch: str | None = None,
    path: str = "deploy",
    push: bool = False,
    message: str | None = None,
    summarize: Summarize | None = None,
) -> Publication:
    """Return what :func:`publish` would do. No ref, no work tree and no file of the repository changes.

    What hooks, attributes of files and the remote will say is not known beforehand. With ``push``, commits that the
    remote has and the clone has not are fetched into its store of objects.

    Args, Raises:
        As :func:`publish`.
    """
    target = find_target(open_repository(os.fspath(repo)), branch=branch, path=path, push=push)
    check_repository(target)
    job = _Job(target, tree, environments, complete, message, summarize)
    if job.is_there():
        return job.publication(None, "", target.base)
    plan = job.plan()
    return job.publication(plan, job.message(plan), None)


def publish(
    repo: str | os.PathLike[str],
    tree: Tree,
    *,
    environments: Iterable[str] | None = None,
    complete: bool = True,
    branch: str | None = None,
    path: str = "deploy",
    push: bool = False,
    message: str | None = None,
    summarize: Summarize | None = None,
    progress: Progress | None = None,
) -> Publication:
    """Commit ``tree`` to a branch, if that does not hold it already, and return what was published.

    Work tree, index, HEAD and stash of the user stay as they are. Only where the branch is checked out in the work
    tree of ``repo``, that follows as after ``git merge --ff-only``, and what is not committed there stays.

    Args:
        repo: An existing clone, bare or with a work tree, or a folder in it.
        tree: What the branch shall hold.
        environments: The environments that were rendered; left out, those of the tree's units.
        complete: These are all environments that there are: units of others are removed.
        branch: The branch, made if it is missing; left out, the one that is checked out.
        path: The tree's folder, relative to the repository's root.
        push: Push the branch, to its remote or ``origin``. The tree then goes on top of what the remote has.
        message: The message of the commit; left out, one that says what changes.
        summarize: Gives the body of that message; left out, it lists files.
        progress: Called with how many files are written, of how many.

    Raises:
        ConfigError: ``branch`` is no name of a branch.
        NotPublishedError: Something stands in the way: edits, foreign files, an unfinished rebase, a lock.
        GitError: Git, a hook or the remote refuses. The branch is as it was.
        EffectError: Another publisher is at work, or the disk refuses.
    """
    repository = open_repository(os.fspath(repo))
    with turn_of(repository) as turn:
        target = find_target(repository, branch=branch, path=path, push=push)
        check_repository(target)
        job = _Job(target, tree, environments, complete, message, summarize)
        if job.is_there():
            return _handed_over(job, repository.git, job.publication(None, "", target.base))
        check_identity(repository.git)
        plan = job.plan()
        said = job.message(plan)
        with work_tree(turn, target.base) as work:
            job.write(work, plan, progress)
            commit = job.commit(work, said)
            if commit == target.base:
                return _handed_over(job, work, job.publication(None, "", commit))
            check_way(target, commit)
            return _handed_over(job, work, job.publication(plan, said, commit))


def _handed_over(job: _Job, git: Git, published: Publication) -> Publication:
    """Give the commit to the remote and to the branch, and return what was published."""
    target, commit = job.target, str(published.commit)
    if published.remote is not None:
        push_commit(target, git, commit)
    if target.remote is None:
        if commit != target.local:  # a branch that is missing is made, though its tree is there already
            move_branch(target, commit)
        return published
    return msgspec.structs.replace(published, notes=_follow(target, commit))


def _follow(target: Target, commit: str) -> tuple[str, ...]:
    """Bring the clone's own branch to what the remote has, and return what is to be said if that cannot be."""
    is_here = target.local is not None or target.in_work_tree()
    if target.remote is None or not is_here or target.local == commit:
        return ()
    try:
        check_way(target, commit)
        move_branch(target, commit)
    except NotPublishedError as error:
        reason = "; ".join(f"{each.path} {each.reason}" for each in error.obstacles)
    except GitError as error:
        reason = error.reason.partition(f"; {NOTHING_PUBLISHED}")[0]
    else:
        return ()
    return (f"{target.branch} of {target.remote} holds the tree, but the clone's stays behind: {reason}",)
