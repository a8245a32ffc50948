"""Runs that are killed at every system call that changes the disk, and disks that are really full.

The process under test is a child that kills itself with SIGKILL just before its Nth change; a write is cut in
half first. The next run has to leave what a fresh render leaves, and no foreign file may have moved.
"""

import hashlib
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.delivery.tree_writer import TreeBlockedError, locked, plan_write
from aether_deploy.gitops.tree import JOURNAL_NAME, Tree
from aether_deploy.problems import EffectError
from tests.tree_cases import DEV, PROD, SERVICE, Snapshot, large, plan, put, snapshot, tree_of, write

FOREIGN = {
    "README.md": "mine\n",
    f"{PROD}/aether-prod/gateway/notes.txt": "mine\n",
    "dev/notes.txt": "mine\n",
    f"{PROD}/.x.aether-tmp": "mine\n",
}
A = tree_of({PROD: {SERVICE: "a\n", "cluster/namespace.yaml": "ns\n"}, DEV: {SERVICE: "dev\n"}})
B = tree_of({PROD: {SERVICE: "b\n", "aether-prod/voice/service.yaml": "b\n"}, "prod/engine/flux": {"app.yaml": "b\n"}})
C = tree_of({PROD: {"aether-prod/voice/service.yaml": "c\n", "c/d/e.yaml": "c\n"}, DEV: {SERVICE: "c\n"}})
NOTHING_BEFORE = tree_of({})

NEVER = 0
CHANGES = ["mkdir", "open", "write", "fsync", "replace", "unlink", "rmdir"]


