"""Trees and descriptions read back: from a folder, and out of commits without a work tree."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aether_deploy.delivery.description_reading import description_at
from aether_deploy.delivery.git import GitError
from aether_deploy.delivery.loading import read_description
from aether_deploy.delivery.publishing import publish
from aether_deploy.delivery.tree_reading import (
    NothingThereError,
    StoredTree,
    UnreadableTreeError,
    read_tree,
    read_tree_at,
)
from aether_deploy.gitops.index import index_unit
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME
from aether_deploy.problems import EffectError
from tests.cli_cases import ONE_REGION
from tests.git_cases import FIRST, SECOND, commit, git
from tests.tree_cases import DEV, PROD, SERVICE, put, tree_of, write

pytestmark = pytest.mark.real


@pytest.fixture(params=["folder", "commit", "bare"])
def stored(request: pytest.FixtureRequest, clone: Path, tmp_path: Path) -> StoredTree:
    """Return the same tree, read in each way."""
    publish(clone, FIRST, push=True)
    if request.param == "folder":
        return read_tree(clone / "deploy")
    if request.param == "bare":
        return read_tree_at(tmp_path / "remote.git", "main", "deploy")
    shutil.rmtree(clone / "deploy")  # no work tree is looked at
    return read_tree_at(clone, "origin/main", "deploy")


def test_the_indexes_are_those_of_the_tree(stored: StoredTree) -> None:
    assert stored.units == {unit.path: index_unit(unit) for unit in FIRST.units}
    assert list(stored.units) == sorted(stored.units)
    assert stored.file_count == 3


def test_what_files_hold_is_what_was_rendered(stored: StoredTree) -> None:
    paths = [f"{unit}/{entry.path}" for unit, index in stored.units.items() for entry in index.entries]

    contents = stored.contents(reversed(paths))

    assert contents == {f"{unit.path}/{file.path}": file.text.encode() for unit in FIRST.units for file in unit.files}
    assert list(contents) == list(reversed(paths))
    assert stored.contents([]) == {}


def test_files_that_are_missing_are_all_told(stored: StoredTree) -> None:
    with pytest.raises(UnreadableTreeError) as caught:
        stored.contents([f"{PROD}/{SERVICE}", "b/missing", "a/missing", f"{PROD}/cluster"])

    where = stored.where
    assert str(caught.value) == (
        f"{where}: the tree cannot be read: 3 faults\n"
        + "\n".join(
            f"{where}/{path}: is listed by its index, and is no file there\n"
            "  fix: restore the file from version control, or render the tree again"
            for path in ("a/missing", "b/missing", f"{PROD}/cluster")
        )
    )


def test_many_files_are_read_as_few_are(clone: Path) -> None:
    tree = tree_of({PROD: {f"a/{number:04}.yaml": f"{number}\n" for number in range(300)}})
    publish(clone, tree)
    stored = read_tree_at(clone, "main", "deploy")
    paths = [f"{PROD}/a/{number:04}.yaml" for number in range(300)]

    many = stored.contents(paths)

    assert many == {path: f"{number}\n".encode() for number, path in enumerate(paths)}
    assert stored.contents(paths[:3]) == {path: many[path] for path in paths[:3]}


def test_each_commit_has_its_own_tree(clone: Path) -> None:
    publish(clone, FIRST)
    publish(clone, SECOND)

    before, after = read_tree_at(clone, "main~1", "deploy/"), read_tree_at(clone / "deploy", "main", "deploy")

    assert before.contents([f"{PROD}/{SERVICE}"]) == {f"{PROD}/{SERVICE}": b"first\n"}
    assert after.contents([f"{PROD}/{SERVICE}"]) == {f"{PROD}/{SERVICE}": b"second\n"}
    assert after.commit == git(clone, "rev-parse", "main").strip()
    assert (before.where, after.where) == ("main~1:deploy", "main:deploy")


def test_a_tree_may_be_a_whole_repository(clone: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    git(tmp_path, "init", "--quiet", str(root))
    write(root, FIRST)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "tree")

    assert read_tree_at(root, "main", ".").units.keys() == {PROD, DEV}


def test_a_place_without_a_tree_is_told_apart(clone: Path, tmp_path: Path) -> None:
    acts: list[Callable[[], StoredTree]] = [
        lambda: read_tree(tmp_path / "missing"),
        lambda: read_tree(clone),
        lambda: read_tree(clone / "README.md"),
        lambda: read_tree_at(clone, "main", "deploy"),
        lambda: read_tree_at(clone, "main", "README.md"),
    ]
    for act in acts:
        with pytest.raises(NothingThereError, match=r"holds no tree of aether-deploy\n  fix: name another place"):
            act()


def test_a_commit_that_is_unknown_is_told(clone: Path) -> None:
    with pytest.raises(GitError, match="knows no commit 'origin/nope'"):
        read_tree_at(clone, "origin/nope", "deploy")


def test_all_damage_of_indexes_is_told_at_once(clone: Path) -> None:
    publish(clone, FIRST)
    put(clone, f"deploy/{JOURNAL_NAME}", "half\n")
    put(clone, f"deploy/{DEV}/{INDEX_NAME}", '{"format": 99}\n')
    (clone / f"deploy/{PROD}/{INDEX_NAME}").unlink()
    git(clone, "add", "--all", "--force")
    git(clone, "commit", "--quiet", "-m", "damage")

    acts: list[Callable[[], StoredTree]] = [
        lambda: read_tree(clone / "deploy"),
        lambda: read_tree_at(clone, "main", "deploy"),
    ]
    for act in acts:
        with pytest.raises(UnreadableTreeError) as caught:
            act()
        assert [(fault.path, fault.reason, fault.fix) for fault in caught.value.faults] == [
            ("aether.pending.jsonl", "a run was interrupted here", "render again, which completes it"),
            (
                f"{DEV}/{INDEX_NAME}",
                "line 1 has format 99; this aether-deploy knows 1",
                "use the newer aether-deploy that wrote it",
            ),
            (
                f"{PROD}/{INDEX_NAME}",
                "is missing, and the root's index lists its unit",
                "restore the file from version control, or render the tree again",
            ),
        ]


def test_a_link_out_of_the_tree_is_not_followed(clone: Path) -> None:
    publish(clone, FIRST)
    path = clone / f"deploy/{PROD}/{SERVICE}"
    path.unlink()
    path.symlink_to("/etc/hostname")

    with pytest.raises(EffectError, match=r"service.yaml: cannot be read: "):
        read_tree(clone / "deploy").contents([f"{PROD}/{SERVICE}"])


# --- descriptions


@pytest.fixture
def described(clone: Path) -> Path:
    """Return a clone that holds a description with config files, changed since."""
    shutil.copytree(ONE_REGION.parent, clone / "games/one")
    put(clone, "other/large.bin", "x\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "description")
    put(clone, "games/one/aether.yaml", "name: changed\n")
    shutil.rmtree(clone / "games/one/config")
    return clone


def test_a_description_is_read_as_it_was(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(described / "games")

    with description_at(".", "HEAD", ["one/aether.yaml"]) as files:
        judgement = read_description(files).evaluate(["prod"])
        assert not judgement.failed
        assert set(judgement.files) == {"config/world.toml", "config/rules.json"}
        assert Path(files[0]).read_bytes() == ONE_REGION.read_bytes()
        assert not (Path(files[0]).parents[2] / "other").exists()
    assert not Path(files[0]).exists()


def test_layers_keep_their_places_and_order(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(described, {"live/eu.yaml": "name: eu\n"})
    monkeypatch.chdir(described / "live")

    with description_at(str(described), "main", ["../games/one/aether.yaml", "eu.yaml"]) as files:
        assert [Path(file).name for file in files] == ["aether.yaml", "eu.yaml"]
        assert Path(files[1]).read_text() == "name: eu\n"


def test_files_beside_the_folder_are_there_where_a_description_names_them(clone: Path) -> None:
    commit(clone, {"shared/motd.txt": "hi\n", "games/aether.yaml": "# source: ../shared/motd.txt\n"})

    with description_at(str(clone), "main", [str(clone / "games/aether.yaml")]) as files:
        assert (Path(files[0]).parent / "../shared/motd.txt").read_text() == "hi\n"


def test_a_description_that_was_not_there_is_told_apart(described: Path) -> None:
    with (
        pytest.raises(NothingThereError) as caught,
        description_at(str(described), "HEAD~1", [str(described / "a.yaml")]),
    ):
        pass

    assert str(caught.value) == "a.yaml: is no file in HEAD~1\n  fix: name another commit, or a file that was there"


def test_a_description_of_another_place_is_refused(described: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(EffectError, match="does not lie in the repository"),
        description_at(str(described), "HEAD", [str(tmp_path / "aether.yaml")]),
    ):
        pass


def test_a_path_that_leads_out_of_the_temporary_folder_is_not_written(clone: Path, tmp_path: Path) -> None:
    """Git makes no such tree by itself, but takes one that was made by hand."""
    blob = git(clone, "hash-object", "-w", "--stdin", given="evil\n").strip()
    inner = git(clone, "mktree", given=f"100644 blob {blob}\tevil.txt\n").strip()
    raw = b"40000 ..\0" + bytes.fromhex(inner) + b"100644 aether.yaml\0" + bytes.fromhex(blob)
    made = subprocess.run(
        ["git", "-C", str(clone), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=raw,
        capture_output=True,
        check=True,
    )
    evil = git(clone, "commit-tree", "-m", "evil", made.stdout.decode().strip()).strip()

    with description_at(str(clone), evil, [str(clone / "aether.yaml")]) as files:
        assert not (Path(files[0]).parents[1] / "evil.txt").exists()
