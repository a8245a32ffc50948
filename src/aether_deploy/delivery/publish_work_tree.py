"""The temporary work tree in which a commit is made, with the user's hooks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aether_deploy.delivery.git import Git
from aether_deploy.delivery.publish_lock import Turn
from aether_deploy.delivery.tree_writer import Change, Progress, WritePlan
from aether_deploy.gitops.tree import JOURNAL_NAME
from aether_deploy.problems import EffectError

# Bytes have to be the same in the work tree and in the commit, whatever the user's settings do to text; and a checkout
# of ours neither needs large files from elsewhere nor what a sparse one leaves out.
_SETTINGS = {
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.safecrlf": "false",
    "core.sparseCheckout": "false",
    "core.fsmonitor": "false",
    "core.splitIndex": "false",
    "submodule.recurse": "false",
    "i18n.commitEncoding": "UTF-8",
    "gc.auto": "0",
    "maintenance.auto": "false",
}


@contextmanager
def work_tree(turn: Turn, base: str | None) -> Iterator[Git]:
    """Yield git in a work tree of its own whose index holds ``base``.

    Its files are there only if there are hooks, which may look at them; then raw, without filters and line endings.

    Args:
        turn: The right to publish.
        base: The commit; None for a work tree without one, whose first commit has no parent.

    Raises:
        EffectError: It cannot be made.
    """
    repository = turn.repository
    doing = "a temporary work tree cannot be made"
    with turn.temporary() as folder:
        place = os.path.join(folder, os.path.basename(folder))
        settings = {**_SETTINGS, **_filters_off(repository.git)}
        without_hooks = {**settings, "core.hooksPath": os.devnull}
        outside, inside = Git(repository.folder, without_hooks), Git(place, without_hooks)
        commit = base or _nothing(outside)
        outside.tell("worktree", "add", "--quiet", "--detach", "--no-checkout", place, commit, doing=doing)
        filling = ["--reset", "-u"] if _has_hooks(repository.git) else []
        inside.tell("read-tree", *filling, "HEAD", doing=doing)
        if base is None:
            inside.tell("symbolic-ref", "HEAD", "refs/worktree/publish")  # a ref that only this work tree has
        yield Git(place, settings)


def _has_hooks(git: Git) -> bool:
    """Return whether anything may run that looks at files: a hook, or one that is given by settings."""
    if git.line("config", "--get", "core.hooksPath") or git.line("config", "--get-regexp", r"^hook\."):
        return True
    folder = git.line("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(not name.endswith(".sample") and os.access(os.path.join(folder, name), os.X_OK) for name in names)


def _filters_off(git: Git) -> dict[str, str]:
    """Return settings that switch off all filters: what they make of a file is not what is in the commit."""
    names = git.line("config", "--name-only", "--get-regexp", r"^filter\.").splitlines()
    drivers = {name.rpartition(".")[0] for name in names if "=" not in name}
    values = {"clean": "", "smudge": "", "process": "", "required": "false"}
    return {f"{driver}.{key}": value for driver in sorted(drivers) for key, value in values.items()}


def _nothing(git: Git) -> str:
    """Return a commit without files or parents; no ref ever holds it."""
    tree = git.tell("mktree").decode().strip()
    return git.tell("commit-tree", "-m", "nothing yet", tree).decode().strip()


def write_changes(work: Git, folder: str, plan: WritePlan, progress: Progress | None) -> dict[str, bytes]:
    """Write and remove what a plan says, in files and index, and return the bytes that were written by path.

    Ignored files are taken like others: they are ours.

    Args:
        work: Git in the work tree.
        folder: The tree's folder there.
        plan: What changes; its paths are relative to that folder.
        progress: Called with how many files are done, of how many.

    Raises:
        EffectError: The disk or git refuses.
    """
    changes = [*plan.files, *plan.indexes, *([] if plan.root_index is None else [plan.root_index])]
    removed = [*plan.removed, *plan.leftovers]
    if plan.journal_after is not None:  # somebody committed an unfinished run, also of environments that are not ours
        changes.append(Change(JOURNAL_NAME, plan.journal_after))
    elif plan.unfinished:
        removed.append(JOURNAL_NAME)
    root = os.path.join(work.folder, folder)
    try:
        for number, change in enumerate(changes, 1):
            path = os.path.join(root, change.path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(change.content)
            if progress is not None:
                progress(number, len(changes))
        for name in removed:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(root, name))
    except OSError as error:
        fix = "let TMPDIR name a folder that can be written and has room"
        raise EffectError(f"{error.filename or root}: {error.strerror}\n  fix: {fix}") from error
    paths = [*(change.path for change in changes), *removed]
    given = b"".join(os.fsencode(f"{folder}/{path}") + b"\0" for path in paths)
    work.tell("update-index", "--add", "--remove", "-z", "--stdin", given=given, doing="the tree cannot be added")
    return {change.path: change.content for change in changes}
