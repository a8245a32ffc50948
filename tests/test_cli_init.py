"""``init``: a first description that ``check`` accepts, and nothing that was there is touched."""

import json
import os
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml

from aether_deploy import platform_schema
from aether_deploy.cli.main import run
from tests.cli_cases import CommandLine

FILES = ["aether.schema.json", "aether.yaml"]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(tmp_path, capsys)
    (tmp_path / "aether.yaml").unlink()
    return cli


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_gets_a_description_and_its_schema(cli: CommandLine) -> None:
    assert cli("init", "lobby") == (
        0,
        "",
        "wrote lobby/aether.yaml, lobby/aether.schema.json\nnext: aether-deploy check lobby/aether.yaml\n",
    )
    assert names_in(cli.folder / "lobby") == FILES
    assert (
        (cli.folder / "lobby/aether.yaml")
        .read_text()
        .startswith("# yaml-language-server: $schema=aether.schema.json\n")
    )
    assert json.loads((cli.folder / "lobby/aether.schema.json").read_text()) == platform_schema()


def test_a_new_description_has_no_error_and_renders(cli: CommandLine) -> None:
    cli("init", "lobby")

    assert cli("check", "-q", "lobby/aether.yaml") == (0, "", "")
    assert cli("render", "-q", "lobby/aether.yaml", "-o", "deploy").code == 0


FOLDERS = {
    "lobby": "lobby",
    "deep/er/lobby": "lobby",
    "slash/": "slash",
    "My Worlds": "my-worlds",
    "Strange Näme 123!": "strange-n-me-123",
    "日本": "aether",
    "with.dots": "with-dots",
    "-dash-": "dash",
    "it's; $HOME": "it-s-home",
    "a\nb": "a-b",
    # what YAML would take for something else
    "123": "123", "1e5": "1e5", "0x1f": "0x1f", "true": "true", "null": "null", "on": "on", "n": "n",
    # what is too long for a name, and cut where it must not end
    "a" * 80: "a" * 40, "a" * 39 + "-b": "a" * 39,
}  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_gives_its_name_to_the_system_as_far_as_it_can(folder: str, cli: CommandLine) -> None:
    ended = cli("init", "--", folder)

    command = shlex.split(ended.err.partition("next: ")[2])
    assert ended.code == 0
    assert yaml.safe_load((cli.folder / folder / "aether.yaml").read_text())["name"] == FOLDERS[folder]
    assert command[:-1] == ["aether-deploy", "check"]
    assert cli("check", "-q", "--", command[-1]) == (0, "", "")


def test_this_folder_may_be_named_by_a_dot(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    (cli.folder / "Lobby").mkdir()
    monkeypatch.chdir(cli.folder / "Lobby")

    assert cli("init", ".").code == 0
    assert "\nname: lobby\n" in (cli.folder / "Lobby/aether.yaml").read_text()


@pytest.mark.parametrize("name", ["lobby", "on", "123", "a" * 40])
def test_a_name_that_is_given_is_taken(name: str, cli: CommandLine) -> None:
    cli("init", "new", "--name", name)

    assert yaml.safe_load((cli.folder / "new/aether.yaml").read_text())["name"] == name
    assert cli("check", "-q", "new/aether.yaml").code == 0


BAD_NAMES = {
    "": "--name: is ''; not a DNS-1123 label\n"
    "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit\n",
    "My Lobby": "--name: is 'My Lobby'; not a DNS-1123 label\n"
    "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit\n",
    "a" * 41: f"--name: is '{'a' * 41}'; has 41 characters; a DNS-1123 label has at most 40\n  fix: shorten it\n",
    "a\nkubernetes: v1.1": "--name: is 'a\\nkubernetes: v1.1'; not a DNS-1123 label\n"
    "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit\n",
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_and_nothing_is_written(name: str, cli: CommandLine) -> None:
    assert cli("init", "new", "--name", name) == (2, "", f"{BAD_NAMES[name]}1 problem\n")
    assert names_in(cli.folder) == []


@pytest.mark.parametrize("there", [["aether.yaml"], ["aether.schema.json"], ["aether.yaml", "aether.schema.json"]])
def test_files_that_are_there_are_never_replaced(there: list[str], cli: CommandLine) -> None:
    for name in there:
        cli.write(f"lobby/{name}", "mine")

    assert cli("init", "lobby") == (
        3,
        "",
        f"error: lobby already holds {', '.join(there)}\n  fix: name another folder, or remove them\n",
    )
    assert names_in(cli.folder / "lobby") == sorted(there)
    assert {(cli.folder / "lobby" / name).read_text() for name in there} == {"mine"}


def test_a_link_that_leads_nowhere_counts_as_there(cli: CommandLine) -> None:
    (cli.folder / "aether.yaml").symlink_to("elsewhere.yaml")

    assert cli("init", ".").code == 3
    assert names_in(cli.folder) == ["aether.yaml"]


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(cli: CommandLine) -> None:
    victim = cli.write("victim", "mine")
    (cli.folder / "lobby").mkdir()
    (cli.folder / "lobby/.aether.yaml.aether-tmp").symlink_to(victim)

    assert cli("init", "lobby").code == 0
    assert victim.read_text() == "mine"
    assert names_in(cli.folder / "lobby") == FILES


def test_a_folder_that_is_a_file_is_refused(cli: CommandLine) -> None:
    cli.write("lobby", "mine")

    assert cli("init", "lobby") == (3, "", "error: lobby: File exists\n  fix: name a folder that can be written\n")
    assert cli("init", "lobby/x") == (
        3, "", "error: lobby/x: Not a directory\n  fix: name a folder that can be written\n"
    )  # fmt: skip


def test_a_read_only_folder_stays_empty() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o555)

        assert _code_as_nobody("init", str(folder)) == 3
        assert _code_as_nobody("init", str(folder / "lobby")) == 3
        assert names_in(folder) == []
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def _code_as_nobody(*arguments: str) -> int:
    """Return the exit code for a user who is not root, whom no folder is read-only for."""
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        os._exit(run(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


REFUSERS = {"while it is written": (Path, "write_text"), "when it gets its name": (os, "replace")}


@pytest.mark.parametrize("moment", REFUSERS)
def test_a_disk_that_refuses_leaves_nothing_half_written(
    moment: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner, name = REFUSERS[moment]
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, refuse)
        ended = cli("init", "lobby")

    assert ended == (3, "", "error: lobby: No space left on device\n  fix: name a folder that can be written\n")
    assert names_in(cli.folder / "lobby") == []
