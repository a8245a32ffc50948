"""Publishers that are killed, interrupted, or not alone: the next run succeeds, and nothing of the user's is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.delivery.publish_lock import LOCK_NAME, PREFIX
from aether_deploy.delivery.publishing import publish
from aether_deploy.gitops.tree import Tree
from aether_deploy.problems import EffectError
from tests.cli_cases import SMALL, ended, program
from tests.git_cases import (
    FIRST,
    SECOND,
    clone_of,
    commit,
    git,
    has_ended,
    hook,
    leftovers,
    published_files,
    rendered,
    state,
    tip,
    untouched,
)
from tests.tree_cases import put, tree_of

pytestmark = pytest.mark.real

SEED = 20251126
ROUNDS = 10
CHANGING = (
    "fetch",
    "mktree",
    "commit-tree",
    "worktree",
    "symbolic-ref",
    "add",
    "commit",
    "push",
    "update-ref",
    "merge",
)


def make_busy(clone: Path) -> None:
    """Give the clone a first tree, and all that somebody may have in the middle of his work."""
    publish(clone, FIRST, push=True)
    commit(clone, {"a.txt": "a\n", "b.txt": "b\n"})
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "branch", "work")
    put(clone, "stashed.txt", "s\n")
    git(clone, "stash", "--include-untracked")
    put(clone, "a.txt", "staged\n")
    git(clone, "add", "a.txt")
    put(clone, "b.txt", "edited\n")
    put(clone, "new.txt", "untracked\n")


def users_own(clone: Path) -> dict[str, object]:
    """Return what is the user's, whatever was published."""
    found = state(clone)
    files: Any = found["files"]
    return {
        "files": {path: content for path, content in files.items() if not path.startswith("deploy/")},
        "work": tip(clone, "refs/heads/work"),
        **{name: found[name] for name in ("HEAD", "stash", "settings", "unfinished")},
        "status": [line for line in git(clone, "status", "--porcelain").splitlines() if "deploy/" not in line],
    }


def forked(act: Callable[[], object]) -> int:
    """Run ``act`` in a child, and return the child's process id."""
    child = os.fork()
    if child:
        return child
    try:
        act()
    except EffectError:
        os._exit(3)
    finally:
        os._exit(0)


def status_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def settle(clone: Path) -> None:
    """Wait until the last step of git, which outlives us, is done."""
    deadline = time.monotonic() + 90
    while (git_runs() or list((clone / ".git").rglob("*.lock"))) and time.monotonic() < deadline:
        time.sleep(0.02)


def git_runs() -> bool:
    """Return whether a program runs that was started in this test: all have its TMPDIR."""
    mark = f"TMPDIR={os.environ['TMPDIR']}\0".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or is not ours
            if mark in path.read_bytes():
                return True
    return False


def check_next_run(clone: Path, remote: Path, before: dict[str, object], point: object) -> None:
    """Fail unless the next run does it all, cleans up, and the user's own is as it was."""
    settle(clone)
    assert users_own(clone) == before, point
    for folder in (clone, remote):
        assert published_files(folder) in (rendered(FIRST), rendered(SECOND)), point

    publish(clone, SECOND, branch="main", push=True)

    assert users_own(clone) == before, point
    assert leftovers(clone) == [], point
    for folder in (clone, remote):
        assert published_files(folder) == rendered(SECOND), point
        assert "error" not in git(folder, "fsck", "--full", "--strict"), point


# --- killed at a command of git


def kill_at(point: int) -> Callable[[list[str]], None]:
    """Return what to call with each command of git: it kills this process at one of those that change something."""
    left = point

    def call(command: list[str]) -> None:
        nonlocal left
        left -= any(word in CHANGING for word in command[4:])
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return call


def arm(point: int, *, after: bool) -> None:
    """Let this process die before, or just after, its git command number ``point`` that changes something begins."""
    real, fatal = subprocess.Popen, kill_at(point)

    def start(command: list[str], **settings: Any) -> subprocess.Popen[bytes]:
        if not after:
            fatal(command)
        process = real(command, **settings)
        if after:
            fatal(command)
        return process

    subprocess.Popen = start  # type: ignore[assignment, misc]


def publish_until(point: int, clone: Path, *, after: bool) -> None:
    arm(point, after=after)
    publish(clone, SECOND, branch="main", push=True)


@pytest.mark.parametrize("after, head", [(False, "main"), (True, "main"), (True, "detached")])
def test_a_publisher_killed_at_any_command_of_git_is_followed_by_one_that_succeeds(
    after: bool, head: str, clone: Path, tmp_path: Path
) -> None:
    make_busy(clone)
    if head == "detached":
        git(clone, "switch", "--quiet", "--detach")
    before, start = users_own(clone), tip(clone)
    points = 0

    for point in range(1, 100):
        child = forked(partial(publish_until, point, clone, after=after))
        code = status_of(child)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        points += 1
        check_next_run(clone, tmp_path / "remote.git", before, point)
        reset(clone, tmp_path / "remote.git", start, head)

    assert points >= 5


