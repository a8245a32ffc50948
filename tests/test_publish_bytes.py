"""A commit holds byte for byte what was rendered, whatever the repository's settings do to text."""

import os
import subprocess
from pathlib import Path

import pytest

from aether_deploy.delivery.publishing import publish
from tests.git_cases import (
    FIRST,
    IN_TREE,
    SECOND,
    commit,
    files_at,
    git,
    hook,
    leftovers,
    published_files,
    rendered,
    tip,
)
from tests.test_publish_refusals import refusal
from tests.tree_cases import PROD, SERVICE, put, tree_of

pytestmark = pytest.mark.real

STRANGE = tree_of(
    {
        PROD: {
            SERVICE: "unix\n",
            "dos.yaml": "dos\r\nand dos\r\n",
            "mixed.yaml": "dos\r\nand\nmixed\r",
            "ident.yaml": "$Id$ $Id: x $\n",
            "none.yaml": "no newline",
            "empty.yaml": "",
            "unicode.yaml": "ünïcödé \u2028 \U0001f600\n",
            "trailing.yaml": "spaces   \n\n\n",
        }
    }
)


def contents(clone: Path) -> dict[str, bytes]:
    """Return the bytes of each file of the tree in the commit."""
    names = [path for path in files_at_names(clone) if path.startswith("deploy/") and not path.endswith(".jsonl")]
    return {
        name: subprocess.run(
            ["git", "-C", str(clone), "cat-file", "blob", f"main:{name}"], check=True, capture_output=True
        ).stdout
        for name in names
    }


def files_at_names(clone: Path) -> list[str]:
    return git(clone, "ls-tree", "-r", "--name-only", "main").splitlines()


