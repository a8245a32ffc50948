"""What stops a run before its first change: all of it at once, each with the way out."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aether_deploy.delivery.tree_writer import TreeBlockedError, locked
from aether_deploy.gitops.index import index_unit, render_unit_index
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME, Tree
from aether_deploy.problems import EffectError
from tests.tree_cases import DEV, NEW, OLD, PROD, SERVICE, fresh, plan, put, sha256, snapshot, tree_of, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deploy"


def refusal(act: Callable[[], object]) -> dict[str, str]:
    """Return what stops ``act``: the reason at each path."""
    with pytest.raises(TreeBlockedError) as caught:
        act()
    return {obstacle.path: obstacle.reason for obstacle in caught.value.obstacles}


def test_a_foreign_file_in_the_way_stops_the_run(root: Path) -> None:
    put(root, f"{PROD}/{SERVICE}")
    before = snapshot(root)

    with pytest.raises(EffectError) as caught:
        write(root, OLD)

    assert str(caught.value) == (
        f"nothing was written to {root}: 1 obstacle\n"
        f"{root}/{PROD}/{SERVICE}: is not from aether-deploy, and has other content\n"
        "  fix: move it away, or give --force to replace it"
    )
    assert snapshot(root) == before


def test_an_edited_file_in_the_way_of_a_write_stops_the_run(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/{SERVICE}", "edited")
    before = snapshot(root)

    assert refusal(lambda: write(root, NEW)) == {f"{PROD}/{SERVICE}": "was edited since it was rendered"}
    assert snapshot(root) == before


def test_an_edited_file_in_the_way_of_a_removal_stops_the_run(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/cluster/namespace.yaml", "edited")

    assert refusal(lambda: write(root, NEW)) == {f"{PROD}/cluster/namespace.yaml": "was edited since it was rendered"}


def test_an_edit_that_the_description_took_over_is_no_obstacle(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/{SERVICE}", "new\n")

    assert f"{PROD}/{SERVICE}" in write(root, NEW).unchanged


def test_force_replaces_foreign_and_edited_files_and_removes_edited_ones(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/{SERVICE}", "edited")
    put(root, f"{PROD}/cluster/namespace.yaml", "edited")
    put(root, f"{PROD}/aether-prod/voice/service.yaml", "foreign")

    write(root, NEW, force=True)

    assert snapshot(root) == fresh(tmp_path, NEW)


def test_force_leaves_foreign_files_that_are_in_nobodys_way(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/aether-prod/gateway/notes.txt")

    write(root, NEW, force=True)

    assert (root / PROD / "aether-prod" / "gateway" / "notes.txt").read_text() == "mine\n"


def _symlinked_folder(root: Path) -> str:
    (root.parent / "elsewhere").mkdir()
    root.mkdir()
    (root / "prod").symlink_to("../elsewhere")
    return "prod"


def _symlinked_file(root: Path) -> str:
    put(root.parent, "elsewhere")
    put(root, f"{PROD}/aether-prod/gateway/x").with_name("service.yaml").symlink_to("../../../../../../elsewhere")
    return f"{PROD}/{SERVICE}"


def _dangling_symlink(root: Path) -> str:
    put(root, f"{PROD}/aether-prod/gateway/x").with_name("service.yaml").symlink_to("nowhere")
    return f"{PROD}/{SERVICE}"


def _symlinked_index(root: Path) -> str:
    put(root.parent, "elsewhere", render_unit_index(index_unit(OLD.units[1])))
    put(root, f"{PROD}/x").with_name(INDEX_NAME).symlink_to("../../../../elsewhere")
    return f"{PROD}/{INDEX_NAME}"


def _symlinked_root_index(root: Path) -> str:
    put(root, "x").with_name(INDEX_NAME).symlink_to("x")
    return INDEX_NAME


def _symlinked_journal(root: Path) -> str:
    put(root, "x").with_name(JOURNAL_NAME).symlink_to("x")
    return JOURNAL_NAME


def _symlinked_temporary(root: Path) -> str:
    put(root, f"{PROD}/aether-prod/gateway/x").with_name(".service.yaml.aether-tmp").symlink_to("x")
    return f"{PROD}/aether-prod/gateway/.service.yaml.aether-tmp"


def _folder_for_a_file(root: Path) -> str:
    (root / PROD / SERVICE).mkdir(parents=True)
    return f"{PROD}/{SERVICE}"


def _file_for_a_folder(root: Path) -> str:
    put(root, f"{PROD}/aether-prod")
    return f"{PROD}/aether-prod"


def _fifo(root: Path) -> str:
    (root / PROD / SERVICE).parent.mkdir(parents=True)
    os.mkfifo(root / PROD / SERVICE)
    return f"{PROD}/{SERVICE}"


def _file_in_other_case(root: Path) -> str:
    put(root, f"{PROD}/aether-prod/gateway/Service.yaml")
    return f"{PROD}/{SERVICE}"


def _folder_in_other_case(root: Path) -> str:
    put(root, "PROD/x")
    return "prod"


ALWAYS_REFUSED: dict[Callable[[Path], str], str] = {
    _symlinked_folder: "is a symbolic link, where a folder of the tree has its place",
    _symlinked_file: "is a symbolic link, where a file of the tree has its place",
    _dangling_symlink: "is a symbolic link, where a file of the tree has its place",
    _symlinked_index: "is a symbolic link, where a file of the tree has its place",
    _symlinked_root_index: "is a symbolic link, where a file of the tree has its place",
    _symlinked_journal: "is a symbolic link, where a file of the tree has its place",
    _symlinked_temporary: "is a symbolic link, where a file of the tree has its place",
    _folder_for_a_file: "is a folder, where a file of the tree has its place",
    _file_for_a_folder: "is a file, where a folder of the tree has its place",
    _fifo: "is a special file, where a file of the tree has its place",
    _file_in_other_case: "differs only in upper and lower case from 'Service.yaml', which is there already",
    _folder_in_other_case: "differs only in upper and lower case from 'PROD', which is there already",
}


@pytest.mark.parametrize("force", [False, True], ids=["plain", "force"])
@pytest.mark.parametrize("lay", ALWAYS_REFUSED, ids=[lay.__name__.strip("_") for lay in ALWAYS_REFUSED])
def test_what_could_lead_elsewhere_is_refused_even_with_force(
    root: Path, tmp_path: Path, lay: Callable[[Path], str], force: bool
) -> None:
    path = lay(root)
    before = _snapshot_of_plain(tmp_path)

    assert refusal(lambda: write(root, OLD, force=force)) == {path: ALWAYS_REFUSED[lay]}
    assert _snapshot_of_plain(tmp_path) == before


def _snapshot_of_plain(folder: Path) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        plain = path.is_file() and not path.is_symlink()
        found[path.relative_to(folder).as_posix()] = path.read_bytes() if plain else None
    return found


def test_a_symlink_in_the_way_of_a_removal_is_refused_even_with_force(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    (root / PROD / "cluster").rename(tmp_path / "moved")
    (root / PROD / "cluster").symlink_to(tmp_path / "moved")

    assert refusal(lambda: write(root, NEW, force=True)) == {
        f"{PROD}/cluster": "is a symbolic link, where a folder of the tree has its place"
    }
    assert (tmp_path / "moved" / "namespace.yaml").is_file()


def test_a_foreign_temporary_file_in_the_way_stops_the_run_unless_forced(root: Path) -> None:
    temporary = f"{PROD}/aether-prod/gateway/.service.yaml.aether-tmp"
    put(root, temporary)

    assert refusal(lambda: write(root, OLD)) == {temporary: "is not from aether-deploy, and in the way"}
    write(root, OLD, force=True)
    assert not (root / temporary).exists()


def test_every_obstacle_is_listed_at_once_in_the_order_of_paths(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/{SERVICE}", "edited")
    put(root, f"{PROD}/aether-prod/voice/service.yaml", "foreign")
    shutil.rmtree(root / "dev" / "clusters")
    (root / "dev" / "clusters").symlink_to("/")

    with pytest.raises(EffectError) as caught:
        write(root, NEW)

    assert re.findall(r"^\S+: (.*)$", str(caught.value), re.MULTILINE) == [
        "is a symbolic link, where a folder of the tree has its place",
        "was edited since it was rendered",
        "is not from aether-deploy, and has other content",
    ]
    assert "nothing was written to" in str(caught.value)
    assert "3 obstacles" in str(caught.value)


def test_a_unit_of_another_system_is_refused_even_with_force(root: Path) -> None:
    write(root, tree_of({PROD: {SERVICE: "x"}}, name="other"))

    assert refusal(lambda: write(root, OLD, force=True)) == {PROD: "belongs to the system 'other'"}
    assert refusal(lambda: write(root, tree_of({DEV: {}}), force=True)) == {PROD: "belongs to the system 'other'"}


INDEX_HEADER = '{"format":1,"name":"aether","environment":"prod"}\n'


@pytest.mark.parametrize("path", ["../../../outside", "/etc/passwd", "a/../../../../outside", "a\\\\..\\\\b"])
def test_a_hostile_path_in_an_index_is_refused_and_nothing_is_removed(root: Path, path: str) -> None:
    put(root.parent, "outside", "x")
    line = f'{{"path":"{path}","sha256":"{sha256("x")}"}}\n'
    put(root, f"{PROD}/{INDEX_NAME}", INDEX_HEADER + line)

    reasons = refusal(lambda: write(root, OLD, force=True))

    assert list(reasons) == [f"{PROD}/{INDEX_NAME}"]
    assert reasons[f"{PROD}/{INDEX_NAME}"].startswith("line 2 is corrupt: the path ")
    assert (root.parent / "outside").read_text() == "x"


def test_a_hostile_unit_in_the_root_index_is_refused(root: Path) -> None:
    put(root, INDEX_NAME, '{"unit": "../outside"}\n')

    assert refusal(lambda: write(root, OLD, force=True)) == {
        INDEX_NAME: "line 1 is corrupt: the unit '../outside' leads out of its folder"
    }


def test_a_newer_index_is_refused_without_a_word_on_the_files_it_lists(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/{INDEX_NAME}", '{"format":2}\n')

    assert refusal(lambda: write(root, NEW, force=True)) == {
        f"{PROD}/{INDEX_NAME}": "line 1 has format 2; this aether-deploy knows 1"
    }


def test_a_lost_index_makes_changed_files_foreign_and_unchanged_ones_ours(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    (root / PROD / INDEX_NAME).unlink()

    assert write(root, OLD).written == (f"{PROD}/{INDEX_NAME}",)
    (root / PROD / INDEX_NAME).unlink()
    assert list(refusal(lambda: write(root, NEW))) == [f"{PROD}/{SERVICE}"]


@pytest.mark.parametrize("run", [plan, write], ids=["plan", "write"])
def test_a_root_that_is_a_file_or_lies_in_one_is_refused(root: Path, run: Callable[[Path, Tree], object]) -> None:
    root.write_text("mine")

    for path in (root, root / "below"):
        with pytest.raises(EffectError, match=r"\n  fix: choose another folder with -o"):
            run(path, OLD)
    assert root.read_text() == "mine"


def test_a_root_that_is_a_dangling_symlink_is_refused(root: Path) -> None:
    root.symlink_to("nowhere")

    with pytest.raises(EffectError, match="cannot be used as a folder: is not a folder"):
        write(root, OLD)


# -- two runs at once


def test_a_second_run_is_refused_while_the_first_holds_the_lock(root: Path) -> None:
    with locked(root), pytest.raises(EffectError) as caught:
        write(root, OLD)

    assert str(caught.value) == (
        f"another aether-deploy is writing to {root}\n  fix: wait until it is done, then run again"
    )
    assert not write(root, OLD).changes_nothing
