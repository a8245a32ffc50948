"""Writing a tree over what is there: only what is ours changes, and refusals come before the first change."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.delivery.tree_writer import TreeBlockedError, apply_write, locked, plan_write
from aether_deploy.gitops.index import index_unit, render_unit_index
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME, Tree
from aether_deploy.problems import EffectError
from tests.tree_cases import DEV, PROD, SERVICE, plan, put, sha256, snapshot, tree_of, unit_of, write

OLD = tree_of({PROD: {SERVICE: "old\n", "cluster/namespace.yaml": "ns\n"}, DEV: {SERVICE: "dev\n"}})
NEW = tree_of({PROD: {SERVICE: "new\n", "aether-prod/voice/service.yaml": "voice\n"}, DEV: {SERVICE: "dev\n"}})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deploy"


def fresh(tmp_path: Path, tree: Tree) -> dict[str, bytes | None]:
    """Return what a first render of ``tree`` leaves."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    write(folder, tree)
    return snapshot(folder)


def refusal(act: Callable[[], object]) -> dict[str, str]:
    """Return what stops ``act``: the reason at each path."""
    with pytest.raises(TreeBlockedError) as caught:
        act()
    return {obstacle.path: obstacle.reason for obstacle in caught.value.obstacles}


# -- what a run writes


def test_a_first_render_writes_every_file_and_the_indexes(root: Path) -> None:
    tree = tree_of({PROD: {SERVICE: "text\n"}})

    result = write(root, tree)

    unit_index = render_unit_index(index_unit(tree.units[0])).encode()
    assert {path: content for path, content in snapshot(root).items() if content is not None} == {
        f"{PROD}/{SERVICE}": b"text\n",
        f"{PROD}/{INDEX_NAME}": unit_index,
        INDEX_NAME: b'{"unit": "prod/clusters/us-east-1"}\n',
    }
    assert result.written == (INDEX_NAME, f"{PROD}/{SERVICE}", f"{PROD}/{INDEX_NAME}")
    assert (result.unchanged, result.removed) == ((), ())
    assert len(result.written) == tree.file_count


def test_a_missing_root_is_created_with_its_parents(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "deploy", OLD)

    assert (tmp_path / "a" / "b" / "deploy" / INDEX_NAME).is_file()


def test_a_plan_alone_changes_nothing_not_even_the_missing_root(root: Path) -> None:
    assert not plan(root, OLD).changes_nothing
    assert not root.exists()


def test_a_second_render_writes_nothing_and_keeps_every_time_stamp(root: Path) -> None:
    write(root, OLD)
    times = {path: (root / path).stat().st_mtime_ns for path in snapshot(root)}

    result = write(root, OLD)

    assert result.changes_nothing
    assert len(result.unchanged) == OLD.file_count
    assert {path: (root / path).stat().st_mtime_ns for path in snapshot(root)} == times


