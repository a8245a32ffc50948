"""Git repositories for tests: real git, apart from the settings of whoever runs the tests."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from aether_deploy.gitops.tree import Tree
from tests.real import need
from tests.tree_cases import DEV, PROD, SERVICE, put, tree_of

MAIN = "refs/heads/main"
SETTINGS = """\
[user]
    name = Tester
    email = tester@example.com
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
[advice]
    detachedHead = false
"""

UNFINISHED = {"rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "sequencer", "MERGE_MSG"}

FIRST = tree_of({PROD: {SERVICE: "first\n", "cluster/namespace.yaml": "ns\n"}, DEV: {SERVICE: "dev\n"}})
SECOND = tree_of({PROD: {SERVICE: "second\n", "aether-prod/voice/service.yaml": "v\n"}, DEV: {SERVICE: "dev\n"}})
OTHER_SYSTEM = tree_of({PROD: {SERVICE: "first\n"}}, name="other")
IN_TREE = f"deploy/{PROD}/{SERVICE}"
"""A file that both trees have, with other bytes each."""


def isolate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git read no settings but those of the tests."""
    need(shutil.which("git"), "git", "apt-get install git")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = folder / "gitconfig"
    settings.write_text(SETTINGS)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    temporary = folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)


def git(folder: Path, *arguments: str, given: str = "", check: bool = True) -> str:
    """Run git and return what it prints."""
    ended = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        input=given.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if check else subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    said = ended.stdout.decode()
    assert not check or ended.returncode == 0, said
    return said


def commit(folder: Path, files: Mapping[str, str], message: str = "change") -> str:
    """Commit some files, and return the commit's id."""
    for path, text in files.items():
        put(folder, path, text)
        git(folder, "add", "--force", "--", path)
    git(folder, "commit", "--quiet", "--no-verify", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


def clone_of(folder: Path, name: str = "clone") -> Path:
    """Make a bare remote with one commit, and return a clone of it."""
    remote = folder / "remote.git"
    if not remote.exists():
        git(folder, "init", "--quiet", "--bare", str(remote))
        seed = folder / "seed"
        git(folder, "clone", "--quiet", remote.as_uri(), str(seed))
        commit(seed, {"README.md": "mine\n"}, "begin")
        git(seed, "push", "--quiet", "origin", "HEAD:main")
    git(folder, "clone", "--quiet", remote.as_uri(), str(folder / name))
    return folder / name


def tip(folder: Path, ref: str = MAIN) -> str:
    """Return the commit that a ref is at; empty for none."""
    return git(folder, "rev-parse", "--verify", "--quiet", ref, check=False).strip()


def files_at(folder: Path, ref: str = "main", below: str = "") -> dict[str, str]:
    """Return the files of a commit and what they hold."""
    names = git(folder, "ls-tree", "-r", "--name-only", ref).splitlines()
    return {name: git(folder, "cat-file", "blob", f"{ref}:{name}") for name in names if name.startswith(below)}


def rendered(tree: Tree) -> dict[str, str]:
    """Return the files of a tree as a repository shall hold them, without the indexes."""
    return {f"deploy/{unit.path}/{file.path}": file.text for unit in tree.units for file in unit.files}


def published_files(folder: Path, ref: str = "main") -> dict[str, str]:
    """Return what a commit holds of a tree, without the indexes."""
    return {path: text for path, text in files_at(folder, ref, "deploy/").items() if not path.endswith(".jsonl")}


def hook(folder: Path, name: str, script: str) -> Path:
    """Install a hook."""
    hooks = folder / git(folder, "rev-parse", "--git-path", "hooks").strip()
    hooks.mkdir(exist_ok=True)
    path = hooks / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def state(folder: Path) -> dict[str, object]:
    """Return all that is the user's in a repository: refs, HEAD, index, files, stash, settings, work trees."""
    own = Path(git(folder, "rev-parse", "--absolute-git-dir").strip())
    common = Path(git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir").strip())
    bare = git(folder, "rev-parse", "--is-bare-repository").strip() == "true"
    return {
        "refs": git(folder, "for-each-ref"),
        "HEAD": (own / "HEAD").read_text(),
        "FETCH_HEAD": (own / "FETCH_HEAD").read_text() if (own / "FETCH_HEAD").exists() else None,
        "index": None if bare else git(folder, "ls-files", "--stage"),
        "files": None if bare else _files(folder),
        "stash": git(folder, "stash", "list") if not bare else "",
        "settings": (common / "config").read_text(),
        "work trees": git(folder, "worktree", "list", "--porcelain"),
        "unfinished": sorted({path.name for path in own.iterdir()} & UNFINISHED),
    }


def _files(folder: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git":
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def leftovers(folder: Path) -> list[str]:
    """Return what publishing left behind that it should not: temporary folders, work trees, locks."""
    common = Path(git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir").strip())
    temporary = Path(os.environ["TMPDIR"])
    found = [str(path) for path in temporary.iterdir() if "aether-deploy" in path.name]
    found += [str(path) for path in (common / "worktrees").glob("aether*")]
    found += [str(path) for path in common.rglob("*.lock")]
    return found


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Fail if the block changes anything that is the user's, or leaves anything behind."""
    before = state(folder)
    yield
    assert state(folder) == before
    assert leftovers(folder) == []
    assert "error" not in git(folder, "fsck", "--full", "--strict")


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has asked for its status has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def has_ended(pid: int) -> bool:
    """Return whether a process ends, within reasonable time."""
    deadline = time.monotonic() + 90
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)
