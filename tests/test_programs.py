"""The programs that tests judge by: where they are looked for, and what is said where they cannot be had."""

import re
import sys
from pathlib import Path

import pytest

from aether_deploy.lab.building import BuildError
from tools import programs
from tools.other_python import NONE, newest_other
from tools.programs import PROGRAMS, Program, find, listing, main


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no program to be found: neither named, nor in the cache, nor on PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    for program in PROGRAMS.values():
        monkeypatch.delenv(program.variable, raising=False)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_named_program_comes_before_the_cache_and_the_cache_before_path(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find(name) is None

    on_path = put(tmp_path / "bin" / name)
    assert find(name) == on_path

    cached = put(PROGRAMS[name].cached())
    assert find(name) == cached
    assert cached.is_relative_to(tmp_path / "cache" / "aether-deploy")

    monkeypatch.setenv(PROGRAMS[name].variable, str(tmp_path / "mine"))
    assert find(name) == tmp_path / "mine"


def test_the_list_says_what_is_there_and_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = put(PROGRAMS["kube-score"].cached())
    monkeypatch.setenv("CHECKOV", str(tmp_path / "nowhere"))

    assert listing().splitlines() == [
        f"kube-score    v1.20.0   {cached}",
        f"checkov       3.3.30    {tmp_path / 'nowhere'}, as $CHECKOV says, where there is no file",
        "other-python  none      no other Python than this one, of 3.11 or newer, is on this machine",
    ]


def test_without_go_every_program_that_needs_it_says_so_and_the_others_still_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(PROGRAMS["checkov"].cached())

    assert main([]) == 3
    out, err = capsys.readouterr()
    fix = "fix: install it from https://go.dev/dl/ so that `go` is on PATH"
    assert out == f"{PROGRAMS['checkov'].cached()}\n"
    assert f"cannot bring kube-score: Go is missing\n  {fix}\n" in err
    assert not list(PROGRAMS["kube-score"].cached().parent.glob("kube-score*"))


def test_without_network_the_installer_says_so_and_leaves_nothing_to_be_found(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    go = put(tmp_path / "bin" / "go")
    go.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")

    assert main(["kube-score"]) == 3
    assert capfd.readouterr().err.splitlines() == [
        "bringing kube-score v1.20.0 (a minute the first time) …",
        "no network",
        "cannot bring kube-score: `go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0` "
        "ended with exit code 1",
        "  fix: its own message above says why; it needs the network, or a proxy that its settings name",
    ]
    assert [path.name for path in PROGRAMS["kube-score"].cached().parent.iterdir()] == [".lock"]


def test_a_program_that_is_there_is_not_brought_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brought: list[Path] = []

    def bring(target: Path) -> None:
        brought.append(put(target))

    program = Program(name="judge", variable="JUDGE", version=lambda: "v1", bring=bring, first_time="no time")
    monkeypatch.setattr(programs, "PROGRAMS", {"judge": program})

    assert [main([]), main(["judge"])] == [0, 0]
    assert brought == [program.cached()]
    assert re.sub(r"after \d+ s", "after N s", capsys.readouterr().err).splitlines() == [
        "bringing judge v1 (no time the first time) …",
        "judge v1 is there after N s",
        "judge v1 is there already",
    ]


def test_one_that_fails_does_not_keep_the_next_from_coming(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(target: Path) -> None:
        raise BuildError("cannot be had\n  fix: wait")

    bad = Program(name="bad", variable="BAD", version=lambda: "v1", bring=fail, first_time="no time")
    good = Program(name="good", variable="GOOD", version=lambda: "v1", bring=lambda path: None, first_time="no time")
    monkeypatch.setattr(programs, "PROGRAMS", {"bad": bad, "good": good})

    assert main([]) == 3
    out, err = capsys.readouterr()
    assert out == f"{good.cached()}\n"
    assert "cannot bring bad: cannot be had\n  fix: wait\n" in err


def test_an_unknown_name_is_an_error_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["kube-linter"])

    assert ended.value.code == 2
    assert "unknown program kube-linter; known are kube-score, checkov" in capsys.readouterr().err


def test_a_program_that_the_machine_cannot_have_is_missed_only_by_who_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(programs, "PROGRAMS", {"other-python": PROGRAMS["other-python"]})

    assert main([]) == 0
    assert capsys.readouterr().err == f"other-python is not brought: {NONE}\n"

    assert main(["other-python"]) == 3
    assert f"cannot bring other-python: {NONE}\n  fix: install one" in capsys.readouterr().err


def test_the_newest_other_python_that_runs_is_found_on_path_and_where_pyenv_keeps_it(tmp_path: Path) -> None:
    def python(path: Path, says: str) -> Path:
        put(path).write_text(f"#!/bin/sh\n{says}\n")
        return path

    python(tmp_path / "bin" / "python3.18", "echo pyenv: command not found >&2; exit 127")
    python(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "echo 3 10 13")
    python(tmp_path / "bin" / f"python3.{sys.version_info.minor}", f"echo 3 {sys.version_info.minor} 99")
    assert newest_other() is None

    on_path = python(tmp_path / "bin" / "python3.16", "echo 3 16 2")
    assert newest_other() == ((3, 16, 2), on_path)

    kept = python(tmp_path / "pyenv" / "versions" / "mine" / "bin" / "python", "echo 3 17 0")
    assert newest_other() == ((3, 17, 0), kept)
