"""Reading a player trace from disk, and writing what is made of one."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

from aether_deploy.problems import ConfigError, EffectError, Problem
from aether_deploy.simulation.csv_cells import MAX_LINE_BYTES
from aether_deploy.simulation.trace_csv import read_trace
from aether_deploy.simulation.traces import Trace

STANDARD_INPUT = "-"


def name_of_trace(path: str) -> str:
    """Return what to call the file at ``path``."""
    return "standard input" if path == STANDARD_INPUT else path


def load_trace(path: str) -> Trace:
    """Return the trace in the CSV file at ``path``; ``-`` is standard input.

    Raises:
        ConfigError: With every problem of the file, each with line and column.
    """
    if path == STANDARD_INPUT:
        return read_trace(_lines(sys.stdin.buffer), name_of_trace(path))
    try:
        with open(path, "rb") as file:
            return read_trace(_lines(file), path)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        fix = "name a CSV file that is there, or make one with aether-deploy scaling trace"
        raise ConfigError([Problem(path="$", reason=reason, fix=fix, file=path)]) from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of ``file``, of an endless one no more than is refused."""
    return iter(lambda: file.readline(MAX_LINE_BYTES + 1), b"")


def write_result(path: str, parts: Iterable[bytes]) -> None:
    """Put a file at ``path`` in one step: complete, or not at all. What is no regular file is written through.

    Raises:
        EffectError: The disk refuses.
    """
    try:
        mode = os.stat(path).st_mode if os.path.exists(path) else None
        if mode is None or stat.S_ISREG(mode):
            _replace(os.path.realpath(path), parts, mode)  # a link stays what it is, and its target is replaced
        else:
            with open(path, "wb") as stream:
                stream.writelines(parts)
    except OSError as error:
        fix = "name a file in a folder that is there and can be written"
        raise EffectError(f"{path}: cannot be written: {error.strerror or error}\n  fix: {fix}") from error


def _replace(path: str, parts: Iterable[bytes], mode: int | None) -> None:
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.aether-tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # left by a run that was killed, or a link that leads elsewhere
    descriptor = os.open(temporary, flags | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(parts)
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
