"""The folder of a control plane: private, one run's own, and cleaned by the next one after a kill."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.workplace import (
    Workplace,
    clean_leftovers,
    end_children,
    programs_in,
    remembering,
    workplaces,
)
from aether_deploy.problems import EffectError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where programs belong")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary files"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_folder_is_made_for_us_alone_and_removed(temporary: Path) -> None:
    place = Workplace.new()

    assert place.folder.parent == workplaces() == temporary / f"aether-deploy-lab-{os.getuid()}"
    assert [path.stat().st_mode & 0o777 for path in (place.folder, place.folder.parent)] == [0o700, 0o700]

    (place.folder / "etcd").mkdir()
    (place.folder / "etcd/data").write_text("x")
    place.remove()
    assert not place.folder.exists()


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_temporary_folder_that_is_none_is_refused_and_no_other_is_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))

    with pytest.raises(EffectError, match=f"^TMPDIR={tmp_path / name}: is no folder that can be written\n  fix: "):
        Workplace.new()


def test_runs_that_live_are_left_alone() -> None:
    first, second = Workplace.new(), Workplace.new()

    assert clean_leftovers(workplaces()) == []
    assert first.folder.exists()
    assert second.folder.exists()
    first.remove()
    second.remove()


def test_a_folder_without_an_owner_is_removed_by_the_next_run() -> None:
    parent = workplaces()
    (parent / "run-left").mkdir(parents=True)
    (parent / "run-left/etcd.log").write_text("x")
    (parent / "other").mkdir()

    place = Workplace.new()

    assert sorted(path.name for path in parent.glob("*")) == sorted(["other", place.folder.name, ".lock"])
    place.remove()


@on_linux
def test_programs_of_a_run_that_was_killed_are_ended_and_nobody_elses(tmp_path: Path) -> None:
    folder = workplaces() / "run-left"
    folder.mkdir(parents=True)
    ours = Daemon("it", ["sleep", "60"], folder)
    ours.start()
    beside = subprocess.Popen(["sleep", "60"], cwd=folder)  # a person who looks at the logs

    assert programs_in(folder) == [ours.pid]
    assert clean_leftovers(workplaces()) == [folder]

    ours.reap()
    assert programs_in(folder) == []
    assert beside.poll() is None
    beside.kill()
    beside.wait()
    assert not folder.exists()


@on_linux
def test_only_programs_of_folders_that_are_named_are_ended() -> None:
    ours: list[Path] = []
    with remembering(ours):
        mine = Workplace.new()
    others = Workplace.new()
    (mine.folder / "us-a").mkdir()
    folders = (mine.folder, mine.folder / "us-a", others.folder)
    programs = [Daemon("it", ["sleep", "60"], folder) for folder in folders]
    for each in programs:
        each.start()

    end_children(ours)
    for each in programs[:2]:
        each.reap()

    assert ours == [mine.folder]
    assert [each.code for each in programs] == [-signal.SIGKILL, -signal.SIGKILL, None]
    programs[2].kill()
    programs[2].reap()
    mine.remove()
    others.remove()


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_what_somebody_else_put_there_is_refused(kind: str, temporary: Path, tmp_path: Path) -> None:
    if kind == "a link":
        (tmp_path / "elsewhere").mkdir()
        workplaces().symlink_to(tmp_path / "elsewhere")
    else:
        workplaces().write_text("")

    with pytest.raises(EffectError, match=r": (belongs to somebody else|File exists)\n  fix: let TMPDIR name "):
        Workplace.new()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that belongs to somebody else")
def test_a_folder_of_another_user_is_refused() -> None:
    workplaces().mkdir()
    os.chown(workplaces(), 12345, 12345)

    with pytest.raises(EffectError, match=r": belongs to somebody else\n"):
        Workplace.new()


def test_a_folder_for_temporary_files_that_is_not_there_is_made(temporary: Path) -> None:
    shutil.rmtree(temporary)

    Workplace.new().remove()

    assert temporary.is_dir()


def test_too_little_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 12_000_000, 12_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    with pytest.raises(EffectError, match=r": has 12 MB free of the 256 MB that are needed\n  fix: let TMPDIR name "):
        Workplace.new(room_mb=256)
    assert list(workplaces().glob("run-*")) == []


def _make_and_remove(folder: str, times: int) -> None:
    tempfile.tempdir = folder
    for _ in range(times):
        place = Workplace.new()
        (place.folder / "file").write_text("x")
        time.sleep(0.001)
        assert (place.folder / "file").exists(), "another run removed it"
        place.remove()


def test_many_runs_at_a_time_never_remove_each_others_folders(temporary: Path) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=_make_and_remove, args=(str(temporary), 30)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(180)

    assert [run.exitcode for run in runs] == [0] * 4
    assert list(workplaces().glob("run-*")) == []
