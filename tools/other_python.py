"""Another Python than this one, to show that output does not depend on it: found on this machine, never built.

It gets an environment of its own with what the program needs and nothing else; the program itself is taken
from ``src``.
"""

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from aether_deploy.lab.building import NETWORK_FIX, BuildError

OLDEST = (3, 11)
NONE = "no other Python than this one, of 3.11 or newer, is on this machine"
_PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_QUESTION = "import ensurepip, sys, venv; print(*sys.version_info[:3])"  # Debian keeps two of them apart


class Interpreter(NamedTuple):
    """A Python that runs and can make environments.

    Attributes:
        version: Its version: (3, 13, 0).
        path: Where it is.
    """

    version: tuple[int, int, int]
    path: Path


def newest_other() -> Interpreter | None:
    """Return the newest Python on this machine whose minor version is another than this one's."""
    there = (path for path in dict.fromkeys(_candidates()) if os.access(path, os.X_OK))
    found = filter(None, map(_asked, there))
    others = [each for each in found if each.version[:2] >= OLDEST and each.version[:2] != sys.version_info[:2]]
    return max(others, key=lambda each: each.version, default=None)


def _candidates() -> Iterator[Path]:
    """Yield what may be a Python: names on PATH, and what pyenv keeps. Its names on PATH need not run."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield from (Path(folder, f"python3.{minor}") for minor in range(OLDEST[1], 20))
    root = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    yield from sorted(Path(root, "versions").glob("*/bin/python"))


@cache
def _asked(path: Path) -> Interpreter | None:
    try:
        done = subprocess.run([path, "-c", _QUESTION], capture_output=True, text=True, timeout=30, check=True)
        major, minor, micro = map(int, done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter((major, minor, micro), path)


def why_none() -> str | None:
    """Return why this machine cannot have the environment; None if it can."""
    return NONE if newest_other() is None else None


def environment_version() -> str:
    """Return what tells one environment from another: its Python, and what is installed in it."""
    python = newest_other()
    if python is None:
        return "none"
    text = repr((python.version, _requirements()))
    major, minor, _ = python.version
    return f"{major}.{minor}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def _requirements() -> list[str]:
    declared: list[str] = tomllib.loads(_PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    return declared


def install(target: Path) -> None:
    """Make an environment of the newest other Python beside ``target``, a script that starts it and is written last.

    Raises:
        BuildError: There is no other Python, or the installation failed.
    """
    python = newest_other()
    if python is None:
        raise BuildError(f"{NONE}\n  fix: install one, as python3.13 on PATH or with pyenv")
    environment = target.parent / "environment"
    inside = environment / "bin" / "python"
    _run([str(python.path), "-m", "venv", "--clear", str(environment)])
    _run([str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_requirements()])
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text('#!/bin/sh\nexec "$(dirname "$0")/environment/bin/python" "$@"\n')
    partial.chmod(0o755)
    partial.replace(target)


def _run(command: list[str]) -> None:
    # What it prints goes to stderr (2), as with the other programs.
    done = subprocess.run(command, stdout=2, check=False)
    if done.returncode != 0:
        words = " ".join([Path(command[0]).name, *command[1:]])
        raise BuildError(f"`{words}` ended with exit code {done.returncode}\n  fix: {NETWORK_FIX}")
