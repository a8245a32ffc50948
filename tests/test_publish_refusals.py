"""What stops a publication: one clear error with the way out, nothing lost, nothing half-written."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aether_deploy.delivery.git import GitError
from aether_deploy.delivery.publish_checks import NotPublishedError
from aether_deploy.delivery.publishing import plan_publish, publish
from aether_deploy.problems import ConfigError, EffectError
from tests.git_cases import (
    FIRST,
    IN_TREE,
    OTHER_SYSTEM,
    SECOND,
    commit,
    git,
    hook,
    leftovers,
    published_files,
    rendered,
    tip,
    untouched,
)
from tests.tree_cases import PROD, put

pytestmark = pytest.mark.real

RUNS: dict[str, Callable[..., object]] = {"publish": publish, "plan": plan_publish}
both = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def refusal(folder: Path, act: Callable[[], object]) -> str:
    """Return why ``act`` is refused, which has to change nothing."""
    with untouched(folder), pytest.raises(EffectError) as caught:
        act()
    return str(caught.value)


# --- the repository


@both
def test_a_folder_that_is_no_repository_is_refused(run: Callable[..., object], tmp_path: Path, clone: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()

    with pytest.raises(GitError) as caught:
        run(folder, FIRST)

    assert str(caught.value) == (
        f"{folder}: is no Git repository\n"
        "  | fatal: not a git repository (or any of the parent directories): .git\n"
        "  fix: name a clone of the repository, or make one: git init"
    )
    assert list(folder.iterdir()) == []


@both
def test_a_folder_that_is_missing_is_refused(run: Callable[..., object], tmp_path: Path, clone: Path) -> None:
    with pytest.raises(GitError, match=r"cannot be used as a repository\n.*\n  fix: name a folder that is there"):
        run(tmp_path / "missing", FIRST)


def test_a_repository_of_somebody_else_is_refused_with_the_way_to_trust_it(clone: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may give a folder away")
    os.chown(clone, 12345, 12345)

    with pytest.raises(GitError) as caught:
        publish(clone, FIRST)

    os.chown(clone, 0, 0)
    assert str(caught.value).endswith(
        f"  fix: say that you trust it: git config --global --add safe.directory '{clone}'"
    )
    assert published_files(clone) == {}


@both
def test_a_branch_with_an_impossible_name_is_wrong_input(run: Callable[..., object], clone: Path) -> None:
    for name in ("a..b", "-f", "main.lock", "", "a b"):
        with untouched(clone), pytest.raises(ConfigError, match="no name that Git takes for a branch"):
            run(clone, FIRST, branch=name)


@both
def test_a_detached_head_needs_a_branch_to_be_named(run: Callable[..., object], clone: Path) -> None:
    git(clone, "switch", "--quiet", "--detach")

    assert refusal(clone, lambda: run(clone, FIRST)) == (
        f"{clone}: no branch is checked out there (HEAD is detached)\n  fix: say which branch is meant: --branch main"
    )


def test_nobody_cannot_commit(clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gitconfig").write_text("[user]\n    useConfigOnly = true\n")

    with pytest.raises(GitError) as caught:
        publish(clone, FIRST)

    lines = str(caught.value).splitlines()
    assert lines[0] == f"{clone}: git does not know who commits"
    assert lines[-1] == (
        "  fix: say who commits: git config --global user.name NAME; git config --global user.email ADDRESS"
    )
    assert leftovers(clone) == []


def test_without_a_place_for_a_work_tree_nothing_is_published(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")

    assert refusal(clone, lambda: publish(clone, FIRST)) == (
        "no temporary file can be made: No such file or directory\n"
        "  fix: let TMPDIR name a folder that can be written and has room"
    )


# --- somebody's unfinished work


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


EDITS: dict[str, Callable[[Path], object]] = {
    "an edit": lambda clone: put(clone, IN_TREE, "edited\n"),
    "a staged edit": lambda clone: (put(clone, IN_TREE, "edited\n"), git(clone, "add", IN_TREE)),
    "a removal": lambda clone: (clone / IN_TREE).unlink(),
    "a staged removal": lambda clone: git(clone, "rm", "--quiet", IN_TREE),
    "a new file that is staged": lambda clone: (put(clone, "deploy/new", "n\n"), git(clone, "add", "deploy/new")),
    "another kind": lambda clone: relink(clone / IN_TREE),
}


@both
@pytest.mark.parametrize("edit", EDITS)
def test_edits_in_the_folder_of_the_tree_stop_the_run_and_stay(
    edit: str, run: Callable[..., object], clone: Path
) -> None:
    publish(clone, FIRST)
    EDITS[edit](clone)
    path = "deploy/new" if edit == "a new file that is staged" else IN_TREE

    assert refusal(clone, lambda: run(clone, SECOND)) == (
        f"nothing was published to main of {clone}: 1 obstacle\n"
        f"{clone}/deploy: has edits that are not committed: {path}\n"
        f"  fix: commit them, or take them back: git -C {clone} restore --staged --worktree deploy"
    )


def test_edits_count_even_where_another_branch_is_checked_out(clone: Path) -> None:
    publish(clone, FIRST)
    git(clone, "switch", "--quiet", "--create", "work")
    put(clone, IN_TREE, "edited\n")

    assert "has edits that are not committed" in refusal(clone, lambda: publish(clone, SECOND, branch="main"))


@pytest.mark.parametrize("ignored", [False, True])
def test_files_that_git_does_not_know_and_that_are_in_the_way_stop_the_run(ignored: bool, clone: Path) -> None:
    """Git itself would overwrite ignored ones without a word."""
    commit(clone, {".gitignore": "/deploy/\n" if ignored else "x\n"})
    put(clone, IN_TREE, "mine\n")
    put(clone, f"deploy/{PROD}/cluster/namespace.yaml/a/folder", "mine\n")

    assert refusal(clone, lambda: publish(clone, FIRST)) == (
        f"nothing was published to main of {clone}: 1 obstacle\n"
        f"{clone}: has changes that are in the way: {IN_TREE}, deploy/{PROD}/cluster/namespace.yaml/a/folder\n"
        "  fix: commit them, or move them away; the branch is checked out there"
    )


def test_a_file_where_a_folder_belongs_stops_the_run(clone: Path) -> None:
    put(clone, "deploy", "mine\n")

    assert f"{clone}: has changes that are in the way: deploy\n" in refusal(clone, lambda: publish(clone, FIRST))


def test_files_that_git_does_not_know_and_that_are_not_in_the_way_stay(clone: Path) -> None:
    publish(clone, FIRST)
    put(clone, "deploy/scratch.txt", "mine\n")

    publish(clone, SECOND)

    assert (clone / "deploy/scratch.txt").read_text() == "mine\n"
    assert git(clone, "status", "--porcelain") == "?? deploy/scratch.txt\n"


@contextmanager
def as_nobody(folder: Path) -> Iterator[Path]:
    """Yield a copy of a folder that belongs to a user whom the system refuses things, whoever runs the tests."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        shutil.copytree(folder, place / "copy", symlinks=True)
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "65534", place], check=True)
        yield place / "copy"
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", place], check=True)
        shutil.rmtree(place)


