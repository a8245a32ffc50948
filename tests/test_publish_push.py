"""Publishing to a remote: what it has is what counts, and where it refuses nothing has happened."""

import subprocess
from pathlib import Path

import pytest

from aether_deploy.delivery.git import GitError
from aether_deploy.delivery.publishing import plan_publish, publish
from tests.git_cases import (
    FIRST,
    IN_TREE,
    MAIN,
    SECOND,
    commit,
    git,
    hook,
    leftovers,
    published_files,
    rendered,
    tip,
    untouched,
)
from tests.test_publish_refusals import refusal
from tests.tree_cases import put

pytestmark = pytest.mark.real


@pytest.fixture
def remote(tmp_path: Path, clone: Path) -> Path:
    return tmp_path / "remote.git"


def somebody_pushes(tmp_path: Path, path: str = "theirs.txt") -> str:
    """Let somebody else push a commit."""
    seed = tmp_path / "seed"
    git(seed, "pull", "--quiet", "--rebase", "origin", "main")
    pushed = commit(seed, {path: "theirs\n"})
    git(seed, "push", "--quiet", "origin", "HEAD:main")
    return pushed


# --- what is pushed


def test_a_remote_may_be_a_path_relative_to_the_clone(clone: Path, remote: Path) -> None:
    git(clone, "remote", "set-url", "origin", "../remote.git")

    published = publish(clone, FIRST, push=True)

    assert tip(remote) == published.commit


def test_the_remote_gets_the_commit_and_the_clone_follows(clone: Path, remote: Path) -> None:
    published = publish(clone, FIRST, push=True)

    assert published.remote == "origin"
    assert tip(remote) == tip(clone) == tip(clone, "refs/remotes/origin/main") == published.commit
    assert published_files(remote) == rendered(FIRST)
    assert git(clone, "status", "--porcelain") == ""
    assert leftovers(clone) == leftovers(remote) == []


def test_it_goes_on_top_of_what_the_remote_has(tmp_path: Path, clone: Path, remote: Path) -> None:
    theirs = somebody_pushes(tmp_path)

    publish(clone, FIRST, push=True)

    assert tip(remote, f"{MAIN}~1") == theirs
    assert tip(clone) == tip(remote)
    assert (clone / "theirs.txt").read_text() == "theirs\n"


def test_only_the_branch_is_pushed(clone: Path, remote: Path) -> None:
    git(clone, "branch", "work")
    git(clone, "tag", "-m", "release", "v1")
    git(clone, "config", "push.followTags", "true")
    git(clone, "config", "push.default", "matching")
    git(clone, "config", "--add", "remote.origin.push", "+refs/heads/*:refs/heads/*")

    publish(clone, FIRST, push=True)

    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/heads/main\n"


def test_nothing_is_pushed_where_the_remote_holds_the_tree(tmp_path: Path, clone: Path, remote: Path) -> None:
    first = publish(clone, FIRST, push=True)

    with untouched(clone), untouched(remote):
        second = publish(clone, FIRST, push=True)

    assert second.changes_nothing
    assert second.commit == first.commit


def test_what_was_published_before_without_a_push_is_pushed(clone: Path, remote: Path) -> None:
    first = publish(clone, FIRST)

    published = publish(clone, FIRST, push=True)

    assert tip(remote) == first.commit == published.commit
    assert (published.remote, published.taken_along, published.message) == ("origin", 1, "")


def test_commits_of_the_clone_that_the_remote_lacks_are_counted(clone: Path, remote: Path) -> None:
    commit(clone, {"a.txt": "a\n"})
    commit(clone, {"b.txt": "b\n"})

    planned = plan_publish(clone, FIRST, push=True)
    published = publish(clone, FIRST, push=True)

    assert planned.taken_along == published.taken_along == 2
    assert git(remote, "rev-list", "--count", "main").strip() == "4"


def test_history_that_the_remote_has_on_another_branch_is_not_counted(clone: Path) -> None:
    commit(clone, {"a.txt": "a\n"})

    assert publish(clone, FIRST, branch="live", push=True).taken_along == 1


def test_a_clone_that_has_no_such_branch_gets_none(clone: Path, remote: Path) -> None:
    """As in pipelines, which check out a commit."""
    git(clone, "switch", "--quiet", "--detach")
    git(clone, "branch", "--quiet", "-D", "main")

    published = publish(clone, FIRST, branch="main", push=True)

    assert tip(remote) == published.commit
    assert git(clone, "branch", "--list", "main") == ""


