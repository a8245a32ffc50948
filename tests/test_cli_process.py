"""The installed program among other processes: pipes that break, disks that are full, signals and terminals."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli_cases import PROGRAM, SMALL, WARNED, Ended, ended, program
from tests.rule_case import DIGEST

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="aether-deploy is not installed; to bring it: make install"
)

SERVICES = "".join(f"  - {{name: s{number}, image: 'aether/s:v1@{DIGEST}'}}\n" for number in range(80))
LARGE = f"{SMALL}services:\n{SERVICES}"
"""Renders to more than a pipe holds."""

SCHEMA = ["schema"]
RENDER = ["render", "large.yaml"]
CHECK = ["check", "aether.yaml"]
FAILED_CHECK = ["check", "gone.yaml"]
FAILED_AS_JSON = ["render", "gone.yaml", "--json"]
HELP = ["--help"]
PRINTING = [SCHEMA, RENDER, CHECK, FAILED_CHECK, FAILED_AS_JSON, HELP, ["completion", "fish"], ["explain", "worlds"]]
every_printing_command = pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aether.yaml").write_text(SMALL)
    (tmp_path / "large.yaml").write_text(LARGE)
    (tmp_path / "warned.yaml").write_text(WARNED)
    return tmp_path


def shell(command: str, folder: Path) -> Ended:
    """Run a line of bash in which ``aether-deploy`` is the installed program."""
    path = os.pathsep.join([str(PROGRAM.parent), os.environ["PATH"]])
    process = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Ended(process.returncode, process.stdout, process.stderr)


# --- pipes and disks


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_has_enough_ends_the_program_in_silence(unbuffered: str, folder: Path) -> None:
    command = (
        f"export PYTHONUNBUFFERED={unbuffered}; aether-deploy render large.yaml | head -1; echo ${{PIPESTATUS[@]}}"
    )

    assert shell(command, folder) == (0, "---\n141 0\n", "")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_disk_that_gets_full_midway_is_noticed(unbuffered: str, folder: Path) -> None:
    command = f"export PYTHONUNBUFFERED={unbuffered}; ulimit -f 64; trap '' XFSZ; aether-deploy render large.yaml >out"

    assert shell(command, folder) == (3, "", "error: standard output: File too large\n")


@every_printing_command
def test_a_pipe_without_a_reader_ends_the_program_by_the_signal_of_broken_pipes(
    arguments: list[str], folder: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as broken:
        ended_by = ended(program(*arguments, folder=folder, stdout=broken))

    assert ended_by == (-signal.SIGPIPE, "", "")


@every_printing_command
def test_a_full_disk_behind_standard_output_is_one_clear_error(arguments: list[str], folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended_by = ended(program(*arguments, folder=folder, stdout=full))

    assert ended_by == (3, "", "error: standard output: No space left on device\n")


@every_printing_command
def test_a_closed_standard_output_is_one_clear_error(arguments: list[str], folder: Path) -> None:
    ended_by = shell(f"aether-deploy {' '.join(arguments)} >&-", folder)

    assert ended_by == (3, "", "error: standard output: Bad file descriptor\n")


def test_what_prints_nothing_needs_no_standard_output(folder: Path) -> None:
    assert shell("aether-deploy render aether.yaml -o one >&-", folder).code == 0
    assert shell("aether-deploy render aether.yaml -o two -q >/dev/full", folder).code == 0
    assert (folder / "one/aether.index.jsonl").read_bytes() == (folder / "two/aether.index.jsonl").read_bytes()


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_messages_that_cannot_be_told_change_no_answer(where: str, folder: Path) -> None:
    command = f"aether-deploy render aether.yaml {where}"

    assert shell(command, folder) == shell("aether-deploy render aether.yaml", folder)
    assert shell(f"aether-deploy check gone.yaml {where}", folder).code == 2
    assert shell(f"aether-deploy render gone.yaml 2>&-; echo $? {where}", folder).out == "2\n"


def test_a_description_may_come_from_a_pipe(folder: Path) -> None:
    assert shell("cat aether.yaml | aether-deploy check -q /dev/stdin", folder) == (0, "", "")
    assert shell("aether-deploy check -q <(cat aether.yaml)", folder) == (0, "", "")


# --- signals


def test_ctrl_c_ends_the_program_without_a_trace(folder: Path) -> None:
    os.mkfifo(folder / "slow.yaml")
    process = program("render", "slow.yaml", "-o", "deploy", folder=folder)
    writer = os.open(folder / "slow.yaml", os.O_WRONLY)  # returns once the program has opened it, too
    try:
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        ended_by = ended(process)
    finally:
        os.close(writer)

    assert ended_by == (130, "", "")
    assert not (folder / "deploy").exists()


# --- terminals

COLOURS = re.compile(r"\x1b\[\d*m")


def on_terminal(*arguments: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Run the program with a terminal as its streams; return the exit code and what the terminal shows."""
    terminal, end = pty.openpty()
    kept = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    given = {**kept, "TERM": "xterm-256color", **environment}
    process = program(*arguments, folder=folder, stdin=end, stdout=end, stderr=end, env=given)
    os.close(end)
    shown = _read_all(terminal)
    os.close(terminal)
    return process.wait(timeout=180), shown.decode().replace("\r\n", "\n")


