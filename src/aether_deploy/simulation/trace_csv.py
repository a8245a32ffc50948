"""Traces as CSV text: ``secs,players``, or one column for each pod, ``secs,world-0,world-1``.

Strict, because a trace that is misread proves nothing: whole numbers in digits only, no blank line inside, times
that increase. Lenient where nothing can be mistaken: spaces around a number, quotes, CRLF, a byte order mark, blank
lines at the end. An empty cell of a pod is a sample that is missing; a time without samples holds the last one.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from aether_deploy.patterns import Pattern
from aether_deploy.problems import ConfigError, Problem, shown, suggestion
from aether_deploy.simulation.csv_cells import BINARY, BYTE_ORDER_MARK, MAX_LINE_BYTES, Cell, Problems, split_cells
from aether_deploy.simulation.traces import MAX_PLAYERS, MAX_SAMPLES, MAX_SECS, MISSING, Trace

MAX_SPAN_SECS = 3660 * 86_400
SECS, PLAYERS = "secs", "players"
BEGIN = f"begin with the line {SECS},{PLAYERS}"

_POD = Pattern("[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_DECIMAL = Pattern(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_NOT_NUMBERS = ("nan", "inf", "+inf", "-inf", "null", "none", "na", "n/a", "infinity", "-infinity")
_DIGITS = 12


def read_trace(lines: Iterable[bytes | str], file: str = "trace") -> Trace:
    """Return the trace that ``lines`` of CSV text hold. They are read one by one, and not kept.

    Args:
        lines: Lines with their ends, as iterating over a file gives them.
        file: What to call them in problems.

    Raises:
        ConfigError: With every problem, each with line and column; the first 20 where there are more.
    """
    return _Reader(file).read(_encoded(lines))


def trace_lines(trace: Trace) -> Iterator[str]:
    """Yield the lines of ``trace`` as CSV text; equal traces give equal lines."""
    yield f"{','.join((SECS, *(trace.pods or (PLAYERS,))))}\n"
    if not trace.pods:
        for secs, players in zip(trace.times, trace.players, strict=True):
            yield f"{secs},{players}\n"
        return
    for secs, *samples in zip(trace.times, *trace.pods.values(), strict=True):
        yield f"{secs},{','.join('' if each == MISSING else str(each) for each in samples)}\n"


def gap_problems(trace: Trace, file: str = "trace") -> list[Problem]:
    """Return a warning for each gap of a trace that was read from ``file``; the first 20 where there are more."""
    found = Problems(file, severity="warning")
    for gap in trace.gaps():
        reason = f"{gap.length_secs} s after the line before, where {gap.usual_secs} s are usual; the last value holds"
        fix = "add the samples that are missing; leave it if nothing changed meanwhile"
        found.add(gap.place + 2, 1, SECS, reason, fix, value=str(trace.times[gap.place]))
    return found.listed()


def _encoded(lines: Iterable[bytes | str]) -> Iterator[bytes]:
    for line in lines:
        yield line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")


class _Reader:
    """Reads one file, line by line."""

    def __init__(self, file: str) -> None:
        self._problems = Problems(file)
        self._file = file
        self._line = 0
        self._blank = 0
        self._last = -1
        self._latest = MAX_SECS
        self._pods: tuple[str, ...] = ()
        self._times = array("q")
        self._rows: list[array[int]] = []

    def read(self, lines: Iterator[bytes]) -> Trace:
        self._read_header(next(lines, b""))
        self._read_rows(lines)
        if not self._times and not self._problems.count:
            self._problems.add(self._line, 1, "$", "has no samples", "add a line for each time, such as 0,40")
        if self._problems.count:
            raise ConfigError(self._problems.listed())
        if self._pods:
            return Trace(times=self._times, pods=dict(zip(self._pods, self._rows, strict=True)))
        return Trace(times=self._times, players=self._rows[0])

    def _read_header(self, line: bytes) -> None:
        self._line = 1
        line = line.removeprefix(BYTE_ORDER_MARK)
        if not line.strip():
            self._stop(1, "begins with an empty line" if line else "is empty", BEGIN)
        first, *others = cells = self._cells(line)
        names = [cell.text for cell in others]
        if "\r" in first.text or any("\r" in name for name in names):
            self._stop(1, "has lines that end in a carriage return alone", "save it with lines that end in LF or CRLF")
        if len(cells) == 1 and any(mark in first.text for mark in ";\t|"):
            self._stop(1, f"is separated by {shown(_separator(first.text))}", "separate the columns by commas")
        if first.text != SECS:
            number = first.text.isdigit()
            reason = "has no header" if number else "the first column is the time"
            fix = BEGIN if number else f"name it {SECS}, and give whole seconds"
            self._problems.add(1, first.column, "$", reason, fix, value=shown(first.text))
        if not others:
            fix = f"add the column {PLAYERS}, or one for each pod"
            self._problems.add(1, first.column, "$", "has no column of players", fix)
        self._check_names(others, names)
        self._pods = () if names == [PLAYERS] else tuple(names)
        self._rows = [array("q") for _ in names or (PLAYERS,)]
        if self._problems.count:
            raise ConfigError(self._problems.listed())

    def _check_names(self, cells: Sequence[Cell], names: Sequence[str]) -> None:
        for place, cell in enumerate(cells):
            reason, fix = None, "remove one of the two columns"
            if names == [PLAYERS]:
                continue
            if cell.text == PLAYERS:
                reason, fix = "stands beside pods, whose sum it is", f"remove the column, or give {SECS},{PLAYERS} only"
            elif cell.text in names[:place]:
                reason = "named twice"
            elif not _POD.fullmatch(cell.text):
                reason = "not the name of a pod"
                fix = suggestion(cell.text, [PLAYERS], "write the pod's name, such as world-0, or remove the column")
            if reason:
                self._problems.add(1, cell.column, "$", reason, fix, value=shown(cell.text))

    def _read_rows(self, lines: Iterator[bytes]) -> None:
        width = len(self._rows) + 1
        for line in self._not_plain(lines) if not self._pods else lines:
            self._line += 1
            if self._line > MAX_SAMPLES + 1:
                fix = "split it, or resample it to a longer step"
                self._stop(1, f"has more than {MAX_SAMPLES} samples, one each second of a year", fix)
            if self._blank or not self._read_plainly(line.strip().split(b","), width):
                self._read_closely(line, width)

    def _not_plain(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Take pairs of numbers as they should be, in as few steps as can be: there may be millions; yield the rest."""
        seconds, players, last = self._times.append, self._rows[0].append, self._last
        for line in lines:
            first, _, second = line.rstrip().partition(b",")
            if first.isdigit() and second.isdigit() and len(first) <= _DIGITS and len(second) <= _DIGITS:
                secs, count = int(first), int(second)
                if (
                    last < secs <= self._latest
                    and count <= MAX_PLAYERS
                    and not self._blank
                    and self._line < MAX_SAMPLES
                ):
                    self._line += 1
                    if last < 0:
                        self._latest = min(secs + MAX_SPAN_SECS, MAX_SECS)
                    self._last = last = secs
                    seconds(secs)
                    players(count)
                    continue
            yield line
            last = self._last

    def _read_plainly(self, cells: list[bytes], width: int) -> bool:
        """Take a line of pods that is as it should be, in few steps; return False for any other."""
        if len(cells) != width or not b"".join(cells).isdigit() or max(map(len, cells)) > _DIGITS:
            return False
        if not cells[0] or (not self._pods and not cells[1]):
            return False
        secs, *players = [int(cell) if cell else MISSING for cell in cells]
        if not self._last < secs <= self._latest or max(players) > MAX_PLAYERS:
            return False
        self._append(secs, players)
        return True

    def _append(self, secs: int, players: Sequence[int]) -> None:
        if self._last < 0:
            self._latest = min(secs + MAX_SPAN_SECS, MAX_SECS)
        self._last = secs
        self._times.append(secs)
        for row, each in zip(self._rows, players, strict=True):
            row.append(each)

    def _read_closely(self, line: bytes, width: int) -> None:
        if not line.strip():
            self._blank = self._blank or self._line
            return
        if self._blank:
            self._problems.add(self._blank, 1, "$", "is an empty line between samples", "remove it")
            self._blank = 0
        cells = self._cells(line)
        if not cells[-1].closed:
            self._add(cells[-1], "$", "has a quote that is not closed", "close it, or write the number without quotes")
            return
        if len(cells) != width:
            where = cells[width] if len(cells) > width else cells[-1]
            fix = "remove what is too much" if len(cells) > width else "add what is missing; a comma stands between two"
            said = f"has {len(cells)} column{'s' * (len(cells) != 1)}, where the header has {width}"
            self._problems.add(self._line, where.column, "$", said, fix)
            return
        before = self._problems.count
        secs = self._time(cells[0])
        players = [self._players(cell, name) for cell, name in zip(cells[1:], self._pods or (PLAYERS,), strict=True)]
        if self._problems.count == before:
            self._append(secs, players)

    def _time(self, cell: Cell) -> int:
        secs = self._whole(cell, SECS, MAX_SECS, "give seconds, not milliseconds", "give the time in whole seconds")
        if secs < 0:
            return secs  # that is a fault of its own
        if secs == self._last:
            self._add(cell, SECS, "the same time as in a line before", "keep one of the two lines")
        elif secs < self._last:
            self._add(cell, SECS, f"earlier than {self._last}, a line before", "sort the lines by time")
        elif secs > self._latest:
            self._add(cell, SECS, "more than ten years after the first sample", "correct the time")
        return secs

    def _players(self, cell: Cell, name: str) -> int:
        if not cell.text and self._pods:
            return MISSING
        leave = "leave the cell empty" if self._pods else "remove the line: the value before it then holds"
        return self._whole(cell, name, MAX_PLAYERS, "correct the number", leave)

    def _whole(self, cell: Cell, path: str, most: int, fix_of_size: str, fix_of_absence: str) -> int:
        """Return the number in ``cell``; -1 with a problem where it is none."""
        text = cell.text
        if text.isascii() and text.isdigit():
            significant = text.lstrip("0")
            if len(significant) <= 15 and int(text[-16:]) <= most:
                return int(text[-16:])
            self._add(cell, path, f"more than {most}", fix_of_size)
        elif not text:
            self._problems.add(self._line, cell.column, path, "has no value", fix_of_absence)
        elif text.lower() in _NOT_NUMBERS:
            self._add(cell, path, "not a number", fix_of_absence)
        elif text.startswith("-") and _DECIMAL.fullmatch(text):
            self._add(cell, path, "less than 0", "write 0 or more")
        elif _DECIMAL.fullmatch(text) and text.isascii():
            self._add(cell, path, "not written as a whole number", f"write {_nearest(text)}")
        else:
            self._add(cell, path, "not a whole number", "write it in digits only, without signs and separators")
        return -1

    def _add(self, cell: Cell, path: str, reason: str, fix: str) -> None:
        self._problems.add(self._line, cell.column, path, reason, fix, value=shown(cell.text))

    def _cells(self, line: bytes) -> list[Cell]:
        if len(line) > MAX_LINE_BYTES:
            self._stop(1, f"has a line of more than {MAX_LINE_BYTES} bytes", f"{BEGIN}, then a line for each time")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode("utf-8")) + 1
            self._stop(
                column, f"holds the byte 0x{line[error.start]:02X}, not UTF-8", "save it as CSV text in UTF-8", line
            )
        if "\0" in text:
            self._stop(text.index("\0") + 1, "holds the byte 0x00, not text", "save it as CSV text in UTF-8", line)
        return list(split_cells(text.removesuffix("\n").removesuffix("\r")))

    def _stop(self, column: int, reason: str, fix: str, line: bytes = b"") -> NoReturn:
        """End with a problem after which nothing more can be read."""
        kind = next((kind for mark, kind in BINARY.items() if self._line == 1 and line.startswith(mark)), None)
        if kind:
            column, reason = 1, f"is {kind}, not UTF-8 text"
        self._problems.add(self._line, column, "$", reason, fix)
        raise ConfigError(self._problems.listed())


def _separator(text: str) -> str:
    return max(";\t|", key=text.count)


def _nearest(text: str) -> str:
    value = float(text)
    return str(min(round(value), MAX_PLAYERS)) if value < MAX_PLAYERS else str(MAX_PLAYERS)
