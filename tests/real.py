"""Tests against real programs: skip where one is missing, but never in CI."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from tools.programs import COMMAND, PROGRAMS, find


def need(program: str | Path | None, name: str, command: str) -> str:
    """Return the path of ``program``, without which the calling test has nothing to judge by.

    Args:
        program: Where it was found; None if it was not, and then the test ends here.
        name: What it is called: ``kubectl``.
        command: What brings it: ``python -m aether_deploy.lab kubectl``.

    Returns:
        The path of a file that exists.
    """
    if program is not None and Path(program).is_file():
        return str(program)
    where = "is not on this machine" if program is None else f"is not at {program}"
    return miss(f"{name} {where}; to bring it: {command}")


def miss(message: str) -> NoReturn:
    """End the calling test, which lacks something: it skips, but in CI it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def need_program(name: str) -> str:
    """Return the path of a program that ``tools.programs`` brings, or end the calling test.

    Where the machine cannot have it the test skips, in CI too.
    """
    path = find(name)
    if path is None and (reason := PROGRAMS[name].why_none()):
        pytest.skip(reason)
    return need(path, name, f"{COMMAND} {name}")
