"""Publishing to a branch of a clone: what is committed, what moves, and what stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from aether_deploy.delivery.publishing import Publication, plan_publish, publish
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME
from aether_deploy.problems import ConfigError
from tests.git_cases import (
    FIRST,
    IN_TREE,
    SECOND,
    clone_of,
    commit,
    files_at,
    git,
    hook,
    leftovers,
    published_files,
    rendered,
    state,
    tip,
    untouched,
)
from tests.tree_cases import DEV, PROD, SERVICE, put, tree_of

pytestmark = pytest.mark.real


def without(values: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}


# --- what is committed


def test_a_commit_holds_what_was_rendered_and_all_that_was_there(clone: Path) -> None:
    before = tip(clone)

    published = publish(clone, FIRST)

    assert published_files(clone) == rendered(FIRST)
    assert files_at(clone)["README.md"] == "mine\n"
    assert published.commit == tip(clone)
    assert git(clone, "rev-list", "--parents", "-1", "main").split() == [published.commit, before]
    assert leftovers(clone) == []


def test_a_second_commit_replaces_and_removes(clone: Path) -> None:
    publish(clone, FIRST)

    published = publish(clone, SECOND)

    assert published_files(clone) == rendered(SECOND)
    assert published.removed == (f"deploy/{PROD}/cluster/namespace.yaml",)
    assert published.written == (
        f"deploy/{PROD}/aether-prod/gateway/service.yaml",
        f"deploy/{PROD}/aether-prod/voice/service.yaml",
        f"deploy/{PROD}/{INDEX_NAME}",
    )


def test_nothing_is_committed_where_nothing_changed(clone: Path) -> None:
    first = publish(clone, FIRST)

    with untouched(clone):
        second = publish(clone, FIRST)

    assert second == Publication(repository=str(clone), branch="main", base=first.commit, commit=first.commit)
    assert second.changes_nothing


def test_equal_trees_give_equal_commits_and_messages(tmp_path: Path, clone: Path) -> None:
    other = clone_of(tmp_path, "other")

    one, two = publish(clone, FIRST), publish(other, FIRST)

    trees = [git(folder, "rev-parse", "main^{tree}") for folder in (clone, other)]
    assert trees[0] == trees[1]
    assert one.message == two.message


def test_a_rendering_of_one_environment_leaves_the_others(clone: Path) -> None:
    publish(clone, FIRST)
    only = tree_of({DEV: {SERVICE: "newer\n"}})

    publish(clone, only, environments=["dev"], complete=False)

    assert published_files(clone) == {**rendered(FIRST), f"deploy/{DEV}/{SERVICE}": "newer\n"}


def test_an_environment_that_is_gone_is_removed(clone: Path) -> None:
    publish(clone, FIRST)
    only = tree_of({PROD: {SERVICE: "first\n"}})

    publish(clone, only)

    assert published_files(clone) == rendered(only)


def test_the_tree_may_lie_deeper(clone: Path) -> None:
    publish(clone, FIRST, path="clusters/aether/tree")

    names = files_at(clone, below="clusters/")
    assert f"clusters/aether/tree/{PROD}/{SERVICE}" in names
    assert publish(clone, FIRST, path="clusters/aether/tree").changes_nothing


def test_files_of_others_in_the_folder_stay(clone: Path) -> None:
    publish(clone, FIRST)
    commit(clone, {"deploy/prod/engine/flux/us-east-1/flux-system/gotk.yaml": "flux\n", "deploy/NOTES.md": "n\n"})

    publish(clone, SECOND)

    files = published_files(clone)
    assert files.pop("deploy/prod/engine/flux/us-east-1/flux-system/gotk.yaml") == "flux\n"
    assert files.pop("deploy/NOTES.md") == "n\n"
    assert files == rendered(SECOND)


def test_what_flux_and_people_put_there_first_is_no_obstacle(clone: Path) -> None:
    commit(
        clone,
        {
            "deploy/prod/engine/flux/us-east-1/flux-system/gotk.yaml": "flux\n",
            "deploy/README.md": "n\n",
            "deploy/.gitkeep": "",
        },
    )

    publish(clone, FIRST)

    assert set(rendered(FIRST)) < set(published_files(clone))


def test_what_an_interrupted_run_left_in_a_commit_is_completed(clone: Path) -> None:
    """Somebody committed a folder in the middle of a render: journal, half of the files, old indexes."""
    from tests.test_tree_interrupted import kill_at
    from tests.tree_cases import write

    publish(clone, FIRST)
    assert kill_at(8, lambda: write(clone / "deploy", SECOND))
    assert (clone / "deploy" / JOURNAL_NAME).exists()
    git(clone, "add", "--all", "deploy")
    git(clone, "commit", "--quiet", "-m", "half")

    publish(clone, SECOND, summarize=lambda before: f"before: {before}")

    assert published_files(clone) == rendered(SECOND)
    assert git(clone, "log", "-1", "--format=%b").strip() == "before: None"


# --- messages


def test_the_message_says_which_system_and_environments_and_what_changes(clone: Path) -> None:
    publish(clone, FIRST)

    publish(clone, SECOND)

    assert git(clone, "log", "-1", "--format=%B") == (
        "aether (dev, prod): 1 added, 1 changed, 1 removed\n"
        "\n"
        "prod/clusters/us-east-1: 1 added, 1 changed, 1 removed\n"
        "  ~ aether-prod/gateway/service.yaml\n"
        "  + aether-prod/voice/service.yaml\n"
        "  - cluster/namespace.yaml\n"
        "\n"
    )


def test_a_summary_takes_the_place_of_the_list_and_knows_the_tree_before(clone: Path) -> None:
    publish(clone, FIRST)

    publish(clone, SECOND, summarize=lambda before: f"{before.file_count if before else 0} files before")

    assert git(clone, "log", "-1", "--format=%B") == (
        "aether (dev, prod): 1 added, 1 changed, 1 removed\n\n3 files before\n\n"
    )


def test_a_message_of_ones_own_is_taken_as_it_is(clone: Path) -> None:
    message = "ship it: 'quotes', $dollars, ünïcödé\n\n# no comment\n-- not an option\n"

    publish(clone, FIRST, message=message)

    assert git(clone, "log", "-1", "--format=%B").rstrip("\n") == message.rstrip("\n")
    assert git(clone, "log", "-1", "--format=%e").strip() == ""


def test_many_changes_are_counted_where_they_cannot_be_listed(clone: Path) -> None:
    environments = [f"environment-number-{number}" for number in range(30)]
    tree = tree_of({f"{name}/clusters/c": {f"{n}.yaml": "x\n" for n in range(15)} for name in environments})

    publish(clone, tree, environments=environments)

    lines = git(clone, "log", "-1", "--format=%B").splitlines()
    assert lines[0] == "aether (30 environments): 450 added"
    assert lines[11] == "  and 7 more"
    assert lines[-2:] == ["and 20 more folders", ""]


# --- what moves, and what stays


def test_the_work_tree_follows_where_the_branch_is_checked_out(clone: Path) -> None:
    publish(clone, FIRST)

    assert git(clone, "status", "--porcelain") == ""
    assert (clone / IN_TREE).read_text() == "first\n"
    assert git(clone, "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_what_is_unfinished_elsewhere_in_the_work_tree_stays(clone: Path) -> None:
    commit(clone, {"a.txt": "a\n", "b.txt": "b\n"})
    put(clone, "stashed.txt", "s\n")
    git(clone, "stash", "--include-untracked")
    put(clone, "a.txt", "staged\n")
    git(clone, "add", "a.txt")
    put(clone, "a.txt", "staged, then edited\n")
    put(clone, "b.txt", "edited\n")
    put(clone, "new.txt", "untracked\n")
    before = state(clone)

    publish(clone, FIRST)

    after = state(clone)
    assert git(clone, "status", "--porcelain") == "MM a.txt\n M b.txt\n?? new.txt\n"
    assert after["stash"] == before["stash"]
    assert {name: after["files"][name] for name in before["files"]} == before["files"]  # type: ignore[index, attr-defined]
    assert published_files(clone) == rendered(FIRST)


def test_a_branch_that_is_not_checked_out_moves_alone(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--create", "work")
    put(clone, "README.md", "edited\n")
    before = state(clone)

    publish(clone, FIRST, branch="main")

    assert published_files(clone) == rendered(FIRST)
    assert without(state(clone), "refs") == without(before, "refs")
    assert tip(clone, "refs/heads/work") == tip(clone, "refs/heads/main~1")


def test_a_detached_head_stays_where_it_is(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--detach")
    before = state(clone)

    publish(clone, FIRST, branch="main")

    assert published_files(clone) == rendered(FIRST)
    assert without(state(clone), "refs") == without(before, "refs")


def test_a_new_branch_begins_where_head_is(clone: Path) -> None:
    publish(clone, FIRST, branch="releases/eu")

    assert tip(clone, "refs/heads/releases/eu~1") == tip(clone)
    assert published_files(clone, "releases/eu") == rendered(FIRST)


def test_a_branch_that_only_the_remote_has_is_gone_on_with(tmp_path: Path, clone: Path) -> None:
    git(tmp_path / "seed", "switch", "--quiet", "--create", "live")
    theirs = commit(tmp_path / "seed", {"theirs.txt": "x\n"})
    git(tmp_path / "seed", "push", "--quiet", "origin", "live")
    git(clone, "fetch", "--quiet")

    publish(clone, FIRST, branch="live")

    assert tip(clone, "refs/heads/live~1") == theirs


@pytest.mark.parametrize("bare", [False, True])
def test_an_empty_repository_gets_its_first_commit(bare: bool, tmp_path: Path, clone: Path) -> None:
    empty = tmp_path / "empty"
    git(tmp_path, "init", "--quiet", *(["--bare"] if bare else []), str(empty))

    published = publish(empty, FIRST)

    assert git(empty, "rev-list", "--parents", "main").split() == [published.commit]
    assert published_files(empty) == rendered(FIRST)
    assert leftovers(empty) == []
    assert bare or git(empty, "status", "--porcelain") == ""


def test_a_bare_repository_is_as_good(tmp_path: Path, clone: Path) -> None:
    remote = tmp_path / "remote.git"

    publish(remote, FIRST)
    publish(remote, SECOND)

    assert published_files(remote) == rendered(SECOND)
    assert leftovers(remote) == []


def test_any_folder_of_the_repository_names_it(clone: Path) -> None:
    commit(clone, {"docs/a/b.txt": "x\n"})

    publish(clone / "docs/a", FIRST)

    assert published_files(clone) == rendered(FIRST)


def test_a_linked_work_tree_is_as_good(tmp_path: Path, clone: Path) -> None:
    linked = tmp_path / "linked"
    git(clone, "worktree", "add", "--quiet", "-b", "live", str(linked))

    publish(linked, FIRST)

    assert published_files(clone, "live") == rendered(FIRST)
    assert git(linked, "status", "--porcelain") == ""
    assert (linked / IN_TREE).exists()


def test_a_submodule_is_a_repository_too(tmp_path: Path, clone: Path) -> None:
    git(clone, "submodule", "--quiet", "add", (tmp_path / "remote.git").as_uri(), "sub")

    publish(clone / "sub", FIRST)

    assert published_files(clone / "sub") == rendered(FIRST)
    assert git(clone / "sub", "status", "--porcelain") == ""


def test_a_shallow_clone_is_as_good(tmp_path: Path, clone: Path) -> None:
    commit(clone, {"more.txt": "x\n"})
    git(clone, "push", "--quiet")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", (tmp_path / "remote.git").as_uri(), str(shallow))

    published = publish(shallow, FIRST, push=True)

    assert tip(tmp_path / "remote.git") == published.commit
    assert git(shallow, "rev-parse", "--is-shallow-repository").strip() == "true"
    assert git(tmp_path / "remote.git", "fsck") == ""


# --- the user's own


def test_the_user_signs_and_is_named(clone: Path, tmp_path: Path) -> None:
    signer = tmp_path / "signer"
    signer.write_text('#!/bin/sh\ncat >/dev/null\necho "[GNUPG:] SIG_CREATED " >&2\necho signed-by-me\n')
    signer.chmod(0o755)
    git(clone, "config", "gpg.program", str(signer))
    git(clone, "config", "commit.gpgSign", "true")
    git(clone, "config", "user.name", "Somebody Else")

    publish(clone, FIRST)

    raw = git(clone, "cat-file", "commit", "main")
    assert "gpgsig signed-by-me\n" in raw
    assert "author Somebody Else <tester@example.com>" in raw


def test_hooks_run_in_a_work_tree_that_holds_the_commit(clone: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    commit(clone, {"tools/check": "x\n"})
    hook(clone, "pre-commit", f"cat tools/check {IN_TREE} >>{seen}; git diff --cached --stat --summary >>{seen}")
    hook(clone, "commit-msg", f'head -1 "$1" >>{seen}; echo "Reviewed-by: hook" >>"$1"')

    publish(clone, FIRST)

    assert seen.read_text().startswith("x\nfirst\n")
    assert "aether (dev, prod): 3 added\n" in seen.read_text()
    assert git(clone, "log", "-1", "--format=%B").endswith("Reviewed-by: hook\n\n")


def test_hooks_that_lie_in_the_repository_run(clone: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    commit(clone, {".githooks/pre-commit": f"#!/bin/sh\necho ran >{seen}\n"})
    git(clone, "update-index", "--chmod=+x", ".githooks/pre-commit")
    git(clone, "commit", "--quiet", "-m", "executable")
    git(clone, "reset", "--quiet", "--hard")
    git(clone, "config", "core.hooksPath", ".githooks")

    publish(clone, FIRST)

    assert seen.read_text() == "ran\n"


def test_a_run_from_a_hook_of_another_repository_finds_its_own(tmp_path: Path, clone: Path) -> None:
    """Git sets GIT_DIR, GIT_INDEX_FILE and others for hooks."""
    source = tmp_path / "source"
    git(tmp_path, "init", "--quiet", str(source))
    code = (
        "from aether_deploy.delivery.publishing import publish; from tests.git_cases import FIRST; "
        f"publish({str(clone)!r}, FIRST)"
    )
    hook(
        source,
        "post-commit",
        f"cd {Path(__file__).parents[1]} && {sys.executable} -c '{code.replace(chr(39), chr(34))}'",
    )

    commit(source, {"a.txt": "x\n"})

    assert published_files(clone) == rendered(FIRST)
    assert set(files_at(source)) == {"a.txt"}


def test_leading_variables_of_git_lead_nowhere(tmp_path: Path, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = clone_of(tmp_path, "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git/objects"))

    publish(clone, FIRST)

    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.delenv(name)
    assert published_files(clone) == rendered(FIRST)
    assert published_files(other) == {}
    assert git(other, "status", "--porcelain") == ""


# --- plans


def test_a_plan_is_what_publishing_does(clone: Path) -> None:
    publish(clone, FIRST)

    with untouched(clone):
        planned = plan_publish(clone, SECOND)
    done = publish(clone, SECOND)

    assert planned.commit is None
    assert (planned.written, planned.removed, planned.message) == (done.written, done.removed, done.message)
    assert planned.base == done.base


def test_a_plan_leaves_no_object(clone: Path) -> None:
    before = subprocess.run(["find", clone / ".git", "-type", "f"], capture_output=True, check=True).stdout

    plan_publish(clone, FIRST)

    assert subprocess.run(["find", clone / ".git", "-type", "f"], capture_output=True, check=True).stdout == before


def test_a_plan_of_what_is_there_says_so(clone: Path) -> None:
    published = publish(clone, FIRST)

    assert plan_publish(clone, FIRST).commit == published.commit
    assert plan_publish(clone, FIRST).changes_nothing


def test_a_checkout_of_nothing_stays_one(tmp_path: Path, clone: Path) -> None:
    """``git clone --no-checkout`` is cheap; its index is empty, and all files look removed."""
    bare = tmp_path / "nothing"
    git(tmp_path, "clone", "--quiet", "--no-checkout", (tmp_path / "remote.git").as_uri(), str(bare))

    published = publish(bare, FIRST, push=True)

    assert [path.name for path in bare.iterdir()] == [".git"]
    assert tip(bare) == tip(tmp_path / "remote.git") == published.commit
    git(bare, "checkout", "--quiet", "main")
    assert (bare / IN_TREE).read_text() == "first\n"


@pytest.mark.parametrize("path", ["../elsewhere", "/tmp/x", "a/../b", ".git/x", "a//b", ""])
def test_a_folder_that_leads_elsewhere_is_wrong_input(path: str, clone: Path) -> None:
    with untouched(clone), pytest.raises(ConfigError, match=r"\$\.gitops\.path"):
        publish(clone, FIRST, path=path)


def test_a_summary_that_is_too_long_is_cut(clone: Path) -> None:
    publish(clone, FIRST, summarize=lambda before: "\n".join(f"line {number}" for number in range(1000)))

    lines = git(clone, "log", "-1", "--format=%b").splitlines()
    assert (lines[0], lines[199], lines[200]) == ("line 0", "line 199", "and 800 more lines")


def test_a_message_of_strange_bytes_is_taken(clone: Path) -> None:
    publish(clone, FIRST, message="caf\udce9\n")

    assert git(clone, "log", "-1", "--format=%H").strip() == tip(clone)


def test_a_repository_that_publishes_after_each_commit_does_so_once(clone: Path) -> None:
    """Our commit runs the hook again, whose publisher finds that one is at work."""
    code = (
        "from aether_deploy.delivery.publishing import publish; from tests.git_cases import FIRST; "
        f'publish("{clone}", FIRST)'
    )
    hook(clone, "post-commit", f"cd {Path(__file__).parents[1]} && {sys.executable} -c '{code}'")

    commit(clone, {"a.txt": "x\n"}, "user")

    assert git(clone, "log", "--format=%s").splitlines() == ["aether (dev, prod): 3 added", "user", "begin"]
    assert git(clone, "status", "--porcelain") == ""
    assert leftovers(clone) == []


@pytest.mark.parametrize("hooked", [False, True])
def test_submodules_elsewhere_in_the_repository_stay(hooked: bool, clone: Path, tmp_path: Path) -> None:
    git(clone, "submodule", "--quiet", "add", (tmp_path / "remote.git").as_uri(), "sub")
    git(clone, "config", "submodule.recurse", "true")
    git(clone, "commit", "--quiet", "-m", "sub")
    if hooked:
        hook(clone, "pre-commit", "git status --porcelain | grep -v '^A  deploy/' && exit 1; exit 0")

    publish(clone, FIRST)

    assert git(clone, "ls-tree", "main", "sub").startswith("160000 commit ")
    assert (clone / "sub/README.md").read_text() == "mine\n"
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "-x", "a..b", ""])
def test_a_name_that_is_no_branch_is_refused(clone: Path, name: str) -> None:
    with untouched(clone), pytest.raises(ConfigError, match="no name that Git takes for a branch"):
        publish(clone, FIRST, branch=name)


def test_a_branch_that_is_missing_is_made_though_its_tree_is_there_already(clone: Path) -> None:
    first = publish(clone, FIRST)

    again = publish(clone, FIRST, branch="next")

    assert again.commit == first.commit
    assert tip(clone, "refs/heads/next") == first.commit
