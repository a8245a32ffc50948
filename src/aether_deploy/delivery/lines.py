"""Reading a file of lines from disk, one by one: tables of players, decision logs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from aether_deploy.problems import ConfigError, Problem

STANDARD_INPUT = "-"


def name_of_input(path: str) -> str:
    """Return what to call the file at ``path``; ``-`` is standard input."""
    return "standard input" if path == STANDARD_INPUT else path


@contextmanager
def open_lines(path: str, *, fix: str, most_bytes: int) -> Iterator[Iterator[bytes]]:
    """Open a file, and give its lines with their ends; of an endless one no more than ``most_bytes`` and one.

    Args:
        path: The file; ``-`` is standard input.
        fix: What to do where it cannot be read.
        most_bytes: Longest line that its reader takes.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        if path == STANDARD_INPUT:
            yield _lines(sys.stdin.buffer, most_bytes)
            return
        with open(path, "rb") as file:
            yield _lines(file, most_bytes)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigError([Problem(path="$", reason=reason, fix=fix, file=name_of_input(path))]) from error


def _lines(file: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    return iter(lambda: file.readline(most_bytes + 1), b"")
