"""``completion``: a script for each shell, and what bash makes of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli_cases import PROGRAM, VERBS, CommandLine
from tests.real import need


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


SHELLS = {
    "bash": "complete -o nosort -F _aether_deploy_completion aether-deploy\n",
    "zsh": "#compdef aether-deploy\n",
    "fish": "complete --no-files --command aether-deploy ",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_its_script(shell: str, cli: CommandLine) -> None:
    ended = cli("completion", shell)

    assert (ended.code, ended.err) == (0, "")
    assert SHELLS[shell] in ended.out
    assert "_AETHER_DEPLOY_COMPLETE" in ended.out
    assert cli("completion", shell, "--json").answer["result"] == {"shell": shell, "script": ended.out[:-1]}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_sound_by_the_shell_that_it_is_for(shell: str, cli: CommandLine) -> None:
    program = need(shutil.which(shell), shell, f"apt-get install {shell}")
    script = cli("completion", shell).out

    assert subprocess.run([program, "-n"], input=script, text=True, check=False, timeout=180).returncode == 0


LINES = {
    "the verbs": ("aether-deploy ", list(VERBS)),
    "a verb that is begun": ("aether-deploy ren", ["render"]),
    "the options of a verb": ("aether-deploy render --", [
        "--env", "--set", "--json", "--quiet", "--strict", "--output", "--check", "--force", "--help",
    ]),
    "an option that is begun": ("aether-deploy check --st", ["--strict"]),
    "the shells": ("aether-deploy completion ", ["bash", "zsh", "fish"]),
    "nothing": ("aether-deploy nope", []),
}  # fmt: skip


@pytest.mark.skipif(not PROGRAM.exists(), reason="aether-deploy is not installed; to bring it: make install")
@pytest.mark.parametrize("case", LINES)
def test_bash_completes(case: str, tmp_path: Path) -> None:
    line, words = LINES[case]
    script = f"""
        eval "$(aether-deploy completion bash)"
        COMP_WORDS=({line}{'""' if line.endswith(" ") else ""}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _aether_deploy_completion aether-deploy
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = os.pathsep.join([str(PROGRAM.parent), os.environ["PATH"]])

    said = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.split() == words
