"""What a router says of itself: one JSON object a line, to standard error."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from aether_deploy.service.router.writing import LineWriter

Level = Literal["info", "warning", "error"]
CLOSE_SECS = 2.0


class Journal:
    """Writes lines with time, level and event; never waits, and says so where it had to leave lines out."""

    def __init__(self, writer: LineWriter, *, wall: Callable[[], float], quiet: bool = False) -> None:
        """Begin.

        Args:
            writer: Where lines go.
            wall: Says what day it is, seconds since 1970.
            quiet: Leave out what is only information.
        """
        self._writer = writer
        self._quiet = quiet
        self._wall = wall
        self._left_out = 0

    def say(self, event: str, level: Level = "info", /, **fields: object) -> None:
        """Write a line. ``fields`` are plain values."""
        if self._quiet and level == "info":
            return
        if self._left_out and self._put("lines_left_out", "warning", {"lines": self._left_out}):
            self._left_out = 0
        if not self._put(event, level, fields):
            self._left_out += 1

    def close(self) -> None:
        """Write what is waiting."""
        self._writer.close(within_secs=CLOSE_SECS)

    def _put(self, event: str, level: Level, fields: dict[str, object]) -> bool:
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": at, "level": level, "event": event, **fields}
        return self._writer.put(msgspec.json.encode(line, enc_hook=str) + b"\n")