SETTINGS = {
    "none": {},
    "autocrlf": {"core.autocrlf": "true"},
    "autocrlf on input": {"core.autocrlf": "input"},
    "line endings of Windows": {"core.eol": "crlf", "core.autocrlf": "false"},
    "a guard of line endings": {"core.autocrlf": "true", "core.safecrlf": "true"},
    "no modes": {"core.fileMode": "false"},
    "white space mended": {"core.whitespace": "fix", "apply.whitespace": "fix"},
    "another encoding of messages": {"i18n.commitEncoding": "ISO-8859-1"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_user_change_no_byte(name: str, clone: Path) -> None:
    for setting, value in SETTINGS[name].items():
        git(clone, "config", setting, value)

    publish(clone, STRANGE)

    expected = {path: text.encode() for path, text in rendered(STRANGE).items()}
    assert contents(clone) == expected
    assert publish(clone, STRANGE).changes_nothing
    publish(clone, FIRST)
    assert published_files(clone) == rendered(FIRST)


ATTRIBUTES = {
    "*.yaml eol=crlf": "eol=crlf",
    "*.yaml text eol=crlf": "eol=crlf",
    "*.yaml filter=lfs diff=lfs merge=lfs -text": "filter=lfs",
    "deploy/** ident": "ident",
    "*.yaml working-tree-encoding=UTF-16LE": "working-tree-encoding=UTF-16LE",
}


@pytest.mark.parametrize("where", ["in the branch", "of the clone", "of the user"])
@pytest.mark.parametrize("line", ATTRIBUTES)
def test_attributes_that_change_bytes_stop_the_run(line: str, where: str, clone: Path, tmp_path: Path) -> None:
    if where == "in the branch":
        commit(clone, {".gitattributes": f"{line}\n"})
    elif where == "of the clone":
        put(clone, ".git/info/attributes", f"{line}\n")
    else:
        put(tmp_path, "attributes", f"{line}\n")
        git(clone, "config", "core.attributesFile", str(tmp_path / "attributes"))

    said = refusal(clone, lambda: publish(clone, FIRST))

    assert f"has the attribute {ATTRIBUTES[line]}, which changes its bytes\n" in said
    assert said.endswith(
        "  fix: end .gitattributes with the line: deploy/** -text -eol -filter -ident -working-tree-encoding"
    )


@pytest.mark.parametrize("line", ATTRIBUTES)
def test_the_way_out_of_attributes_is_one(line: str, clone: Path) -> None:
    way_out = "deploy/** -text -eol -filter -ident -working-tree-encoding"
    commit(clone, {".gitattributes": f"{line}\n{way_out}\n"})

    publish(clone, STRANGE)

    assert contents(clone) == {path: text.encode() for path, text in rendered(STRANGE).items()}


@pytest.mark.parametrize(
    "line", ["* text=auto", "*.yaml text", "*.yaml eol=lf", "*.yaml diff=yaml merge=union", "* -text"]
)
def test_attributes_that_change_no_byte_are_fine(line: str, clone: Path) -> None:
    commit(clone, {".gitattributes": f"{line}\n"})

    publish(clone, FIRST)

    assert published_files(clone) == rendered(FIRST)


def test_text_that_git_would_normalise_is_noticed(clone: Path) -> None:
    commit(clone, {".gitattributes": "* text=auto\n"})

    said = refusal(clone, lambda: publish(clone, STRANGE))

    assert said == (
        f"deploy: a hook or a setting of git changed what was rendered: {PROD}/dos.yaml\n"
        "  fix: let hooks leave deploy/ alone; nothing was published"
    )


def test_filters_of_other_files_do_not_run(clone: Path, tmp_path: Path) -> None:
    """A checkout of ours needs neither large files from elsewhere nor the key of an encrypted one."""
    ran = tmp_path / "ran"
    for key, value in {"clean": f"touch {ran}; cat", "smudge": f"touch {ran}; exit 1", "required": "true"}.items():
        git(clone, "config", f"filter.lfs.{key}", value)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    put(clone, "world.bin", pointer)
    put(clone, ".gitattributes", "*.bin filter=lfs\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "large")
    git(clone, "switch", "--quiet", "--detach")
    ran.unlink()

    publish(clone, FIRST, branch="main")

    assert not ran.exists()
    assert files_at(clone)["world.bin"] == pointer


@pytest.mark.parametrize("pattern", ["/deploy/", "*.yaml", "prod", "*.jsonl"])
def test_what_is_ignored_is_committed_nevertheless(pattern: str, clone: Path) -> None:
    commit(clone, {".gitignore": f"{pattern}\n"})

    publish(clone, FIRST)
    publish(clone, SECOND)

    assert published_files(clone) == rendered(SECOND)
    assert publish(clone, SECOND).changes_nothing


@pytest.mark.parametrize("cone", ["--cone", "--no-cone"])
def test_a_sparse_clone_gets_the_whole_tree(cone: str, clone: Path) -> None:
    commit(clone, {"docs/a.txt": "x\n", "other/b.txt": "x\n"})
    git(clone, "sparse-checkout", "set", cone, "docs")

    publish(clone, FIRST)
    publish(clone, SECOND)

    assert published_files(clone) == rendered(SECOND)
    assert not (clone / "deploy").exists()
    assert not (clone / "other").exists()
    assert git(clone, "status", "--porcelain") == ""


def test_a_sparse_clone_of_settings_for_each_work_tree_is_as_good(clone: Path) -> None:
    commit(clone, {"docs/a.txt": "x\n"})
    git(clone, "config", "extensions.worktreeConfig", "true")
    git(clone, "sparse-checkout", "set", "--cone", "docs")

    publish(clone, FIRST)

    assert published_files(clone) == rendered(FIRST)


def test_a_partial_clone_is_as_good(tmp_path: Path, clone: Path) -> None:
    remote = tmp_path / "remote.git"
    git(remote, "config", "uploadpack.allowFilter", "true")
    publish(clone, FIRST, push=True)
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", remote.as_uri(), str(partial))

    publish(partial, SECOND, branch="live", push=True)

    assert published_files(remote, "live") == rendered(SECOND)


def test_a_repository_with_longer_ids_is_as_good(tmp_path: Path, clone: Path) -> None:
    folder = tmp_path / "sha256"
    git(tmp_path, "init", "--quiet", "--object-format=sha256", str(folder))

    publish(folder, FIRST)
    publish(folder, SECOND)

    assert published_files(folder) == rendered(SECOND)
    assert publish(folder, SECOND).changes_nothing


TAMPERING: dict[str, str] = {
    "changes a file": f"echo more >>{IN_TREE}; git add {IN_TREE}",
    "removes a file": f"git rm --quiet -f {IN_TREE}",
    "makes a link of a file": f"ln -sf /etc/passwd {IN_TREE}; git add {IN_TREE}",
    "changes an index": "echo >>deploy/aether.index.jsonl; git add deploy/aether.index.jsonl",
}


@pytest.mark.parametrize("what", TAMPERING)
def test_a_hook_that_changes_what_was_rendered_stops_the_run(what: str, clone: Path) -> None:
    hook(clone, "pre-commit", TAMPERING[what])

    said = refusal(clone, lambda: publish(clone, FIRST))

    assert said.startswith("deploy: a hook or a setting of git changed what was rendered: ")
    assert said.endswith("  fix: let hooks leave deploy/ alone; nothing was published")


def test_a_hook_may_add_what_is_its_own(clone: Path) -> None:
    hook(clone, "pre-commit", "echo log >CHANGES; git add CHANGES")

    publish(clone, FIRST)

    assert files_at(clone)["CHANGES"] == "log\n"
    assert published_files(clone) == rendered(FIRST)
    assert git(clone, "status", "--porcelain") == ""


def test_a_hook_that_replaces_the_commit_by_another_line_stops_the_run(clone: Path) -> None:
    hook(clone, "post-commit", "git reset --quiet --soft $(git commit-tree -m alone HEAD^{tree})")

    assert "a hook replaced the commit by one that does not follow" in refusal(clone, lambda: publish(clone, FIRST))


def test_files_that_others_made_executable_stay_so_and_count_as_ours(clone: Path) -> None:
    publish(clone, FIRST)
    git(clone, "update-index", "--chmod=+x", IN_TREE)
    git(clone, "commit", "--quiet", "-m", "mode")
    git(clone, "reset", "--quiet", "--hard")

    assert publish(clone, FIRST).changes_nothing
    publish(clone, SECOND)
    assert published_files(clone) == rendered(SECOND)


def test_no_other_user_can_read_the_temporary_work_tree(clone: Path, tmp_path: Path) -> None:
    hook(clone, "pre-commit", f'stat -c %a "$(dirname "$PWD")" >{tmp_path}/mode')

    publish(clone, FIRST)

    assert (tmp_path / "mode").read_text() == "700\n"
    assert leftovers(clone) == []


@pytest.mark.parametrize("mask", ["000", "022", "077"])
def test_the_mask_of_the_user_changes_no_mode(mask: str, clone: Path) -> None:
    before = os.umask(int(mask, 8))
    try:
        publish(clone, FIRST)
    finally:
        os.umask(before)

    modes = {line.split()[0] for line in git(clone, "ls-tree", "-r", "main:deploy").splitlines()}
    assert modes == {"100644"}
    assert tip(clone)
