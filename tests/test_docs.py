"""The documentation is true: links lead somewhere, and what it shows is what happens.

A block marked ``console`` is a session: each line that begins with ``$`` runs in one temporary folder per page,
and ends with exit code 0, or the one in its comment ``# exit N``. Lines below it are its output, compared whole;
a line ``...`` stands for any lines. Before a block, ``<!-- file: NAME -->`` writes it to the folder. Blocks that
rehearse run by themselves, with the files of their page, where the programs of a control plane are. Commands that
need a cluster, a network or minutes stand in blocks marked ``sh`` or ``text``, which do not run.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.lab.programs import BRING, NEWEST, control_plane_programs, find_program
from tests.real import need
from tools import make_docs
from tools.markdown import COMMAND

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = BLOCK.sub("", page.read_text("utf-8"))

    assert [link for link in LINK.findall(text) if not _leads_somewhere(page, link)] == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith("https://"):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_sessions_show_what_happens(page: Path, tmp_path: Path) -> None:
    for name, language, content in BLOCK.findall(page.read_text("utf-8")):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, "utf-8")
        if language == "console" and not _rehearses(content):
            _play(content, tmp_path)
        if language == "python":
            ended = _run([sys.executable, "-c", content], tmp_path)

            assert ended.returncode == 0, ended.stdout


def _rehearses(content: str) -> bool:
    return "\n$ aether-deploy rehearse" in f"\n{content}"


def _rehearsals(page: Path) -> list[str]:
    blocks = BLOCK.findall(page.read_text("utf-8"))
    return [content for _, language, content in blocks if language == "console" and _rehearses(content)]


REHEARSING = [page for page in PAGES if _rehearsals(page)]


@pytest.mark.real
@pytest.mark.parametrize("page", REHEARSING, ids=lambda page: str(page.relative_to(ROOT)))
def test_rehearsals_show_what_happens(page: Path, tmp_path: Path) -> None:
    for program in control_plane_programs(NEWEST):
        need(find_program(program), program.name, BRING)
    for name, _, content in BLOCK.findall(page.read_text("utf-8")):
        if name:
            (tmp_path / name).write_text(content, "utf-8")
    for session in _rehearsals(page):
        _play(session, tmp_path)


def _play(session: str, folder: Path) -> None:
    for command, code, shown in _session(session):
        ended = _run(["bash", "-c", command], folder)

        assert ended.returncode == code, f"$ {command}\n{ended.stdout}"
        assert _as_shown(ended.stdout.splitlines(), shown), f"$ {command}\n{ended.stdout}"


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": programs, "LC_ALL": "C"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def _session(content: str) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each command, its exit code and the lines below it; a command goes on after a final backslash."""
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(place for place, line in enumerate(lines) if not line.endswith("\\"))
        command = "\n".join(lines[: end + 1])
        code = re.search(r"\s+# exit (\d+)$", command)
        yield command, int(code.group(1)) if code else 0, lines[end + 1 :]


def _as_shown(lines: list[str], shown: list[str]) -> bool:
    """Whether ``lines`` are what is shown. Of a command with nothing below it, any output is fine."""
    if not shown:
        return True
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def test_an_output_that_changed_is_noticed() -> None:
    assert _as_shown(["a", "b", "c"], ["a", "...", "c"])
    assert not _as_shown(["a", "b", "c"], ["a", "c"])
    assert not _as_shown(["a", "b"], ["a"])


def test_generated_pages_are_up_to_date() -> None:
    assert make_docs.stale_pages() == [], f"write them by: {COMMAND}"
