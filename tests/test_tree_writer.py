"""Writing a tree over what is there: what is written, kept and removed."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.delivery.tree_writer import apply_write, locked, plan_write
from aether_deploy.gitops.index import index_unit, render_unit_index
from aether_deploy.gitops.tree import INDEX_NAME, Tree
from tests.tree_cases import DEV, NEW, OLD, PROD, SERVICE, fresh, plan, put, snapshot, tree_of, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deploy"


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


# -- speed, counted rather than timed


def test_an_unchanged_render_lists_each_folder_once_and_opens_nothing_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tree_of({PROD: {f"aether-prod/w{n:02}/{m}.yaml": "x" for n in range(10) for m in range(8)}})
    write(tmp_path, tree)
    calls: dict[str, int] = {}

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if name != "open" or arguments[1] & (os.O_WRONLY | os.O_CREAT):
                calls[name] = calls.get(name, 0) + 1
            return real(*arguments, **named)

        return call

    for name in ("mkdir", "open", "write", "replace", "unlink", "rmdir", "scandir", "lstat", "stat"):
        monkeypatch.setattr(os, name, counted(name))
    with locked(tmp_path):
        found = plan(tmp_path, tree)
    monkeypatch.undo()

    assert found.changes_nothing
    assert calls["scandir"] == len(["", "prod", "prod/clusters", PROD, f"{PROD}/aether-prod"]) + 10
    assert {name for name in calls if name not in ("scandir", "mkdir", "stat")} == set()