def _read_all(terminal: int) -> bytes:
    shown = b""
    while select.select([terminal], [], [], 180)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # so Linux says that the other end is closed
            break
        if not read:
            break
        shown += read
    return shown


DATABASE = f"""\
{SMALL}components:
  - {{name: accounts, kind: postgres, image: 'a/spilo:1@{DIGEST}', members: 3, pvc: {{size: 1Gi}}}}
"""
SIMULATE = ["simulate", "failover", "database.yaml", "--fault", "node-loss", "--runs", "200"]


@pytest.mark.parametrize("form", [[], ["--json"]], ids=repr)
def test_many_runs_show_their_progress_on_a_terminal_and_nothing_in_a_pipe(form: list[str], folder: Path) -> None:
    (folder / "database.yaml").write_text(DATABASE)

    code, shown = on_terminal(*SIMULATE, *form, folder=folder)
    piped = shell(f"aether-deploy {' '.join([*SIMULATE, *form])}", folder)

    assert (code, piped.code) == (0, 0)
    assert "100 of 200 runs" in shown
    assert " of 200 runs\x1b[K" not in piped.out + piped.err


def test_problems_are_coloured_on_a_terminal(folder: Path) -> None:
    code, shown = on_terminal("check", "warned.yaml", folder=folder)

    assert code == 0
    assert shown.startswith("\x1b[33mwarned.yaml:7:12: $.worlds[0].image: warning: is 'aether/world-server:v1.2.0'; ")
    assert on_terminal("check", "gone.yaml", folder=folder)[1].startswith("\x1b[31mgone.yaml: $: cannot be read: ")
    assert on_terminal("render", "gone.yaml", folder=folder)[1].startswith("\x1b[31mgone.yaml: $: cannot be read: ")


def test_without_colours_everything_is_still_said(folder: Path) -> None:
    coloured = on_terminal("check", "warned.yaml", folder=folder)[1]
    plain = on_terminal("check", "warned.yaml", folder=folder, NO_COLOR="1")[1]

    assert COLOURS.search(coloured)
    assert COLOURS.sub("", coloured) == plain


def test_an_empty_no_color_asks_for_nothing(folder: Path) -> None:
    assert COLOURS.search(on_terminal("check", "warned.yaml", folder=folder, NO_COLOR="")[1])


@pytest.mark.parametrize("arguments", [["check", "warned.yaml"], ["check", "gone.yaml"], ["render", "warned.yaml"]])
def test_nothing_is_coloured_in_a_pipe(arguments: list[str], folder: Path) -> None:
    ended_by = ended(program(*arguments, folder=folder))

    assert "\x1b" not in ended_by.out + ended_by.err


def test_progress_is_shown_on_a_terminal_and_wiped(folder: Path) -> None:
    code, shown = on_terminal("render", "large.yaml", "-o", "deploy", folder=folder)

    assert code == 0
    assert "\rwriting 50 of 494 files\x1b[K" in shown
    assert "\rwriting 494 of 494 files\x1b[K\r\x1b[Kdeploy/prod/clusters/us-east-1      v1.37, 3 zones\n" in shown


@pytest.mark.parametrize("option", ["-q", "--json"])
def test_progress_is_not_shown_where_it_is_not_wanted(option: str, folder: Path) -> None:
    code, shown = on_terminal("render", "large.yaml", "-o", "deploy", option, folder=folder)

    assert code == 0
    assert "writing" not in shown
    assert "\x1b" not in shown


def test_progress_is_never_shown_in_a_pipe(folder: Path) -> None:
    ended_by = ended(program("render", "large.yaml", "-o", "deploy", folder=folder))

    assert ended_by.code == 0
    assert ended_by.out == ""
    assert "writing" not in ended_by.err
    assert "\r" not in ended_by.err


# --- the environment


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_the_locale_changes_nothing(locale: str, folder: Path) -> None:
    (folder / "日本.yaml").write_text(WARNED)
    environment = {**os.environ, "LC_ALL": locale, "LANG": locale}

    ended_by = ended(program("check", "日本.yaml", folder=folder, env=environment))

    assert ended_by.code == 0
    assert ended_by.out.startswith("日本.yaml:7:12: $.worlds[0].image: warning: ")


def test_the_program_runs_as_a_module_function_too(folder: Path) -> None:
    code = "from aether_deploy.cli.main import main; main(['check', '-q', 'aether.yaml'])"

    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False, timeout=180).returncode == 0
