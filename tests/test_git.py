"""The program git as we run it: its environment, its refusals, its objects."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aether_deploy.delivery.git import Git, GitError, list_entries, list_files, need_git
from aether_deploy.delivery.git_process import environment
from aether_deploy.delivery.git_refusals import quoted, way_out
from aether_deploy.delivery.repository import open_repository
from tests.git_cases import commit, git, has_ended, hook, isolate

pytestmark = pytest.mark.real


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(tmp_path, monkeypatch)
    folder = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", str(folder))
    commit(folder, {"a.txt": "a\n", "deep/er/b c.txt": "b\n", "empty": ""})
    return folder


# --- the environment


def test_what_leads_git_elsewhere_is_left_out() -> None:
    asked = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    settings_of_the_user = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}

    kept = environment(dict.fromkeys(asked.stdout.split(), "x"))

    assert set(kept) & set(asked.stdout.split()) == settings_of_the_user


def test_what_is_the_users_is_kept() -> None:
    users = {
        "HOME": "/home/me",
        "GIT_AUTHOR_NAME": "Me",
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_CONFIG_GLOBAL": "/home/me/gitconfig",
        "SSH_AUTH_SOCK": "/run/agent",
        "HTTPS_PROXY": "http://proxy",
    }

    kept = environment(users)

    assert {name: kept[name] for name in users} == users


@pytest.mark.parametrize(
    "given, characters",
    [
        ({"LC_ALL": "de_DE.UTF-8", "LANG": "fr_FR.UTF-8"}, "de_DE.UTF-8"),
        ({"LC_CTYPE": "ja_JP.UTF-8", "LANG": "fr_FR.UTF-8"}, "ja_JP.UTF-8"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "fr"}, None),
    ],
)
def test_messages_are_in_english_and_characters_stay_the_users(given: dict[str, str], characters: str | None) -> None:
    kept = environment(given)

    assert kept["LC_MESSAGES"] == "C"
    assert kept.get("LC_CTYPE") == characters
    assert not {"LC_ALL", "LANGUAGE"} & kept.keys()


def test_nothing_of_ours_can_ask_on_a_terminal(repo: Path) -> None:
    hook(repo, "pre-commit", "test -t 0 && exit 1; (: </dev/tty) 2>/dev/null && exit 1; exit 0")

    answer = Git(str(repo)).ask("commit", "--allow-empty", "--message", "x")

    assert answer.code == 0, answer.err


def test_settings_reach_hooks_that_run_git(repo: Path, tmp_path: Path) -> None:
    hook(repo, "pre-commit", f"git config core.eol >{tmp_path}/seen")

    Git(str(repo), {"core.eol": "lf"}).tell("commit", "--allow-empty", "--message", "x")

    assert (tmp_path / "seen").read_text() == "lf\n"


def test_a_working_directory_that_is_gone_hinders_nobody(repo: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); " + (
        f"from aether_deploy.delivery.git import Git; print(Git({str(repo)!r}).line('rev-parse', 'HEAD'))"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.stdout == git(repo, "rev-parse", "HEAD"), ended.stderr


# --- which git


def test_a_missing_git_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(GitError) as caught:
        need_git()

    assert str(caught.value) == (
        "git cannot be run: No such file or directory\n  fix: install Git, and see that it is on PATH"
    )


@pytest.mark.parametrize(
    "said, fits",
    [
        ("git version 2.31.0", True),
        ("git version 2.39.5 (Apple Git-154)", True),
        ("git version 2.50.0.windows.1", True),
        ("git version 3.0.0", True),
        ("git version 2.30.9", False),
        ("git version 1.8.3.1", False),
        ("something else", False),
    ],
)
def test_a_git_that_is_too_old_is_told(said: str, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    if fits:
        assert need_git() >= (2, 31)
        return
    with pytest.raises(GitError) as caught:
        need_git()
    assert str(caught.value) == f"{said} is too old\n  fix: install Git 2.31 or newer"


# --- refusals


def test_a_refusal_quotes_the_end_of_what_git_says_without_its_hints() -> None:
    said = "".join(f"line {number}\n" for number in range(30)) + "hint: never mind\n\x1b[31mred\x07\n" + "x" * 1000

    lines = quoted(said)

    assert lines[0] == "  | line 20"
    assert lines[-2:] == ["  | \\x1b[31mred\\x07", f"  | {'x' * 300}"]
    assert len(lines) == 12


def test_a_refusal_that_nobody_knows_has_a_way_out_nevertheless(repo: Path) -> None:
    with pytest.raises(GitError) as caught:
        Git(str(repo)).tell("no-such-command")

    assert str(caught.value).startswith(f"{repo}: git no-such-command failed\n  | ")
    assert caught.value.fix == "mend what git says, then run again"
    assert way_out("never heard of", "/x") is None


def test_a_lock_is_told_with_its_file(repo: Path) -> None:
    (repo / ".git/index.lock").touch()

    with pytest.raises(GitError) as caught:
        Git(str(repo)).tell("add", "--all")

    assert f"{repo}/.git/index.lock" in str(caught.value)
    assert caught.value.fix.startswith("wait until the other git is done; if none runs, remove the lock")


def test_an_object_that_is_damaged_is_told(repo: Path) -> None:
    blob = git(repo, "rev-parse", "HEAD:a.txt").strip()
    path = repo / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"nonsense")

    with pytest.raises(GitError) as caught:
        list(Git(str(repo)).objects(["HEAD:empty", "HEAD:a.txt"]))

    assert caught.value.fix == "the repository is damaged: see git fsck, or clone it anew"


# --- objects


def test_objects_come_in_the_order_in_which_they_were_asked_for(repo: Path) -> None:
    names = ["HEAD:empty", "HEAD:deep/er/b c.txt", "HEAD:missing", "HEAD:deep", "HEAD:a.txt", "nothing", "HEAD:a.txt"]

    found = list(Git(str(repo)).objects(names))

    assert found == [b"", b"b\n", None, None, b"a\n", None, b"a\n"]


def test_objects_of_any_bytes_and_size_come_whole(repo: Path) -> None:
    contents = [b"\n" * 7, os.urandom(3_000_000), b"x missing\n", b"0" * 64 + b" blob 5\nabcde\n"]
    for number, content in enumerate(contents):
        (repo / f"{number}").write_bytes(content)
    git(repo, "add", ".")

    assert list(Git(str(repo)).objects(f":{number}" for number in range(len(contents)))) == contents


def test_a_reader_that_has_enough_ends_git(repo: Path) -> None:
    objects = Git(str(repo)).objects(["HEAD:a.txt"] * 200_000)

    assert next(objects) == b"a\n"
    objects.close()  # type: ignore[attr-defined]
    assert subprocess.run(["pgrep", "-f", f"{repo} --no-pager cat-file"], check=False).returncode == 1


def test_entries_are_listed_with_what_they_are(repo: Path) -> None:
    (repo / "deep/link").symlink_to("er")
    git(repo, "add", ".")
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{git(repo, 'rev-parse', 'HEAD').strip()},deep/sub")
    git(repo, "commit", "--quiet", "-m", "more")

    entries = list_entries(Git(str(repo)), "HEAD:deep/")

    assert {path: entry.mode for path, entry in entries.items()} == {
        "er/b c.txt": "100644",
        "link": "120000",
        "sub": "160000",
    }
    assert set(list_files(Git(str(repo)), "HEAD:deep/")) == {"er/b c.txt"}
    assert list_entries(Git(str(repo)), "HEAD:nowhere/") == {}


# --- processes


def test_an_interrupted_command_is_ended_with_all_that_it_runs(repo: Path, tmp_path: Path) -> None:
    hook(repo, "pre-commit", f"echo $$ >{tmp_path}/pid; exec sleep 600")
    code = (
        f"from aether_deploy.delivery.git import Git; "
        f"Git({str(repo)!r}).ask('commit', '--allow-empty', '--message', 'x')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    pid = wait_for(tmp_path / "pid")

    process.send_signal(signal.SIGINT)
    process.wait(90)

    assert has_ended(pid)
    assert not (repo / ".git/index.lock").exists()


def test_a_patient_command_comes_to_its_end(repo: Path, tmp_path: Path) -> None:
    hook(repo, "pre-commit", f"echo $$ >{tmp_path}/pid; while test ! -e {tmp_path}/go; do sleep 0.1; done")
    code = (
        f"from aether_deploy.delivery.git import Git; "
        f"Git({str(repo)!r}).ask('commit', '--allow-empty', '--message', 'done', patient=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "pid")

    process.send_signal(signal.SIGINT)
    (tmp_path / "go").touch()

    assert process.wait(90) != 0
    assert git(repo, "log", "-1", "--format=%s") == "done\n"


@pytest.mark.skipif(sys.platform != "linux", reason="no other kernel ends children with us")
def test_a_command_of_a_killed_process_ends_and_removes_its_lock(repo: Path, tmp_path: Path) -> None:
    seen = f"ls $GIT_DIR/index.lock >{tmp_path}/locked; echo $$ >{tmp_path}/hook; echo $PPID >{tmp_path}/pid"
    hook(repo, "pre-commit", f"{seen}; exec sleep 600")
    code = (
        f"from aether_deploy.delivery.git import Git; "
        f"Git({str(repo)!r}).ask('commit', '--all', '--allow-empty', '--message', 'x')"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    pid = wait_for(tmp_path / "pid")
    assert (tmp_path / "locked").read_text() == f"{repo}/.git/index.lock\n" or (repo / ".git/index.lock").exists()

    process.kill()
    process.wait(90)

    try:
        assert has_ended(pid)
        assert not (repo / ".git/index.lock").exists()
    finally:
        os.kill(int((tmp_path / "hook").read_text()), signal.SIGKILL)


def wait_for(path: Path) -> int:
    deadline = time.monotonic() + 90
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


# --- repositories


def test_a_repository_is_found_from_everywhere_in_it(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), str(bare))

    found = {where: open_repository(str(where)) for where in (repo, repo / "deep/er", tmp_path / "linked", bare)}

    assert [(each.top, each.common, each.own) for each in found.values()] == [
        (str(repo), f"{repo}/.git", f"{repo}/.git"),
        (str(repo), f"{repo}/.git", f"{repo}/.git"),
        (str(tmp_path / "linked"), f"{repo}/.git", f"{repo}/.git/worktrees/linked"),
        (None, str(bare), str(bare)),
    ]


def test_a_ref_that_is_unknown_is_told_with_how_to_get_it(repo: Path) -> None:
    repository = open_repository(str(repo))

    for ref, fetch in (
        ("origin/main", "git fetch origin main"),
        ("nope", "git fetch origin"),
        ("--all", "git fetch origin"),
    ):
        with pytest.raises(GitError) as caught:
            repository.commit(ref)
        assert str(caught.value) == (
            f"{repo}: knows no commit '{ref}'\n"
            f"  fix: name a branch, a tag or a commit that is there; to get it from the remote: {fetch}"
        )


def test_a_program_that_a_hook_leaves_running_holds_nobody_up(repo: Path, tmp_path: Path) -> None:
    """As a connection of ssh that stays open does: it keeps the streams that it was given."""
    hook(repo, "pre-commit", f"sleep 30 & echo $! >{tmp_path}/pid; echo said >&2")

    answer = Git(str(repo)).ask("commit", "--allow-empty", "--message", "x")

    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGKILL)  # it lives, so it was not waited for
    assert (answer.code, answer.err) == (0, "said\n")
