"""Disks that refuse: no right, no room, a folder that vanishes, a file too large. Done for real where root can."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aether_deploy.delivery.tree_writer import TreeBlockedError, apply_write
from aether_deploy.gitops.tree import JOURNAL_NAME
from aether_deploy.problems import EffectError
from tests.tree_cases import NEW, OLD, PROD, SERVICE, fresh, large, plan, snapshot, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deploy"


def _run_as_nobody(act: Callable[[], object]) -> str:
    """Return the message of the EffectError that ``act`` raises for a user without rights."""
    import hashlib

    hashlib.sha256()  # the child may not read the interpreter's folder
    if os.getuid() != 0:
        return _message(act)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, _message(act).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        message = stream.read()
    os.waitpid(child, 0)
    return message


def _message(act: Callable[[], object]) -> str:
    try:
        act()
    except EffectError as error:
        return str(error)
    except BaseException as error:
        return f"no EffectError: {error!r}"
    return "no error"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that every user can reach, and whoever runs ``_run_as_nobody`` owns."""
    folder = Path(tempfile.mkdtemp())
    _own(folder)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def _own(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if os.getuid() == 0:
            os.chown(path, 65534, 65534)
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_read_only_folder_is_refused_before_the_first_change(open_folder: Path) -> None:
    root = open_folder / "deploy"
    write(root, OLD)
    _own(open_folder)
    (root / PROD / "cluster").chmod(0o555)
    before = snapshot(root)

    message = _run_as_nobody(lambda: write(root, NEW))

    assert message == (
        f"nothing was written to {root}: 1 obstacle\n"
        f"{root}/{PROD}/cluster: is not writable for this user\n"
        "  fix: give this user the right to write there, then run again"
    )
    assert snapshot(root) == before
    assert _run_as_nobody(lambda: write(root, OLD)) == "no error"


def test_a_root_in_a_read_only_folder_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o555)

    message = _run_as_nobody(lambda: write(open_folder / "deploy", OLD))

    assert message == (
        f"{open_folder}/deploy: cannot be used as a folder: Permission denied\n"
        "  fix: choose another folder with -o, or move it away"
    )


def test_files_and_folders_that_cannot_be_read_are_all_named(open_folder: Path) -> None:
    root = open_folder / "deploy"
    write(root, OLD)
    _own(open_folder)
    (root / PROD / SERVICE).chmod(0o000)
    (root / "dev").chmod(0o000)

    message = _run_as_nobody(lambda: write(root, OLD))

    assert message == (
        f"nothing was written to {root}: 2 obstacles\n"
        f"{root}/dev: cannot be read: Permission denied\n"
        "  fix: make it readable for this user, then run again\n"
        f"{root}/{PROD}/{SERVICE}: cannot be read: Permission denied\n"
        "  fix: make it readable for this user, then run again"
    )


def test_a_folder_that_vanishes_in_the_middle_is_one_clear_error_and_the_next_run_completes(
    root: Path, tmp_path: Path
) -> None:
    write(root, OLD)

    def vanish(done: int, total: int) -> None:
        shutil.rmtree(root / PROD / "aether-prod" / "voice", ignore_errors=True)

    with pytest.raises(EffectError) as caught:
        apply_write(root, plan(root, NEW), vanish)

    assert str(caught.value) == (
        f"{root}/{PROD}/aether-prod/voice/service.yaml: after 1 of 4 files: No such file or directory\n"
        "  fix: something removed it meanwhile; run again; it completes what this run began"
    )
    assert (root / JOURNAL_NAME).is_file()
    write(root, NEW)
    assert snapshot(root) == fresh(tmp_path, NEW)


def test_a_failing_progress_report_leaves_a_tree_that_the_next_run_completes(root: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_write(root, plan(root, OLD), interrupt)

    write(root, NEW)
    assert snapshot(root) == fresh(tmp_path, NEW)


def test_a_disk_that_refuses_leaves_no_temporary_file_and_says_where_it_stopped(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, OLD)
    os_write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if bytes(content) == b"voice\n":
            raise OSError(errno.ENOSPC, "No space left on device")
        return os_write(descriptor, content[:5])  # a disk may take less than it is given

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(EffectError) as caught:
        write(root, NEW)
    monkeypatch.undo()

    assert str(caught.value) == (
        f"{root}/{PROD}/aether-prod/voice/service.yaml: after 1 of 4 files: No space left on device\n"
        "  fix: free some space, then run again; it completes what this run began"
    )
    assert not [path for path in snapshot(root) if path.endswith(".aether-tmp")]
    assert not write(root, NEW).changes_nothing
    assert snapshot(root) == fresh(tmp_path, NEW)


def mount(folder: Path, *options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "size=64k")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_files_whole_and_the_next_run_completes(small_disk: Path, tmp_path: Path) -> None:
    root = small_disk / "deploy"
    write(root, large("old\n", 4))
    new = large("new\n", 30)

    with pytest.raises(EffectError) as caught:
        write(root, new)

    assert "No space left on device\n  fix: free some space, then run again" in str(caught.value)
    found = snapshot(root)
    texts = {content for path, content in found.items() if path.endswith(".yaml")}
    assert texts <= {b"old\n" * 1000, b"new\n" * 1000}
    assert not [path for path in found if path.endswith(".aether-tmp")]
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    write(root, new)
    expected = tmp_path / "expected"
    write(expected, new)
    assert snapshot(root) == snapshot(expected)


def test_a_disk_without_room_for_the_journal_is_left_as_it_was(small_disk: Path) -> None:
    root = small_disk / "deploy"
    write(root, large("old\n", 4))
    (small_disk / "fill").write_bytes(b"x" * 40_000)
    before = snapshot(root)

    with pytest.raises(EffectError, match=r"aether.pending.jsonl: nothing was written: No space left on device"):
        write(root, large("new\n", 60))

    assert snapshot(root) == before


def test_a_disk_mounted_read_only_is_refused_and_can_still_be_checked(small_disk: Path) -> None:
    root = small_disk / "deploy"
    write(root, OLD)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(TreeBlockedError, match="is not writable for this user"):
        write(root, NEW)
    assert write(root, OLD).changes_nothing