def test_a_change_writes_what_differs_and_removes_what_is_gone(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    kept = (root / DEV / SERVICE).stat().st_ino

    result = write(root, NEW)

    assert result.written == (
        f"{PROD}/aether-prod/gateway/service.yaml",
        f"{PROD}/aether-prod/voice/service.yaml",
        f"{PROD}/{INDEX_NAME}",
    )
    assert result.removed == (f"{PROD}/cluster/namespace.yaml",)
    assert snapshot(root) == fresh(tmp_path, NEW)
    assert (root / DEV / SERVICE).stat().st_ino == kept


def test_newlines_and_characters_arrive_as_they_are(root: Path) -> None:
    write(root, tree_of({PROD: {"a.txt": "a\r\nb\rc\nß\u2028"}}))

    assert (root / PROD / "a.txt").read_bytes() == "a\r\nb\rc\nß\u2028".encode()


def test_the_mode_of_a_file_follows_the_umask(root: Path) -> None:
    before = os.umask(0o022)
    try:
        write(root, OLD)
    finally:
        os.umask(before)

    assert (root / PROD / SERVICE).stat().st_mode & 0o777 == 0o644


def test_progress_counts_every_file_up_to_the_total(root: Path) -> None:
    write(root, OLD)
    calls: list[tuple[int, int]] = []

    apply_write(root, plan(root, NEW), lambda done, total: calls.append((done, total)))

    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_root_may_be_a_symlink_and_hold_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    put(tmp_path / "real", "README.md")
    (tmp_path / "deploy").symlink_to("real")

    write(tmp_path / "deploy", OLD)

    assert (tmp_path / "real" / PROD / SERVICE).read_text() == "old\n"
    assert (tmp_path / "real" / "README.md").read_text() == "mine\n"


def test_a_root_given_with_a_slash_or_as_text_is_the_same_root(root: Path) -> None:
    write(root, OLD)

    assert plan_write(f"{root}/", OLD, environments={"prod"}, complete=True).changes_nothing


# -- what a run removes


def test_a_unit_of_a_rendered_environment_that_is_gone_is_removed_whole(root: Path, tmp_path: Path) -> None:
    other = "prod/clusters/dublin"
    write(root, tree_of({PROD: {SERVICE: "a"}, other: {SERVICE: "b"}, DEV: {SERVICE: "c"}}))

    result = write(root, tree_of({PROD: {SERVICE: "a"}}), only="prod")

    assert result.removed == (f"{other}/{SERVICE}", f"{other}/{INDEX_NAME}")
    assert snapshot(root) == fresh(tmp_path, tree_of({PROD: {SERVICE: "a"}, DEV: {SERVICE: "c"}}))


def test_a_partial_render_leaves_other_environments_and_their_lines_alone(root: Path) -> None:
    write(root, OLD)
    put(root, f"{PROD}/{SERVICE}", "edited in prod")

    write(root, tree_of({DEV: {SERVICE: "newer"}}), only="dev")

    assert (root / PROD / SERVICE).read_text() == "edited in prod"
    assert (root / INDEX_NAME).read_text() == f'{{"unit": "{DEV}"}}\n{{"unit": "{PROD}"}}\n'


def test_an_environment_that_left_the_platform_is_removed_by_a_complete_render(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    tree = tree_of({PROD: {SERVICE: "old\n", "cluster/namespace.yaml": "ns\n"}})

    write(root, tree)

    assert snapshot(root) == fresh(tmp_path, tree)
    assert not (root / "dev").exists()


def test_a_folder_that_holds_something_foreign_stays(root: Path) -> None:
    write(root, OLD)
    put(root, f"{DEV}/aether-prod/notes.txt")
    (root / PROD / "cluster" / "empty").mkdir()

    write(root, tree_of({PROD: {SERVICE: "old\n"}}))

    assert (root / DEV / "aether-prod" / "notes.txt").read_text() == "mine\n"
    assert not (root / DEV / "aether-prod" / "gateway").exists()
    assert (root / PROD / "cluster" / "empty").is_dir()


def test_a_file_that_is_gone_already_needs_no_removal(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    (root / PROD / "cluster" / "namespace.yaml").unlink()

    result = write(root, NEW)

    assert result.removed == ()
    assert snapshot(root) == fresh(tmp_path, NEW)


def test_a_unit_whose_folder_is_gone_leaves_the_root_index(root: Path, tmp_path: Path) -> None:
    write(root, OLD)
    shutil.rmtree(root / "dev")
    tree = tree_of({PROD: {SERVICE: "old\n"}})

    write(root, tree)

    assert snapshot(root) == fresh(tmp_path, tree)


def test_foreign_bytes_that_equal_ours_are_adopted(root: Path) -> None:
    put(root, f"{PROD}/{SERVICE}", "old\n")

    write(root, OLD)
    write(root, NEW)

    assert (root / PROD / SERVICE).read_text() == "new\n"


# -- what stops a run


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

    assert refusal(lambda: write(root, NEW)) == {
        f"{PROD}/cluster/namespace.yaml": "was edited since it was rendered"
    }


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


ALWAYS_REFUSED = {
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
@pytest.mark.parametrize("lay", ALWAYS_REFUSED, ids=lambda lay: lay.__name__.strip("_"))
def test_what_could_lead_elsewhere_is_refused_even_with_force(
    root: Path, tmp_path: Path, lay: Callable[[Path], str], force: bool
) -> None:
    path = lay(root)
    before = {where: content for where, content in _snapshot_of_plain(tmp_path).items()}

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


# -- the disk refuses


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


# -- the law behind the stories

files = st.dictionaries(
    st.sampled_from(["a.yaml", "b.yaml", "x/a.yaml", "x/y/b.yaml", "z/c.yaml"]), st.sampled_from(["1\n", "2\n", ""])
)
trees = st.dictionaries(st.sampled_from([PROD, DEV, "prod/engine/argocd", "qa/clusters/x"]), files, min_size=1).map(
    tree_of
)


@settings(max_examples=60, deadline=None)
@given(st.lists(trees, min_size=1, max_size=4))
def test_after_any_history_the_disk_holds_a_fresh_render_of_the_last_tree(history: list[Tree]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "deploy")
        for tree in history:
            write(root, tree)

        assert snapshot(root) == fresh(Path(folder), history[-1])
        assert plan(root, history[-1]).changes_nothing
