"""A write-ahead log on disk: one record a line, each with a checksum, in segments that are archived when closed.

A record is durable when ``commit`` returns. A crash may leave the last line of the last segment torn: nobody was told
that it is there, so replay cuts it off. Any other damage is refused, because what follows it was acknowledged.
"""

import asyncio
import json
import os
import shutil
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any

Record = dict[str, Any]

CHUNK_BYTES = 1 << 17
SEGMENT_BYTES = 1 << 20


class WalError(Exception):
    """The log on disk is damaged; the message says where."""


def encode(record: Record) -> bytes:
    """Return the line of a record: CRC-32 of the rest in eight hex digits, a blank, JSON."""
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> Record | None:
    """Return the record of a line, or None where the line is not whole."""
    body = line[9:-1]
    if line[8:9] != b" " or line[-1:] != b"\n" or line[:8] != b"%08x" % zlib.crc32(body):
        return None
    record: Record = json.loads(body)
    return record


class Wal:
    """The log of one world.

    Attributes:
        last: Number of the newest record; records are numbered from 1 without a gap.
        unarchived_bytes: What only this pod has: records in memory, the open segment, segments not yet copied.
        torn_bytes: How much replay cut off the end.
    """

    def __init__(self, folder: Path, archive: Path) -> None:
        self.last = 0
        self.unarchived_bytes = 0
        self.torn_bytes = 0
        self._folder, self._archive = folder, archive
        self._pending: list[bytes] = []
        self._open: tuple[Path, BufferedWriter] | None = None
        self._closed: list[Path] = []
        self._archiving = asyncio.Lock()
        # One thread writes, so that records keep their order whatever becomes of the tasks that wait for them.
        self._disk = ThreadPoolExecutor(1, "wal")

    async def replay(self) -> AsyncIterator[list[Record]]:
        """Yield every record in order, some at a time, without holding up the event loop.

        Raises:
            WalError: A record is damaged or missing, and it is not the torn end.
        """
        segments = await asyncio.to_thread(self._find_segments)
        for segment in segments:
            with await asyncio.to_thread(segment.open, "rb") as file:
                while lines := await asyncio.to_thread(file.readlines, CHUNK_BYTES):
                    records = self._take(segment, lines)
                    yield records
                    if len(records) < len(lines):
                        self._cut(file, segment, lines[len(records) :], is_last=segment == segments[-1])

    def _take(self, segment: Path, lines: list[bytes]) -> list[Record]:
        """Return the records at the beginning of ``lines``, up to one that is not whole."""
        records = []
        for line in lines:
            record = decode(line)
            if record is None:
                break
            if record["n"] != self.last + 1:
                raise WalError(f"{segment}: record {self.last + 1} is missing; {record['n']} stands in its place")
            self.last += 1
            records.append(record)
        return records

    def _find_segments(self) -> list[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._archive.mkdir(parents=True, exist_ok=True)
        segments = sorted(self._folder.glob("wal-*.log"))
        for segment in segments:
            copy, size = self._archive / segment.name, segment.stat().st_size
            if size and not (copy.exists() and copy.stat().st_size == size):
                self._closed.append(segment)
                self.unarchived_bytes += size
        return segments

    def _cut(self, file: BufferedReader, segment: Path, damaged: list[bytes], *, is_last: bool) -> None:
        """Cut off the end of a segment, if it is torn and nothing but torn."""
        at = file.tell() - sum(map(len, damaged))
        rest = [*damaged[1:], *file.readlines()]
        if not is_last or segment not in self._closed or any(decode(line) for line in rest):
            raise WalError(f"{segment}: damaged at byte {at}, and that is no torn end; restore it from the archive")
        self.torn_bytes = segment.stat().st_size - at
        self.unarchived_bytes -= self.torn_bytes
        with segment.open("r+b") as torn:
            torn.truncate(at)
            os.fsync(torn.fileno())
        if at == 0:
            self._closed.remove(segment)  # the next record goes there

    def append(self, record: Record) -> None:
        """Add a record; it is durable after the next ``commit``."""
        self.last += 1
        line = encode({"n": self.last, **record})
        self._pending.append(line)
        self.unarchived_bytes += len(line)

    async def commit(self) -> None:
        """Return when every record that was appended is on the disk.

        Raises:
            OSError: The disk refuses. What it has of the records is unknown, so the process must end.
        """
        lines, self._pending = self._pending, []
        first = self.last - len(lines) + 1
        await asyncio.get_running_loop().run_in_executor(self._disk, self._write, first, lines)

    def _write(self, first: int, lines: list[bytes]) -> None:
        if not lines:
            return
        if self._open is None:
            path = self._folder / f"wal-{first:012}.log"
            self._open = path, path.open("ab")
            _sync_folder(self._folder)
        file = self._open[1]
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())

    async def archive(self, *, close: bool) -> None:
        """Copy every closed segment to the archive.

        Args:
            close: Close the open segment first, however small it is.

        Raises:
            OSError: The archive refuses; nothing is lost, and the next call tries again.
        """
        async with self._archiving:
            await self.commit()
            await asyncio.get_running_loop().run_in_executor(self._disk, self._close_segment, close)
            while self._closed:
                self.unarchived_bytes -= await asyncio.to_thread(self._copy, self._closed[0])
                del self._closed[0]

    def _close_segment(self, close: bool) -> None:
        if self._open is not None and (close or self._open[1].tell() >= SEGMENT_BYTES):
            path, file = self._open
            file.close()
            self._open = None
            self._closed.append(path)

    def _copy(self, segment: Path) -> int:
        part = self._archive / f"{segment.name}.part"
        with segment.open("rb") as whole, part.open("wb") as copy:
            shutil.copyfileobj(whole, copy)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(self._archive / segment.name)
        _sync_folder(self._archive)
        return segment.stat().st_size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
