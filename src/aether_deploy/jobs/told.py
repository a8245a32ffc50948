"""The file that a program of ours is given: one argument, JSON, of the format that the program reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec


class Formatted(Protocol):
    """What every such file has: the number of its format."""

    @property
    def format(self) -> int: ...


F = TypeVar("F", bound=Formatted)


class UnusableFileError(Exception):
    """What the program was given cannot be used; the text says why, and what to do. Exit code 2."""


def told(module: str, arguments: Sequence[str], kind: type[F], *, format: int) -> F:
    """Return what the program is told.

    Args:
        module: The program, as ``python -m`` names it.
        arguments: What it was called with.
        kind: What the file holds.
        format: The format that the program reads.

    Raises:
        UnusableFileError: There is no such file, or it cannot be used.
    """
    if len(arguments) != 1:
        raise UnusableFileError(f"usage: python -m {module} FILE")
    try:
        file = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise not_rendered(arguments[0], error) from error
    if file.format != format:
        reason = f"{arguments[0]}: has format {file.format}; this program reads {format}"
        raise UnusableFileError(f"{reason}\n  fix: let tools_image be of the version that rendered the file")
    return file


def not_rendered(name: str, why: object) -> UnusableFileError:
    """Return the error of a file that is not as aether-deploy renders it, or leads to none that is there."""
    return UnusableFileError(f"{name}: {why}\n  fix: let aether-deploy render it")