def kill_at(point: int, act: Callable[[], object]) -> bool:
    """Run ``act`` in a child that dies before its change number ``point``; return whether it died."""
    hashlib.sha256()  # imported here rather than in every child
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _arm(point)
            act()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _arm(point: int) -> None:
    left = point

    def fatal(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if name == "open" and not arguments[1] & os.O_CREAT:
                return real(*arguments, **named)
            left -= 1
            if left == 0:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    for name in CHANGES:
        setattr(os, name, fatal(name))


def kill_points(act: Callable[[Path], object], before: Callable[[Path], object]) -> Iterator[tuple[int, Path]]:
    """Yield a root for every point at which ``act`` can be killed, as the kill left it."""
    for point in range(1, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "deploy")
            before(root)
            if not kill_at(point, partial(act, root)):
                return
            yield point, root


def lay(tree: Tree) -> Callable[[Path], None]:
    """Return what lays foreign files and a complete render of ``tree``."""

    def before(root: Path) -> None:
        for path, text in FOREIGN.items():
            put(root, path, text)
        if tree.units:
            write(root, tree)

    return before


def after(tmp_path: Path, tree: Tree) -> Snapshot:
    """Return what a first render of ``tree`` leaves beside the foreign files."""
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    lay(tree)(root)
    return snapshot(root)


STORIES = {
    "a first render": (NOTHING_BEFORE, A),
    "a change": (A, B),
    "a change back": (B, A),
    "a change of most": (B, C),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_run_killed_anywhere_leaves_each_file_old_or_new(story: str, tmp_path: Path) -> None:
    old, new = STORIES[story]
    olds, news = after(tmp_path, old), after(tmp_path, new)
    points = 0

    for point, root in kill_points(lambda root: write(root, new), lay(old)):
        points += 1
        for path, content in snapshot(root).items():
            if not path.endswith(".aether-tmp") and path != JOURNAL_NAME:
                assert content in (olds.get(path), news.get(path)), (point, path)
    assert points > 20


@pytest.mark.parametrize("last", [A, B, C], ids=["then A", "then B", "then C"])
@pytest.mark.parametrize("story", STORIES)
def test_a_run_killed_anywhere_is_completed_by_the_next_whatever_its_input(
    story: str, last: Tree, tmp_path: Path
) -> None:
    old, new = STORIES[story]
    expected = after(tmp_path, last)

    for point, root in kill_points(lambda root: write(root, new), lay(old)):
        write(root, last)
        assert snapshot(root) == expected, point
        assert plan(root, last).changes_nothing, point


def test_a_run_killed_twice_is_completed_by_the_third(tmp_path: Path) -> None:
    expected = after(tmp_path, A)
    died = 0

    for first, torn in kill_points(lambda root: write(root, B), lay(A)):
        if first % 5:
            continue
        for second, root in kill_points(lambda root: write(root, C), partial(shutil.copytree, torn)):
            if second % 3 == first % 2:
                died += 1
                write(root, A)
                assert snapshot(root) == expected, (first, second)
    assert died > 50


def test_a_forced_run_killed_anywhere_is_completed_without_force(tmp_path: Path) -> None:
    """Or it had not begun, and is refused as before."""

    def before(root: Path) -> None:
        lay(A)(root)
        put(root, f"{PROD}/{SERVICE}", "edited\n")
        put(root, f"{PROD}/cluster/namespace.yaml", "edited\n")
        put(root, f"{PROD}/aether-prod/voice/service.yaml", "foreign\n")

    expected = after(tmp_path, B)
    begun = 0

    for point, root in kill_points(lambda root: write(root, B, force=True), before):
        if (root / JOURNAL_NAME).exists():
            begun += 1
            write(root, B)
            assert snapshot(root) == expected, point
        else:
            with pytest.raises(TreeBlockedError):
                write(root, B)
    assert begun > 20


def test_what_a_killed_run_adopted_is_ours_for_the_next(tmp_path: Path) -> None:
    def before(root: Path) -> None:
        lay(A)(root)
        put(root, f"{PROD}/aether-prod/voice/service.yaml", "b\n")

    expected = after(tmp_path, A)

    for point, root in kill_points(lambda root: write(root, B), before):
        if (root / JOURNAL_NAME).exists():
            write(root, A)
            assert snapshot(root) == expected, point


def test_a_partial_run_leaves_an_unfinished_run_of_another_environment_to_be_completed(tmp_path: Path) -> None:
    changed = tree_of({PROD: {SERVICE: "c\n"}, DEV: {SERVICE: "newer\n"}})
    expected = after(tmp_path, changed)

    for point, root in kill_points(lambda root: write(root, B, only="prod"), lay(A)):
        write(root, tree_of({DEV: {SERVICE: "newer\n"}}), only="dev")
        assert plan_write(
            root, tree_of({DEV: {SERVICE: "newer\n"}}), environments={"dev"}, complete=False
        ).changes_nothing
        write(root, changed)
        assert snapshot(root) == expected, point


def test_an_edit_after_the_kill_is_not_overwritten() -> None:
    for point, root in kill_points(lambda root: write(root, B), lay(A)):
        put(root, f"{PROD}/{SERVICE}", "edited\n")
        with pytest.raises(TreeBlockedError, match="was edited since it was rendered"):
            write(root, C)
        assert (root / PROD / SERVICE).read_text() == "edited\n", point


def test_an_unfinished_run_is_no_clean_tree_for_a_check(tmp_path: Path) -> None:
    for point, root in kill_points(lambda root: write(root, B), lay(A)):
        before = snapshot(root)
        assert not plan(root, B).changes_nothing, point
        assert snapshot(root) == before


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    assert kill_at(1, lambda: _hold_until_killed(tmp_path))

    write(tmp_path, A)


def _hold_until_killed(root: Path) -> None:
    with locked(root):
        os.unlink(root / "any")  # here it dies


def test_a_run_in_another_process_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert not kill_at(NEVER, lambda: _expect_refusal(tmp_path))


def _expect_refusal(root: Path) -> None:
    with pytest.raises(EffectError, match="another aether-deploy is writing to"):
        write(root, A)


def test_a_corrupt_journal_stops_the_run_with_the_way_out(tmp_path: Path) -> None:
    put(tmp_path, JOURNAL_NAME, "nonsense\n")

    with pytest.raises(TreeBlockedError, match=r"line 1 is corrupt: .*\n  fix: remove the file and render again"):
        write(tmp_path, A)


def test_an_unfinished_run_of_another_system_is_refused(tmp_path: Path) -> None:
    put(tmp_path, JOURNAL_NAME, '{"format":1,"name":"other"}\n')

    with pytest.raises(TreeBlockedError, match="is of an unfinished run for the system 'other'"):
        write(tmp_path, A)


def test_a_limit_on_file_size_is_one_clear_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    root = tmp_path / "deploy"
    write(root, large("old\n", 1))

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        with pytest.raises(EffectError, match=r"000.yaml: after 0 of 2 files: File too large\n  fix: "):
            write(root, large("new\n", 1))

    assert not kill_at(NEVER, limited)
    assert (root / PROD / "aether-prod" / "000.yaml").read_bytes() == b"old\n" * 1000
    assert not [path for path in snapshot(root) if path.endswith(".aether-tmp")]