def reset(clone: Path, remote: Path, commit_id: str, head: str) -> None:
    """Take back what was published, and leave the user's own."""
    git(remote, "update-ref", "refs/heads/main", commit_id)
    if head == "main":
        now = tip(clone)
        git(clone, "read-tree", "-m", "-u", now, commit_id)
    git(clone, "update-ref", "refs/heads/main", commit_id)


# --- killed at any moment


def test_a_publisher_killed_at_random_moments_is_followed_by_one_that_succeeds(clone: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    make_busy(clone)
    before, start = users_own(clone), tip(clone)
    begun = time.monotonic()
    assert status_of(forked(lambda: publish(clone, SECOND, push=True))) == 0
    whole_secs = time.monotonic() - begun
    reset(clone, tmp_path / "remote.git", start, "main")
    rounds = killed = 0

    while rounds < ROUNDS or killed <= ROUNDS // 3:
        assert rounds < 10 * ROUNDS, "it was never killed before its end"
        moment_secs = chance.uniform(0, whole_secs)
        child = forked(lambda: publish(clone, SECOND, push=True))
        time.sleep(moment_secs)
        os.kill(child, signal.SIGKILL)
        if status_of(child) == -signal.SIGKILL:
            killed += 1
        else:
            whole_secs = moment_secs  # this one was done by then
        check_next_run(clone, tmp_path / "remote.git", before, (SEED, rounds))
        reset(clone, tmp_path / "remote.git", start, "main")
        rounds += 1


def test_a_file_that_names_a_folder_of_somebody_else_removes_nothing(clone: Path, tmp_path: Path) -> None:
    precious = tmp_path / f"{PREFIX}precious"
    put(precious, "tree/precious.txt", "p\n")
    put(precious, "repository", "/another/repository")
    put(clone, f".git/{LOCK_NAME}", f"{precious}\n")

    publish(clone, FIRST)

    assert (precious / "tree/precious.txt").exists()


# --- interrupted


@contextmanager
def waiting(clone: Path, name: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the program until its hook ``name`` runs, which then waits; yield both, the hook by its process id."""
    put(clone.parent, "aether.yaml", SMALL)
    mark = clone.parent / "hook.pid"
    path = hook(
        clone, name, f"echo $$ >{mark}.new; mv {mark}.new {mark}; while test ! -e {mark}.go; do sleep 0.1; done"
    )
    process = program("publish", "--repo", str(clone), *arguments, folder=clone.parent)
    try:
        while not mark.exists() and process.poll() is None:
            time.sleep(0.02)
        assert mark.exists(), ended(process)
        yield process, int(mark.read_text())
    finally:
        put(clone.parent, "hook.pid.go", "")
        if process.poll() is None:
            ended(process)
        path.unlink()


@pytest.mark.parametrize("name", ["pre-commit", "pre-push"])
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGHUP, -1)])
def test_an_interrupted_publisher_cleans_up_and_ends_its_hooks(
    number: signal.Signals, code: int, name: str, clone: Path
) -> None:
    with untouched(clone), waiting(clone, name, "--push") as (process, hook_pid):
        process.send_signal(number)
        ended_by = ended(process)

        assert (ended_by.code, ended_by.out, ended_by.err) == (code, "", "")
        assert has_ended(hook_pid)


def test_a_killed_publisher_leaves_its_lock_to_the_next(clone: Path) -> None:
    with waiting(clone, "pre-commit") as (process, _):
        process.kill()
        ended(process)
        assert leftovers(clone) != []

    publish(clone, FIRST)

    assert leftovers(clone) == []
    assert published_files(clone) == rendered(FIRST)


# --- not alone


def test_two_publishers_at_once_are_one_and_a_refusal(clone: Path) -> None:
    with waiting(clone, "pre-commit") as (process, _):
        with pytest.raises(EffectError) as caught:
            publish(clone, FIRST)

        assert str(caught.value) == (
            f"another aether-deploy is publishing to {clone}\n  fix: wait until it is done, then run again"
        )
        put(clone.parent, "hook.pid.go", "")
        ended_by = ended(process)

    assert ended_by.code == 0
    assert ended_by.out.strip() == tip(clone)


def test_a_branch_that_moves_meanwhile_is_not_moved_back(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--create", "work")
    hook(clone, "pre-commit", f"cd {clone} && unset $(git rev-parse --local-env-vars) && git branch -f main theirs")
    theirs = commit(clone, {"theirs.txt": "t\n"})
    before = tip(clone)
    git(clone, "branch", "theirs")

    with pytest.raises(EffectError) as caught:
        publish(clone, FIRST, branch="main")

    assert str(caught.value) == (
        f"{clone}: main moved meanwhile, from {before[:12]} to {theirs[:12]}; nothing was published\n  fix: run again"
    )
    assert tip(clone) == theirs
    assert leftovers(clone) == []


def test_a_commit_of_the_user_that_comes_meanwhile_is_kept(clone: Path) -> None:
    """He commits to the branch that is checked out while the hook of our commit runs."""
    script = (
        f"cd {clone} && unset $(git rev-parse --local-env-vars) && echo u >user.txt && git add user.txt "
        "&& git commit --quiet --no-verify -m user"
    )
    before = tip(clone)
    hook(clone, "pre-commit", script)

    with pytest.raises(EffectError, match=r"main moved meanwhile, from .*; nothing was published\n  fix: run again"):
        publish(clone, FIRST)

    assert git(clone, "log", "-1", "--format=%s %P").split() == ["user", before]
    assert git(clone, "status", "--porcelain") == ""
    (clone / ".git/hooks/pre-commit").unlink()
    publish(clone, FIRST)
    assert (clone / "user.txt").exists()


def test_files_that_git_brought_forward_go_back_if_the_branch_moved_meanwhile(clone: Path) -> None:
    """In the moment between: git has written files and index, and not yet the branch."""
    publish(clone, FIRST)
    git(clone, "switch", "--quiet", "--create", "work")
    theirs = commit(clone, {"user.txt": "u\n"}, "user")
    git(clone, "switch", "--quiet", "main")
    put(clone, "README.md", "edited\n")
    mark = clone.parent / "mark"
    hook(
        clone,
        "post-index-change",
        f'test "$GIT_REFLOG_ACTION" = "aether-deploy publish" && test ! -e {mark} && touch {mark} && '
        "git update-ref refs/heads/main refs/heads/work; exit 0",
    )

    with pytest.raises(EffectError, match=r"main moved meanwhile, from .*; nothing was published\n  fix: run again"):
        publish(clone, SECOND)

    assert mark.exists()
    assert tip(clone) == theirs
    assert git(clone, "status", "--porcelain") == " M README.md\n"
    assert published_files(clone) == rendered(FIRST)
    publish(clone, SECOND)
    assert published_files(clone) == rendered(SECOND)


def of_one(environment: str, text: str) -> Tree:
    return tree_of({f"{environment}/clusters/c": {"a/service.yaml": text}})


def test_publishers_in_many_clones_all_arrive_at_one_remote(clone: Path, tmp_path: Path) -> None:
    clones = [clone_of(tmp_path, f"clone{number}") for number in range(4)]

    def insist(number: int) -> None:
        for _ in range(60):
            try:
                publish(clones[number], of_one(f"e{number}", "x\n"), complete=False, push=True)
                return
            except EffectError as error:
                if "rejected" not in str(error) and "moves at" not in str(error):
                    break
        os._exit(4)

    children = [forked(partial(insist, number)) for number in range(4)]
    codes = [status_of(child) for child in children]

    remote = tmp_path / "remote.git"
    assert codes == [0, 0, 0, 0]
    assert published_files(remote) == {f"deploy/e{number}/clusters/c/a/service.yaml": "x\n" for number in range(4)}
    assert git(remote, "rev-list", "--count", "main").strip() == "5"
    assert "error" not in git(remote, "fsck", "--full", "--strict")
    assert [leftovers(each) for each in clones] == [[], [], [], []]


COMMITTING = """
import pathlib, random, subprocess, sys, time
clone, chance, number = pathlib.Path(sys.argv[1]), random.Random(int(sys.argv[2])), 0
def insist(*words):
    while subprocess.run(["git", "-C", clone, *words], stderr=subprocess.DEVNULL).returncode:
        time.sleep(0.01)
while not (clone.parent / "enough").exists():
    (clone / f"user{number}.txt").write_text("u")
    insist("add", f"user{number}.txt")
    insist("commit", "--quiet", "--message", f"user {number}")
    number += 1
    time.sleep(chance.uniform(0, float(sys.argv[3])))
print(number)
"""


@pytest.mark.long
def test_a_user_who_commits_all_the_time_loses_no_commit(clone: Path) -> None:
    print(f"seed {SEED}")
    begun = time.monotonic()
    publish(clone, FIRST)
    pause_secs_max = 3 * (time.monotonic() - begun)
    command = [sys.executable, "-c", COMMITTING, str(clone), str(SEED), str(pause_secs_max)]
    user = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    published = refused = 0
    while published < 4 and refused < 40:
        try:
            publish(clone, of_one("prod", f"{published}\n"), environments=["prod"])
            published += 1
        except EffectError:
            refused += 1
    put(clone.parent, "enough", "")
    number = int(user.communicate(timeout=60)[0])

    publish(clone, SECOND)

    subjects = git(clone, "log", "--format=%s").splitlines()
    assert [each for each in reversed(subjects) if each.startswith("user")] == [f"user {n}" for n in range(number)]
    assert {f"user{n}.txt" for n in range(number)} <= {path.name for path in clone.iterdir()}
    assert published_files(clone) == rendered(SECOND)
    assert git(clone, "status", "--porcelain") == ""
    assert published == 4, refused
    assert number > 2
