"""A Git repository that is there already: where it lies, what it names, which work trees it has."""

import os

import msgspec

from aether_deploy.delivery.git import Git, GitError, need_git


class WorkTree(msgspec.Struct, frozen=True):
    """One of a repository's work trees.

    Attributes:
        folder: Where it lies; of a submodule's main one, where its repository does.
        ref: The ref that its HEAD stands for; None while detached.
        is_own: Whether it is that of the folder that the repository was named by.
    """

    folder: str
    ref: str | None
    is_own: bool


class Repository(msgspec.Struct, frozen=True):
    """An existing repository.

    Attributes:
        folder: As it was named; messages say it.
        git: Git, working in ``folder``.
        common: The folder of refs and objects, which all its work trees share.
        own: The folder of the work tree's own index and HEAD; ``common`` for the main one and a bare repository.
        top: The root of the work tree that ``folder`` lies in; None for a bare repository.
        object_format: ``sha1`` or ``sha256``.
    """

    folder: str
    git: Git
    common: str
    own: str
    top: str | None
    object_format: str

    @property
    def nothing(self) -> str:
        """The id by which a ref is said not to exist."""
        return "0" * (64 if self.object_format == "sha256" else 40)

    @property
    def has_index(self) -> bool:
        """Whether anything was ever checked out; ``git clone --no-checkout`` leaves a work tree without an index."""
        return os.path.exists(os.path.join(self.own, "index"))

    def commit(self, ref: str) -> str:
        """Return the id of the commit that ``ref`` names.

        Raises:
            GitError: It names none.
        """
        found = self.find_commit(ref)
        if found is None:
            remote, slash, branch = ref.partition("/")
            fetch = f"git fetch {remote} {branch}" if slash else "git fetch origin"
            fix = f"name a branch, a tag or a commit that is there; to get it from the remote: {fetch}"
            raise GitError(f"{self.folder}: knows no commit '{ref}'", fix=fix)
        return found

    def find_commit(self, ref: str) -> str | None:
        """Return the id of the commit that ``ref`` names, or None."""
        if ref.startswith("-"):
            return None
        return self.git.line("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") or None

    def head_ref(self) -> str | None:
        """Return the branch that is checked out, such as ``refs/heads/main``, even one without a commit."""
        return self.git.line("symbolic-ref", "--quiet", "HEAD") or None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether ``newer`` holds ``older``, or is it."""
        return self.git.ask("merge-base", "--is-ancestor", older, newer).code == 0

    def work_trees(self) -> list[WorkTree]:
        """Return the work trees whose folders exist, the one of ``folder`` among them."""
        text = os.fsdecode(self.git.tell("worktree", "list", "--porcelain"))
        found = []
        for place, block in enumerate(text.split("\n\n")):  # the main one is the first
            words = dict(line.partition(" ")[::2] for line in block.splitlines())
            folder = words.get("worktree", "")
            if "bare" not in words and os.path.isdir(folder):
                found.append(WorkTree(folder, words.get("branch"), self._is_own(folder, is_main=place == 0)))
        return found

    def _is_own(self, folder: str, *, is_main: bool) -> bool:
        if is_main or self.top is None:
            return is_main and self.top is not None and self.own == self.common
        return os.path.samefile(folder, self.top)


def open_repository(folder: str) -> Repository:
    """Return the repository that ``folder`` lies in.

    Raises:
        GitError: There is no such repository, git refuses it, or there is no git that is new enough.
    """
    need_git()
    git = Git(folder)
    asked = ("--git-common-dir", "--absolute-git-dir", "--is-inside-work-tree", "--show-object-format")
    answer = git.ask("rev-parse", "--path-format=absolute", *asked)
    if answer.code != 0:
        reason = "is no Git repository" if "not a git repository" in answer.err else "cannot be used as a repository"
        raise git.refusal(answer, reason)
    common, own, inside, object_format = os.fsdecode(answer.out).splitlines()
    top = git.line("rev-parse", "--show-toplevel") if inside == "true" else None
    return Repository(folder or ".", git, common, own, top, object_format)