def test_a_new_branch_is_pushed_too(clone: Path, remote: Path) -> None:
    published = publish(clone, FIRST, branch="live", push=True)

    assert tip(remote, "refs/heads/live") == published.commit


def test_an_empty_remote_gets_its_first_commit(tmp_path: Path, clone: Path) -> None:
    empty = tmp_path / "empty.git"
    git(tmp_path, "init", "--quiet", "--bare", str(empty))
    git(tmp_path, "clone", "--quiet", empty.as_uri(), str(tmp_path / "of-empty"))

    published = publish(tmp_path / "of-empty", FIRST, push=True)

    assert tip(empty) == tip(tmp_path / "of-empty") == published.commit
    assert git(tmp_path / "of-empty", "status", "--porcelain") == ""


def test_the_remote_of_the_branch_is_taken(tmp_path: Path, clone: Path, remote: Path) -> None:
    git(clone, "remote", "rename", "origin", "upstream")
    git(clone, "remote", "add", "fork", str(tmp_path / "nowhere"))
    git(clone, "config", "branch.main.remote", "upstream")

    assert publish(clone, FIRST, push=True).remote == "upstream"


def test_a_plan_tells_of_the_push_and_moves_no_ref(tmp_path: Path, clone: Path, remote: Path) -> None:
    theirs = somebody_pushes(tmp_path)

    with untouched(clone), untouched(remote):
        planned = plan_publish(clone, FIRST, push=True)

    assert (planned.base, planned.remote) == (theirs, "origin")


def test_the_hook_of_the_push_sees_what_is_pushed(tmp_path: Path, clone: Path) -> None:
    hook(clone, "pre-push", f'echo "$1" >{tmp_path}/seen; cat >>{tmp_path}/seen; cat {IN_TREE} >>{tmp_path}/seen')
    before = tip(clone)

    published = publish(clone, FIRST, push=True)

    assert (tmp_path / "seen").read_text() == f"origin\n{published.commit} {published.commit} {MAIN} {before}\nfirst\n"


# --- what is refused


def test_without_a_remote_nothing_can_be_pushed(tmp_path: Path, clone: Path) -> None:
    git(clone, "remote", "remove", "origin")

    assert refusal(clone, lambda: publish(clone, FIRST, push=True)) == (
        f"{clone}: has no remote to push to\n  fix: add one: git remote add origin ADDRESS"
    )


def test_one_of_several_remotes_has_to_be_named(clone: Path) -> None:
    git(clone, "remote", "rename", "origin", "a")
    git(clone, "remote", "add", "b", "elsewhere")
    git(clone, "config", "--unset", "branch.main.remote")

    assert refusal(clone, lambda: publish(clone, FIRST, push=True)) == (
        f"{clone}: has the remotes a, b, and none is that of main\n"
        "  fix: say which is meant: git config branch.main.remote NAME"
    )


@pytest.mark.parametrize("address", ["file:///nowhere/at/all.git", "http://127.0.0.1:9/x.git", "ssh://127.0.0.1:9/x"])
def test_a_remote_that_cannot_be_reached_stops_the_run(address: str, clone: Path) -> None:
    git(clone, "remote", "set-url", "origin", address)

    said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    assert said.startswith(f"{clone}: the remote origin cannot be asked\n  | ")
    assert said.endswith("  fix: see that the remote's address is right and that it can be reached, then run again")


def test_branches_that_have_diverged_are_not_brought_together(tmp_path: Path, clone: Path, remote: Path) -> None:
    somebody_pushes(tmp_path)
    commit(clone, {"a.txt": "a\n"})

    with untouched(remote):
        said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    assert said == (
        f"{clone}: main has diverged from origin/main: both have commits that the other has not\n"
        "  fix: bring them together: git pull --rebase origin main"
    )


@pytest.mark.parametrize("name", ["pre-receive", "update"])
def test_a_remote_that_refuses_leaves_the_clone_as_it_was(name: str, clone: Path, remote: Path) -> None:
    hook(remote, name, "echo 'main is protected' >&2; exit 1")

    with untouched(remote):
        said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    lines = said.splitlines()
    assert lines[0].startswith(f"{clone}: the push to main of origin was rejected by the remote (")
    assert lines[0].endswith("; nothing was published")
    assert "  | remote: main is protected" in [line.rstrip() for line in lines]
    assert lines[-1].startswith("  fix: see what the remote says; for a protected branch push another, by --branch")
    (remote / "hooks" / name).unlink()
    assert publish(clone, FIRST, push=True).commit == tip(remote)


