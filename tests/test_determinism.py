"""Equal input gives equal bytes: whatever the hash seed, locale, time zone, folder and Python."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.real import miss, need_program
from tests.tree_cases import Snapshot, snapshot

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*/aether.yaml"))
RENDER = "from aether_deploy.cli.main import main; main()"
ASCII_ONLY = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


class Way(NamedTuple):
    """One way of running the program.

    Attributes:
        environment: What its environment says beyond ours.
        flags: Options of Python.
        beside: Start it beside FILE and name FILE alone; otherwise elsewhere, with the whole path.
    """

    environment: Mapping[str, str] = {}
    flags: tuple[str, ...] = ()
    beside: bool = False


def other_locale() -> str | None:
    """Return a locale of this machine that is neither C nor C.UTF-8, or None."""
    program = shutil.which("locale")
    asked = subprocess.run([program, "-a"], capture_output=True, text=True, check=False) if program else None
    known = asked.stdout.split() if asked else []
    return next((name for name in known if name.partition(".")[0] not in ("C", "POSIX")), None)


WAYS = {
    "hash seed 0": Way({"PYTHONHASHSEED": "0"}),
    "hash seed 1": Way({"PYTHONHASHSEED": "1"}),
    "hash seed 12345": Way({"PYTHONHASHSEED": "12345"}),
    "locale C, ASCII alone": Way({"LC_ALL": "C", "LANG": "C", **ASCII_ONLY}),
    "locale C.UTF-8": Way({"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}),
    "another locale": Way(dict.fromkeys(("LC_ALL", "LANG"), other_locale() or "")),
    "the first time zone": Way({"TZ": "Pacific/Kiritimati"}),
    "the last time zone": Way({"TZ": "Etc/GMT+12"}),
    "the folder of FILE": Way(beside=True),
    "no assertions": Way(flags=("-O",)),
    "no docstrings": Way(flags=("-OO",)),
}


def rendered(python: str, example: Path, folder: Path, way: Way) -> Snapshot:
    """Return the tree that a new process writes into ``folder``."""
    file = example.name if way.beside else str(example)
    target = "deploy" if way.beside else str(folder / "deploy")
    start = folder / "start"
    start.mkdir(parents=True)
    if way.beside:
        for path in example.parent.iterdir():
            (start / path.name).symlink_to(path)
    done = subprocess.run(
        [python, *way.flags, "-c", RENDER, "render", "-q", file, "-o", target],
        cwd=start,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **way.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return snapshot(start / "deploy" if way.beside else folder / "deploy")


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Snapshot]:
    """Return the tree of each example, written as usual."""
    folder = tmp_path_factory.mktemp("usual")
    return {path: rendered(sys.executable, path, folder / path.parent.name, Way()) for path in EXAMPLES}


every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)


@every_example
@pytest.mark.parametrize("name", WAYS)
def test_a_tree_has_the_same_bytes_whatever_is_around_the_program(
    name: str, example: Path, tmp_path: Path, usual: dict[Path, Snapshot]
) -> None:
    if name == "another locale" and other_locale() is None:
        miss("a locale beside C and POSIX is not on this machine; to bring it: localedef -i tr_TR -f UTF-8 tr_TR.UTF-8")

    assert rendered(sys.executable, example, tmp_path, WAYS[name]) == usual[example]


@pytest.mark.real
@every_example
def test_a_tree_has_the_same_bytes_under_another_python(
    example: Path, tmp_path: Path, usual: dict[Path, Snapshot]
) -> None:
    python = need_program("other-python")

    assert version_of(python) != version_of(sys.executable)
    assert rendered(python, example, tmp_path, Way()) == usual[example]


@cache
def version_of(python: str) -> str:
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
