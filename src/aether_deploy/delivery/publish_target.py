"""Where a tree is published to: which branch, on top of which commit, and what that branch is at the remote."""

import msgspec

from aether_deploy.delivery.git import Git, GitError
from aether_deploy.delivery.repository import Repository
from aether_deploy.gitops.tree import path_fault
from aether_deploy.problems import ConfigError, Problem, shown

_FETCH_TRIES = 3


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A branch to publish to, as it was found.

    Attributes:
        repository: The clone.
        branch: Its name, without ``refs/heads/``.
        path: The tree's folder, relative to the repository's root.
        local: The commit that the clone's branch is at; None where it has no such branch.
        remote: The remote that is pushed to; None where nothing is pushed.
        remote_tip: The commit that the remote's branch is at; None where it has no such branch.
        base: The commit that the tree is put on; None for a first commit.
    """

    repository: Repository
    branch: str
    path: str
    local: str | None
    remote: str | None
    remote_tip: str | None
    base: str | None

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def folder(self) -> str:
        """The tree's folder in ``base``, as Git names it."""
        return f"{self.base}:{self.path}/"

    def in_work_tree(self) -> bool:
        """Return whether the branch is checked out in the work tree that was named, be it without a commit yet."""
        filled = self.local is None or self.repository.has_index
        return self.repository.top is not None and filled and self.repository.head_ref() == self.ref

    def taken_along(self) -> int:
        """Return how many commits of the clone's branch the remote has not."""
        if self.remote is None or self.base is None:
            return 0
        known = [f"--remotes={self.remote}", *([] if self.remote_tip is None else [self.remote_tip])]
        return int(self.repository.git.line("rev-list", "--count", self.base, "--not", *known) or 0)


def find_target(repository: Repository, *, branch: str | None, path: str, push: bool) -> Target:
    """Return where to publish, and on top of what. No ref changes; with ``push`` the remote's commits are fetched.

    Args:
        repository: The clone.
        branch: The branch; left out, the one that is checked out.
        path: The tree's folder, relative to the repository's root.
        push: Whether the branch is to be pushed: then the remote's is what counts.

    Raises:
        ConfigError: That is no name of a branch, or of a folder in it.
        GitError: No branch is checked out, the remote cannot be reached, or both branches have diverged.
    """
    name = branch if branch is not None else _checked_out(repository)
    misleading = name == "HEAD" or name.startswith(("-", "refs/"))  # git has other meanings for them
    if misleading or repository.git.ask("check-ref-format", f"refs/heads/{name}").code != 0:
        reason = "no name that Git takes for a branch"
        raise ConfigError([Problem(path="--branch", reason=reason, fix="name one such as main", value=shown(name))])
    if fault := path_fault(path.rstrip("/")):
        fix = "name a folder of the repository, such as deploy"
        raise ConfigError([Problem(path="$.gitops.path", reason=fault, fix=fix, value=shown(path))])
    local = repository.find_commit(f"refs/heads/{name}")
    remote = _remote(repository, name, needed=push)
    tip = _remote_tip(repository, remote, name) if push and remote is not None else None
    if push:
        base = _common_base(repository, name, local, tip, str(remote))
    else:
        tracked = None if remote is None else repository.find_commit(f"refs/remotes/{remote}/{name}")
        base = local or tracked
    return Target(
        repository=repository,
        branch=name,
        path=path.rstrip("/"),
        local=local,
        remote=remote if push else None,
        remote_tip=tip,
        base=base or repository.find_commit("HEAD"),
    )


def _checked_out(repository: Repository) -> str:
    ref = repository.head_ref()
    if ref is None or not ref.startswith("refs/heads/"):
        reason = f"{repository.folder}: no branch is checked out there (HEAD is detached)"
        raise GitError(reason, fix="say which branch is meant: --branch main")
    return ref.removeprefix("refs/heads/")


def _remote(repository: Repository, branch: str, *, needed: bool) -> str | None:
    """Return the remote of a branch: its own, else ``origin``, else the only one."""
    names = repository.git.line("remote").splitlines()
    own = repository.git.line("config", "--get", f"branch.{branch}.remote")
    if own in names:
        return own
    if "origin" in names:
        return "origin"
    if len(names) == 1:
        return names[0]
    if needed and not names:
        raise GitError(f"{repository.folder}: has no remote to push to", fix="add one: git remote add origin ADDRESS")
    if needed:
        fix = f"say which is meant: git config branch.{branch}.remote NAME"
        raise GitError(
            f"{repository.folder}: has the remotes {', '.join(names)}, and none is that of {branch}", fix=fix
        )
    return None


def _remote_tip(repository: Repository, remote: str, branch: str) -> str | None:
    """Return where a branch is at the remote, after its commits were fetched."""
    ref = f"refs/heads/{branch}"
    for _ in range(_FETCH_TRIES):  # it may move between both questions
        listed = repository.git.tell("ls-remote", remote, ref, doing=f"the remote {remote} cannot be asked")
        tips = [line.split("\t")[0] for line in listed.decode().splitlines() if line.endswith(f"\t{ref}")]
        if not tips or repository.find_commit(tips[0]):
            return tips[0] if tips else None
        _fetch(repository.git, remote, ref)
    raise GitError(f"{repository.folder}: {branch} moves at {remote} all the time", fix="run again when it is quiet")


def _fetch(git: Git, remote: str, ref: str) -> None:
    """Fetch the commits of one branch, and let no ref of the clone know: not even FETCH_HEAD changes."""
    quietly = ("--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap=")
    git.tell("fetch", *quietly, remote, ref, doing=f"the remote {remote} cannot be fetched from")


def _common_base(repository: Repository, branch: str, local: str | None, tip: str | None, remote: str) -> str | None:
    """Return the newer one of both branches; what only the clone has is then pushed, too."""
    if local is None or tip is None or repository.is_ancestor(local, tip):
        return tip or local
    if repository.is_ancestor(tip, local):
        return local
    raise GitError(
        f"{repository.folder}: {branch} has diverged from {remote}/{branch}: both have commits that the other has not",
        fix=f"bring them together: git pull --rebase {remote} {branch}",
    )