def refused_to_nobody(act: Callable[[], object]) -> str:
    """Run ``act`` as that user, and return why it is refused."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            tempfile.tempdir = tempfile.mkdtemp(dir="/tmp")
            act()
        except EffectError as error:
            os.write(writer, str(error).encode())
        finally:
            os.rmdir(str(tempfile.tempdir))
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def test_a_folder_that_cannot_be_written_is_seen_before_git_leaves_half_of_it(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(clone, FIRST)
    with as_nobody(clone.parent) as copy:
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(copy / "gitconfig"))
        closed = copy / f"clone/deploy/{PROD}/cluster"
        closed.chmod(0o500)

        said = refused_to_nobody(lambda: publish(copy / "clone", SECOND))

        assert said == (
            f"nothing was published to main of {copy}/clone: 1 obstacle\n"
            f"{closed}: is not writable for this user\n"
            "  fix: give this user the right to write there"
        )
        assert (copy / "clone" / IN_TREE).read_text() == "first\n"


def test_a_repository_that_cannot_be_written_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with as_nobody(clone.parent) as copy:
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(copy / "gitconfig"))
        (copy / "clone/.git").chmod(0o500)

        said = refused_to_nobody(lambda: publish(copy / "clone", FIRST))

        assert said == (
            f"{copy}/clone/.git/aether-deploy.publishing: Permission denied\n"
            "  fix: give this user the right to write there"
        )


def conflict(clone: Path) -> None:
    """Make two branches that conflict, ``work`` being checked out."""
    git(clone, "switch", "--quiet", "--create", "work")
    commit(clone, {"a.txt": "work\n"})
    git(clone, "switch", "--quiet", "main")
    commit(clone, {"a.txt": "main\n"})
    git(clone, "switch", "--quiet", "work")


UNFINISHED = {
    "a rebase": (["rebase", "main"], "rebase"),
    "a merge": (["merge", "main"], "merge"),
    "a cherry-pick": (["cherry-pick", "main"], "cherry-pick"),
    "a revert": (["revert", "--no-edit", "HEAD~1"], "revert"),
}


@both
@pytest.mark.parametrize("what", UNFINISHED)
def test_what_is_unfinished_is_finished_first(what: str, run: Callable[..., object], clone: Path) -> None:
    conflict(clone)
    commit(clone, {"a.txt": "work again\n"})
    command, abort = UNFINISHED[what]
    git(clone, *command, check=False)

    said = refusal(clone, lambda: run(clone, FIRST, branch="main"))

    assert f"{clone}: {what} is unfinished\n  fix: finish it, or end it: git -C {clone} {abort} --abort" in said
    git(clone, abort, "--abort")
    run(clone, FIRST, branch="main")


def test_a_rebase_of_the_branch_in_another_work_tree_is_finished_first(clone: Path, tmp_path: Path) -> None:
    conflict(clone)
    linked = tmp_path / "linked"
    git(clone, "worktree", "add", "--quiet", str(linked), "main")
    git(linked, "rebase", "work", check=False)

    assert "a rebase of main is unfinished\n" in refusal(clone, lambda: publish(clone, FIRST, branch="main"))


@both
def test_a_branch_of_another_work_tree_is_left_alone(run: Callable[..., object], clone: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(clone, "worktree", "add", "--quiet", "-b", "live", str(linked))

    assert refusal(clone, lambda: run(clone, FIRST, branch="live")) == (
        f"nothing was published to live of {clone}: 1 obstacle\n"
        f"{linked}: has the branch live checked out\n"
        f"  fix: publish from there: --repo {linked}; or let it have another branch"
    )
    assert "has the branch main checked out" in refusal(linked, lambda: run(linked, FIRST, branch="main"))


def test_a_work_tree_whose_folder_is_gone_holds_nobody_up(clone: Path, tmp_path: Path) -> None:
    git(clone, "worktree", "add", "--quiet", "-b", "live", str(tmp_path / "linked"))
    shutil.rmtree(tmp_path / "linked")

    publish(clone, FIRST, branch="live")

    assert published_files(clone, "live") == rendered(FIRST)
    assert "linked" in git(clone, "worktree", "list")


# --- locks


LOCKS = {
    "of the index": ("index.lock", "main"),
    "of HEAD": ("HEAD.lock", "main"),
    "of the branch": ("refs/heads/main.lock", "main"),
    "of packed refs": ("packed-refs.lock", "main"),
    "of a branch that is not there yet": ("refs/heads/new.lock", "new"),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_of_another_git_stops_the_run(lock: str, clone: Path) -> None:
    name, branch = LOCKS[lock]
    path = put(clone, f".git/{name}", "")

    with pytest.raises(NotPublishedError) as caught:
        publish(clone, FIRST, branch=branch)

    assert str(caught.value) == (
        f"nothing was published to {branch} of {clone}: 1 obstacle\n"
        f"{path}: another git is at work, or was killed\n"
        "  fix: wait until that git is done; if none runs, remove the file"
    )
    path.unlink()
    assert leftovers(clone) == []
    assert tip(clone, "refs/heads/main") == tip(clone, "refs/remotes/origin/main")
    publish(clone, FIRST, branch=branch)


def test_all_obstacles_are_told_at_once(clone: Path, tmp_path: Path) -> None:
    publish(clone, FIRST)
    put(clone, IN_TREE, "edited\n")
    git(clone, "worktree", "add", "--quiet", "-b", "live", str(tmp_path / "linked"))
    lock = put(clone, ".git/HEAD.lock", "")

    with pytest.raises(NotPublishedError) as caught:
        publish(clone, SECOND, branch="live")

    lock.unlink()
    assert [each.reason.split(":")[0] for each in caught.value.obstacles] == [
        "another git is at work, or was killed",
        "has edits that are not committed",
        "has the branch live checked out",
    ]


# --- the folder


@both
def test_an_edit_that_was_committed_is_not_overwritten(run: Callable[..., object], clone: Path) -> None:
    publish(clone, FIRST)
    commit(clone, {IN_TREE: "edited\n"})

    assert refusal(clone, lambda: run(clone, SECOND)) == (
        f"nothing was published to main of {clone}: 1 obstacle\n"
        f"main:{IN_TREE}: was edited since it was rendered\n"
        "  fix: move the edit into the description, or take it out of the branch first"
    )


@both
def test_a_foreign_file_in_the_way_is_not_overwritten(run: Callable[..., object], clone: Path) -> None:
    publish(clone, FIRST)
    foreign = f"deploy/{PROD}/aether-prod/voice/service.yaml"
    commit(clone, {foreign: "mine\n"})

    assert refusal(clone, lambda: run(clone, SECOND)) == (
        f"nothing was published to main of {clone}: 1 obstacle\n"
        f"main:{foreign}: is not from aether-deploy, and has other content\n"
        "  fix: move it away, or take it out of the branch first"
    )


@both
def test_a_folder_of_somebody_else_is_left_alone(run: Callable[..., object], clone: Path) -> None:
    commit(clone, {"deploy/chart/values.yaml": "a: b\n", "deploy/README.md": "x\n"})

    assert refusal(clone, lambda: run(clone, FIRST)) == (
        f"nothing was published to main of {clone}: 1 obstacle\n"
        "main:deploy: is no tree of aether-deploy, but holds chart/values.yaml\n"
        "  fix: name another folder by gitops.path, or move these files away first"
    )


@both
def test_a_tree_of_another_system_is_left_alone(run: Callable[..., object], clone: Path) -> None:
    publish(clone, OTHER_SYSTEM)

    assert refusal(clone, lambda: run(clone, FIRST)) == (
        f"nothing was published to main of {clone}: 1 obstacle\n"
        f"main:deploy/{PROD}: belongs to the system 'other'\n"
        "  fix: choose another folder by gitops.path, or remove that system's tree first"
    )


@both
def test_a_damaged_index_stops_the_run(run: Callable[..., object], clone: Path) -> None:
    publish(clone, FIRST)
    commit(clone, {"deploy/aether.index.jsonl": "nonsense\n"})

    assert "main:deploy/aether.index.jsonl: line 1 is corrupt: " in refusal(clone, lambda: run(clone, SECOND))


def link(clone: Path, path: str) -> None:
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).symlink_to("/tmp")
    git(clone, "add", path)
    git(clone, "commit", "--quiet", "-m", "link")


@both
@pytest.mark.parametrize(
    "at, path, what",
    [
        ("deploy", "deploy", "a symbolic link"),
        ("a", "a/deploy", "a symbolic link"),
        ("deploy/prod", "deploy", ""),
    ],
)
def test_a_symbolic_link_is_not_followed(
    at: str, path: str, what: str, run: Callable[..., object], clone: Path
) -> None:
    publish(clone, FIRST, path="elsewhere")
    link(clone, at)
    here = (
        f"is {what}, where the tree's folder has its place" if what else "is no tree of aether-deploy, but holds prod"
    )

    assert here in refusal(clone, lambda: run(clone, FIRST, path=path))


@both
def test_a_symbolic_link_within_the_tree_is_not_followed(run: Callable[..., object], clone: Path) -> None:
    publish(clone, FIRST)
    git(clone, "rm", "--quiet", "-r", f"deploy/{PROD}/aether-prod")
    link(clone, f"deploy/{PROD}/aether-prod")

    assert "aether-prod: is a symbolic link, where a folder of the tree has its place\n  fix: move it away" in refusal(
        clone, lambda: run(clone, SECOND)
    )


@both
def test_a_file_and_a_submodule_are_no_folder(run: Callable[..., object], clone: Path, tmp_path: Path) -> None:
    commit(clone, {"file": "x\n"})
    git(clone, "submodule", "--quiet", "add", (tmp_path / "remote.git").as_uri(), "sub")
    git(clone, "commit", "--quiet", "-m", "sub")

    assert "main:file: is a file, where the tree's folder" in refusal(clone, lambda: run(clone, FIRST, path="file"))
    assert "main:sub: is a submodule, where the tree's" in refusal(clone, lambda: run(clone, FIRST, path="sub/a"))


# --- hooks


@pytest.mark.parametrize("name", ["pre-commit", "prepare-commit-msg", "commit-msg"])
def test_what_a_refusing_hook_says_is_quoted(name: str, clone: Path) -> None:
    hook(clone, name, "echo working; echo 'the yaml is not pretty' >&2; exit 1")

    said = refusal(clone, lambda: publish(clone, FIRST))

    assert said == (
        f"{clone}: a hook refused the commit ({name}); nothing was published\n"
        "  | working\n"
        "  | the yaml is not pretty\n"
        "  fix: mend what the hook says, then run again"
    )


def test_a_hook_that_says_nothing_is_named(clone: Path) -> None:
    hook(clone, "pre-commit", "exit 3")

    assert refusal(clone, lambda: publish(clone, FIRST)) == (
        f"{clone}: a hook refused the commit (pre-commit); nothing was published\n"
        "  fix: mend what the hook says, then run again"
    )


def test_a_hook_that_refuses_refs_leaves_the_branch(clone: Path) -> None:
    hook(
        clone,
        "reference-transaction",
        'grep -q refs/heads/main && test "$1" = prepared && echo no main >&2 && exit 1; exit 0',
    )

    assert "  | no main\n" in refusal(clone, lambda: publish(clone, FIRST))
    git(clone, "switch", "--quiet", "--detach")
    assert "  | no main\n" in refusal(clone, lambda: publish(clone, FIRST, branch="main"))


def test_a_hook_that_refuses_refs_leaves_an_unborn_branch_and_what_lies_there(clone: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    git(tmp_path, "init", "--quiet", str(empty))
    put(empty, "staged.txt", "mine\n")
    git(empty, "add", "staged.txt")
    hook(empty, "reference-transaction", 'grep -q refs/heads/main && test "$1" = prepared && exit 1; exit 0')

    assert "nothing was published" in refusal(empty, lambda: publish(empty, FIRST))


def test_hooks_of_a_checkout_do_not_run_for_a_work_tree_of_ours(clone: Path) -> None:
    hook(clone, "post-checkout", "echo checked out >&2; exit 1")

    publish(clone, FIRST)

    assert published_files(clone) == rendered(FIRST)


def test_a_key_that_cannot_sign_is_told(clone: Path, tmp_path: Path) -> None:
    signer = tmp_path / "signer"
    signer.write_text("#!/bin/sh\necho 'no secret key' >&2\nexit 2\n")
    signer.chmod(0o755)
    git(clone, "config", "gpg.program", str(signer))
    git(clone, "config", "commit.gpgSign", "true")
    hook(clone, "pre-commit", "exit 0")

    said = refusal(clone, lambda: publish(clone, FIRST))

    assert "gpg failed to sign the data" in said
    assert said.endswith("  fix: see that the key of user.signingKey can sign here")
