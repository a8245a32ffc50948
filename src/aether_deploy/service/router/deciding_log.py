"""The decision log of a router that runs: what it decides, and all that it decides from."""

from collections.abc import Callable
from pathlib import Path

from aether_deploy.routing.decision_log import LoggedAnswer, config_line, loss_line, route_line, view_line
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import RoutingView
from aether_deploy.service.router.writing import FILE_BYTES_MAX, WAITING_BYTES_MAX, LineWriter, RotatedFile

CLOSE_SECS = 5.0


class DecisionLog:
    """Writes decisions; what comes faster than the disk takes it is counted and left out.

    A config or view that had to be left out would make what follows a lie, so nothing follows before it is written.

    Attributes:
        dropped: Decisions that are not in the log, since the begin.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float],
        bytes_max: int = FILE_BYTES_MAX,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
    ) -> None:
        """Open the log; one that was there before is gone on with.

        Raises:
            EffectError: The file cannot be written, another process writes it, or it is no decision log.
        """
        self._wall = wall
        self._facts: dict[str, bytes] = {}
        self._owed: list[bytes] = []
        sheet = _SelfContained(path, bytes_max)
        self._writer = LineWriter(sheet, name="decisions", bytes_max=waiting_bytes_max)
        self._missing = 0
        self._lost_before = 0
        self.dropped = 0

    @property
    def failure(self) -> str | None:
        """Why the disk takes nothing; None while it does."""
        return self._writer.failure

    def told(self, config: RouterConfig, view: RoutingView) -> None:
        """Note what the router is told, and what it knows."""
        at = self._wall()
        self._owed = [config_line(config, at=at), view_line(view, at=at)]
        self._pay()

    def knows(self, view: RoutingView) -> None:
        """Note what the router knows from now on."""
        line = view_line(view, at=self._wall())
        self._owed = [*self._owed[:1], line] if len(self._owed) == 2 else [line]
        self._pay()

    def decided(self, request: RouteRequest, answer: LoggedAnswer, *, count: int = 1) -> None:
        """Note what ``count`` players asked, and what they were told."""
        if not (self._pay() and self._writer.put(route_line(request, answer, at=self._wall(), count=count), count)):
            self._missing += count
            self.dropped += count

    def close(self) -> None:
        """Write what is waiting."""
        self._pay()
        self._writer.close(within_secs=CLOSE_SECS)

    def _pay(self) -> bool:
        """Write what decisions depend on and was left out; False where it is not written yet."""
        lost = self._writer.lost - self._lost_before
        self._lost_before += lost
        self._missing += lost
        self.dropped += lost
        if self._missing and self._writer.put(loss_line(self._missing, at=self._wall()), 0):
            self._missing = 0
        while self._owed:
            if not self._writer.put(self._owed[0], 0):
                return False
            self._owed.pop(0)
        return True


class _SelfContained(RotatedFile):
    """A file whose successors begin with what decisions depend on, and which writes that again after a failure."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._config, self._view, self._whole = b"", b"", True
        super().__init__(path, heading=lambda: self._config + self._view, begins=b'{"kind":"', bytes_max=bytes_max)

    def append(self, lines: bytes) -> None:
        repeated = b"" if self._whole else self._config + self._view
        self._whole = False
        try:
            super().append(repeated + lines)
            self._whole = True
        finally:
            self._note(lines)

    def _note(self, lines: bytes) -> None:
        for line in lines.splitlines(keepends=True):
            if line.startswith(b'{"kind":"config"'):
                self._config, self._view = line, b""
            elif line.startswith(b'{"kind":"view"'):
                self._view = line
