"""Lines to files that may be slow, full or gone, from a loop that may not wait."""

import contextlib
import fcntl
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from aether_deploy.problems import EffectError

WAITING_BYTES_MAX = 8 * 1024 * 1024
FILE_BYTES_MAX = 256 * 1024 * 1024
FILES_KEPT = 4
_BLOCK_BYTES = 1 << 20


class Sheet:
    """A file that lines are appended to. Used by one thread."""

    def append(self, lines: bytes) -> None:
        """Write lines, all or none.

        Raises:
            OSError: The file does not take them.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""


class Descriptor(Sheet):
    """An open file that belongs to somebody else, such as standard error."""

    def __init__(self, number: int) -> None:
        self._number = number

    def append(self, lines: bytes) -> None:
        _write_whole(self._number, lines)


class RotatedFile(Sheet):
    """A file that makes room: when it is full it becomes FILE.1, that one FILE.2, and so on.

    One that was there before is gone on with, so that no number of starts costs a line. A line that was cut off there,
    because its writer was killed, is taken away. While one process has the file no other gets it. What is no regular
    file (a pipe, a terminal) is only appended to.
    """

    def __init__(
        self,
        path: Path,
        *,
        heading: Callable[[], bytes] = bytes,
        begins: bytes = b"",
        bytes_max: int = FILE_BYTES_MAX,
        kept: int = FILES_KEPT,
    ) -> None:
        """Open the file.

        Args:
            path: The file; its folder must exist.
            heading: Returns what every file but the first begins with.
            begins: What every line begins with; a file that begins otherwise is somebody else's.
            bytes_max: A file this long is full, bytes.
            kept: How many full ones are kept.

        Raises:
            EffectError: It cannot be opened, another process has it, or it is no such file.
        """
        self._path, self._heading, self._bytes_max, self._kept = path, heading, bytes_max, kept
        self._number: int | None = None
        try:
            self._open()
            if self._regular:
                self._go_on_with(begins)
        except BlockingIOError:
            raise _refused(
                path, "is written by another process", "choose another file, or end that one first"
            ) from None
        except OSError as error:
            self.close()
            where = error.filename if error.filename is not None else path
            raise _refused(where, f"cannot be written: {error.strerror}", "choose another file") from error
        except EffectError:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        if self._regular and self._size >= self._bytes_max:
            self._make_room()
            self._open()
            self._put(self._heading())
        self._put(lines)

    def close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)

    def _put(self, lines: bytes) -> None:
        number = self._held
        try:
            _write_whole(number, lines)
        except OSError:
            if self._regular:  # half a line would spoil the one after it
                with contextlib.suppress(OSError):
                    os.ftruncate(number, self._size)
            raise
        self._size += len(lines)

    @property
    def _held(self) -> int:
        assert self._number is not None, "a file that was closed is not written to"
        return self._number

    def _open(self) -> None:
        """Open the file and take it; only then let go of the one before.

        Raises:
            BlockingIOError: Another process has it.
        """
        number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        held = os.fstat(number)
        if stat.S_ISREG(held.st_mode):
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(number)
                raise
            except OSError:  # a file system without locks
                pass
        self.close()
        self._number, self._size, self._regular = number, held.st_size, stat.S_ISREG(held.st_mode)

    def _go_on_with(self, begins: bytes) -> None:
        """Take away the end of a line that was cut off. What is somebody else's file stays as it is."""
        if not self._size:
            return
        with self._path.open("rb") as file:
            if not begins.startswith(file.read(len(begins))):
                raise _refused(self._path, "holds something else than these lines", "choose another file")
            whole = self._size
            while whole:
                begin = max(0, whole - _BLOCK_BYTES)
                file.seek(begin)
                found = file.read(whole - begin).rfind(b"\n")
                whole = begin + found + 1
                if found >= 0:
                    break
        if whole < self._size:
            os.ftruncate(self._held, whole)
            self._size = whole

    def _make_room(self) -> None:
        """Move the file away; nothing is moved where it was moved already."""
        try:
            ours = os.path.samestat(os.fstat(self._held), self._path.stat())
        except FileNotFoundError:
            return
        if not ours:
            return
        for number in range(self._kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._older(number).replace(self._older(number + 1))
        self._path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _refused(where: object, reason: str, fix: str) -> EffectError:
    return EffectError(f"{where}: {reason}\n  fix: {fix}")


class LineWriter:
    """Writes lines from a thread of its own. What does not fit into its memory is refused, not waited for.

    Attributes:
        failure: What the file said last, where it did not take something; None while all is well.
        lost: Weight of the lines that the file did not take.
    """

    def __init__(self, sheet: Sheet, *, name: str, bytes_max: int = WAITING_BYTES_MAX) -> None:
        self._sheet = sheet
        self._bytes_max = bytes_max
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ends = False
        self.failure: str | None = None
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, line: bytes, weight: int = 1) -> bool:
        """Hand a line over; False where too much is waiting already."""
        with self._changed:
            if self._bytes + len(line) > self._bytes_max or self._ends:
                return False
            self._waiting.append((line, weight))
            self._bytes += len(line)
            self._changed.notify()
            return True

    def close(self, *, within_secs: float) -> bool:
        """Write what is waiting and end; False where the file did not take it in time."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join(within_secs)
        return not self._thread.is_alive() and self.failure is None

    def _run(self) -> None:
        while batch := self._taken():
            try:
                self._sheet.append(b"".join(line for line, _ in batch))
                self.failure = None
            except OSError as error:
                self.failure = error.strerror or str(error)
                self.lost += sum(weight for _, weight in batch)
        with contextlib.suppress(OSError):
            self._sheet.close()

    def _taken(self) -> list[tuple[bytes, int]]:
        """Wait for lines and return them; none at the end."""
        with self._changed:
            while not self._waiting and not self._ends:
                self._changed.wait()
            batch = list(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            return batch


def _write_whole(number: int, lines: bytes) -> None:
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(number, rest) :]
