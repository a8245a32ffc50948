"""The steps by which a commit comes to be: made, pushed, and taken by the branch."""

import os
import re
import time

from aether_deploy.delivery.git import Answer, Git, GitError
from aether_deploy.delivery.git_refusals import last_words, way_out
from aether_deploy.delivery.publish_target import Target

_COMMIT_HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "reference-transaction")
_REFLOG = {"GIT_REFLOG_ACTION": "aether-deploy publish"}
_INDEX_PATIENCE_SECS = 2.0
NOTHING_PUBLISHED = "nothing was published"


def commit_index(target: Target, work: Git, message: str) -> str:
    """Commit the index of a work tree, and return the commit's id; ``base`` if that holds the same.

    Nobody's branch moves by that: the work tree's HEAD is its own.

    Raises:
        GitError: Git or a hook refuses.
    """
    if target.base is not None and work.ask("diff-index", "--cached", "--quiet", target.base).code == 0:
        return target.base
    text = message.encode("utf-8", "surrogateescape")
    answer = work.ask("commit", "--quiet", "--cleanup=whitespace", "--file=-", given=text)
    if answer.code != 0:
        raise _refused_commit(target, work, answer)
    commit = work.tell("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    if target.base is not None and not target.repository.is_ancestor(target.base, commit):
        reason = f"a hook replaced the commit by one that does not follow {target.base[:12]}; {NOTHING_PUBLISHED}"
        raise GitError(reason, fix="let hooks keep the parent of a commit")
    return commit


def _refused_commit(target: Target, work: Git, answer: Answer) -> GitError:
    hooks = _hooks(work, _COMMIT_HOOKS)
    if not hooks or way_out(last_words(answer.err), work.folder):
        return target.repository.git.refusal(answer, f"the commit was refused; {NOTHING_PUBLISHED}")
    reason = f"{target.repository.folder}: a hook refused the commit ({', '.join(hooks)}); {NOTHING_PUBLISHED}"
    return GitError(reason, answer.err, fix="mend what the hook says, then run again")


def _hooks(git: Git, names: tuple[str, ...]) -> list[str]:
    """Return which of these hooks there are."""
    folder = git.line("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    return [name for name in names if folder and os.access(os.path.join(folder, name), os.X_OK)]


def push_commit(target: Target, git: Git, commit: str) -> None:
    """Push one commit to the branch at the remote, never by force, and nothing else.

    Args:
        target: Which remote and branch.
        git: In the work tree that the hook pre-push runs in.
        commit: Its id.

    Raises:
        GitError: The remote cannot be reached, or it or a hook refuses.
    """
    alone = ("--no-follow-tags", "--recurse-submodules=no", "--no-force", "--no-mirror", "--no-prune")
    answer = git.ask(*_from_here(target), "push", "--porcelain", *alone, str(target.remote), f"{commit}:{target.ref}")
    if answer.code != 0:
        raise _refused_push(target, git, answer)


def _from_here(target: Target) -> tuple[str, ...]:
    """Return what lets git find a remote whose address is a path relative to the clone, from another work tree too."""
    repository, remote = target.repository, str(target.remote)
    address = repository.git.line("remote", "get-url", "--push", remote)
    path = os.path.join(str(repository.top or repository.common), address or "")
    if not address or ":" in address or os.path.isabs(address) or not os.path.isdir(path):
        return ()
    return ("-c", f"remote.{remote}.pushurl={os.path.realpath(path)}")


def _refused_push(target: Target, git: Git, answer: Answer) -> GitError:
    where = f"{target.repository.folder}: the push to {target.branch} of {target.remote}"
    verdict = re.search(r"^!\t.*\[(remote )?rejected\] ?(.*)$", os.fsdecode(answer.out), re.MULTILINE)
    if verdict and verdict[1]:
        fix = "see what the remote says; for a protected branch push another, by --branch, and open a pull request"
        return GitError(f"{where} was rejected by the remote {verdict[2]}; {NOTHING_PUBLISHED}", answer.err, fix=fix)
    if verdict:
        fix = "run again: it then goes on top of what came meanwhile"
        return GitError(f"{where} was rejected {verdict[2]}; {NOTHING_PUBLISHED}", answer.err, fix=fix)
    if _hooks(git, ("pre-push",)) and not way_out(last_words(answer.err), git.folder):
        fix = "mend what the hook says, then run again"
        return GitError(f"{where} was refused by the hook pre-push; {NOTHING_PUBLISHED}", answer.err, fix=fix)
    return target.repository.git.refusal(answer, f"the push to {target.remote} failed; {NOTHING_PUBLISHED}")


def move_branch(target: Target, commit: str) -> None:
    """Let the branch go from the commit that was found to a new one; where it is checked out, files follow.

    Raises:
        GitError: The branch has moved meanwhile, it is locked, or something is in the way of files.
    """
    if target.in_work_tree():
        _fast_forward(target, commit)
        return
    old = target.local or target.repository.nothing
    arguments = ("update-ref", "-m", _REFLOG["GIT_REFLOG_ACTION"], target.ref, commit, old)
    answer = target.repository.git.ask(*arguments, patient=True)
    if answer.code != 0:
        raise _unmoved(target, answer)


def _fast_forward(target: Target, commit: str) -> None:
    """Let branch, index and files follow in one step of git, which ends even if we do not."""
    options = ("--ff-only", "--no-autostash", "--no-overwrite-ignore", "--no-verify-signatures", "--no-squash")
    here = Git(str(target.repository.top), {"gc.auto": "0", "maintenance.auto": "false"})
    answer = _insist(here, "merge", "--quiet", "--no-stat", *options, commit)
    now = target.repository.find_commit(target.ref)
    if now == commit:
        return
    # Git brings index and files forward before the branch, and leaves them so where that is refused, by a hook or
    # because the branch moved meanwhile. What differs between our commit and where the branch is now goes back.
    _insist(here, "read-tree", "-m", "-u", commit, now or here.tell("mktree").decode().strip())
    raise _unmoved(target, answer)


def _insist(git: Git, *arguments: str) -> Answer:
    """Run a command to its end, again if another git holds the index for a moment: editors ask for the status often."""
    deadline = time.monotonic() + _INDEX_PATIENCE_SECS
    while True:
        answer = git.ask(*arguments, patient=True, variables=_REFLOG)
        if answer.code == 0 or "index.lock" not in answer.err or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def _unmoved(target: Target, answer: Answer) -> GitError:
    git = target.repository.git
    now = target.repository.find_commit(target.ref)
    if now != target.local:
        reason = f"{target.branch} moved meanwhile, from {_short(target.local)} to {_short(now)}"
        return GitError(f"{target.repository.folder}: {reason}; {NOTHING_PUBLISHED}", fix="run again")
    return git.refusal(answer, f"{target.branch} cannot be moved; {NOTHING_PUBLISHED}")


def _short(commit: str | None) -> str:
    return "nothing" if commit is None else commit[:12]