def test_a_hook_that_refuses_the_push_leaves_the_clone_as_it_was(clone: Path, remote: Path) -> None:
    hook(clone, "pre-push", "echo 'tests fail' >&2; exit 1")

    with untouched(remote):
        said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    assert said == (
        f"{clone}: the push to main of origin was refused by the hook pre-push; nothing was published\n"
        "  | tests fail\n"
        f"  | error: failed to push some refs to '{remote.as_uri()}'\n"
        "  fix: mend what the hook says, then run again"
    )


def test_a_commit_that_comes_meanwhile_rejects_the_push(tmp_path: Path, clone: Path, remote: Path) -> None:
    """Somebody pushes while the hook of the commit runs; a further run goes on top of that."""
    seed = tmp_path / "seed"
    commit(seed, {"theirs.txt": "theirs\n"})
    hook(clone, "pre-commit", f"unset $(git rev-parse --local-env-vars); git -C {seed} push --quiet origin HEAD:main")

    said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    assert said.startswith(f"{clone}: the push to main of origin was rejected (fetch first); nothing was published\n")
    assert said.endswith("  fix: run again: it then goes on top of what came meanwhile")
    (clone / ".git/hooks/pre-commit").unlink()
    publish(clone, FIRST, push=True)
    assert tip(remote, f"{MAIN}~1") == tip(seed, "HEAD")


def test_a_clone_that_pushes_nowhere_else_than_to_a_checked_out_branch_is_told(tmp_path: Path, clone: Path) -> None:
    git(clone, "remote", "set-url", "origin", str(tmp_path / "seed"))
    git(tmp_path / "seed", "branch", "--quiet", "--move", "main")

    said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    assert "was rejected by the remote (branch is currently checked out)" in said


def test_files_in_the_way_of_commits_of_others_are_seen_before_the_push(
    tmp_path: Path, clone: Path, remote: Path
) -> None:
    somebody_pushes(tmp_path)
    put(clone, "theirs.txt", "mine\n")

    with untouched(remote):
        said = refusal(clone, lambda: publish(clone, FIRST, push=True))

    assert f"{clone}: has changes that are in the way: theirs.txt\n" in said


def test_a_clone_that_cannot_follow_is_told_and_catches_up_later(tmp_path: Path, clone: Path, remote: Path) -> None:
    """Its user writes a file in the way while the push runs."""
    blocking = clone / IN_TREE
    hook(clone, "pre-push", f"mkdir -p {blocking.parent}; echo mine >{blocking}")
    before = tip(clone)

    published = publish(clone, FIRST, push=True)

    assert tip(remote) == published.commit
    assert tip(clone) == before
    assert blocking.read_text() == "mine\n"
    assert published.notes == (
        "main of origin holds the tree, but the clone's stays behind: "
        f"{clone} has changes that are in the way: {IN_TREE}",
    )
    blocking.unlink()
    (clone / ".git/hooks/pre-push").unlink()
    assert publish(clone, FIRST, push=True).changes_nothing
    assert tip(clone) == tip(remote)
    assert git(clone, "status", "--porcelain") == ""


def test_credentials_are_never_asked_for(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants a password: without a terminal and a helper git has to give up at once."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Locked)
    Thread(target=server.serve_forever, daemon=True).start()
    git(clone, "remote", "set-url", "origin", f"http://127.0.0.1:{server.server_port}/x.git")
    monkeypatch.delenv("SSH_ASKPASS", raising=False)
    try:
        with pytest.raises(GitError) as caught:
            publish(clone, FIRST, push=True)
    finally:
        server.shutdown()
        server.server_close()

    assert caught.value.fix == (
        "give git credentials that need no question: a credential helper, an SSH agent, a token"
    )


def test_what_is_published_is_what_a_new_clone_gets(tmp_path: Path, clone: Path, remote: Path) -> None:
    publish(clone, FIRST, push=True)
    publish(clone, SECOND, push=True)

    fresh = tmp_path / "fresh"
    git(tmp_path, "clone", "--quiet", remote.as_uri(), str(fresh))

    assert {path: (fresh / path).read_text() for path in rendered(SECOND)} == rendered(SECOND)
    assert subprocess.run(["git", "-C", str(remote), "fsck", "--full", "--strict"], check=True).returncode == 0
