"""Cells of CSV text with their columns, and the problems of such a file: what every table that is read shares.

Lenient where nothing can be mistaken: spaces around a value, quotes, CRLF, a byte order mark.
"""

from collections.abc import Iterator
from typing import NamedTuple

from aether_deploy.problems import Problem

MAX_LINE_BYTES = 1 << 20
LISTED = 20
BINARY = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"PK\x03\x04": "a spreadsheet or archive"}
"""How files begin that are no text, and what they are."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Problems:
    """The problems of one file: the first ones, and how many more."""

    def __init__(self, file: str, severity: str = "error") -> None:
        self._file = file
        self._severity = severity
        self._found: list[Problem] = []
        self.count = 0

    def add(self, line: int, column: int, path: str, reason: str, fix: str, value: str | None = None) -> None:
        self.count += 1
        if len(self._found) < LISTED:
            self._found.append(self._problem(path, reason, fix, value=value, line=line, column=column))

    def listed(self) -> list[Problem]:
        more = self.count - len(self._found)
        if not more:
            return self._found
        noun = "problem" if self._severity == "error" else "gap"
        rest = f"has {more} more {noun}{'s' * (more != 1)} below line {self._found[-1].line}"
        return [*self._found, self._problem("$", rest, "mend those above, then run again")]

    def _problem(self, path: str, reason: str, fix: str, **said: object) -> Problem:
        values = {"path": path, "reason": reason, "fix": fix, "file": self._file, "severity": self._severity, **said}
        return Problem(**values)  # type: ignore[arg-type]


class Cell(NamedTuple):
    """One cell of a line: its text without quotes and spaces, and the column where it begins, from 1."""

    text: str
    column: int
    closed: bool = True


def split_cells(text: str) -> Iterator[Cell]:
    """Yield the cells of a line. A quoted one may hold commas, and quotes where they are doubled."""
    start = 0
    while start <= len(text):
        begin = start + len(text[start:]) - len(text[start:].lstrip(" "))
        if text[begin : begin + 1] != '"':
            end = text.find(",", start)
            end = len(text) if end < 0 else end
            cell = text[start:end].strip()
            yield Cell(cell, begin + 1 if cell else start + 1)
        else:
            end = _closing(text, begin + 1)
            if end < 0:
                yield Cell(text[begin:].strip(), begin + 1, closed=False)
                return
            content = text[begin + 1 : end].replace('""', '"').strip()
            after = text.find(",", end)
            after = len(text) if after < 0 else after
            rest = text[end + 1 : after].strip()
            yield Cell(text[begin:after].strip() if rest else content, begin + 1)
            end = after
        start = end + 1


def _closing(text: str, start: int) -> int:
    """Return the place of the quote that closes what begins at ``start``; -1 where none does."""
    end = text.find('"', start)
    while end >= 0 and text[end + 1 : end + 2] == '"':
        end = text.find('"', end + 2)
    return end
