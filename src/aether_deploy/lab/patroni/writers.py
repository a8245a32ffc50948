"""Clients that write to every member without a pause, and remember what they were promised.

One client for each member, so that two members that take writes at once are seen. Each writes numbered rows; what a
member acknowledged and the cluster no longer has is lost.
"""

import bisect
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Sequence

import msgspec
import psycopg

from aether_deploy.lab.patroni.configuration import HOST, PASSWORD, SUPERUSER, Place
from aether_deploy.problems import EffectError

_TABLE = "CREATE TABLE IF NOT EXISTS written (client text, number bigint, PRIMARY KEY (client, number))"
_CONNECT_SECS = 2
_ASK_SECS = 60
_PAUSE_SECS = 0.01
_REFUSED_PAUSE_SECS = 0.03
_JOIN_SECS = 5.0


class Acknowledged(msgspec.Struct, frozen=True):
    """A row that a member said it had.

    Attributes:
        member: Who took it.
        number: Its number, among the rows of that member.
        asked: When it was sent, seconds of the monotonic clock.
        at: When the member said so.
    """

    member: str
    number: int
    asked: float
    at: float


class Writers:
    """The clients of all members."""

    def __init__(self, places: Sequence[Place]) -> None:
        """Prepare one client for each member; :meth:`start` has them write."""
        self._clients = [_Client(place) for place in places]
        self._places = {place.name: place for place in places}

    def start(self, within_secs: float = 30.0) -> None:
        """Have them write; returns once a first row is acknowledged.

        Raises:
            EffectError: None is in time.
        """
        begun = time.monotonic()
        for client in self._clients:
            client.start()
        self.wait_written(begun, within_secs)

    def stop(self) -> None:
        """Have them end; safe to call twice."""
        for client in self._clients:
            client.stop()

    def acknowledged(self, since: float = 0.0) -> list[Acknowledged]:
        """Return the rows that were sent after ``since`` and acknowledged, in the order of their acknowledgement."""
        rows = [row for client in self._clients for row in client.since(since)]
        return sorted(rows, key=lambda row: row.at)

    def wait_written(self, since: float, within_secs: float, *, not_to: str = "") -> Acknowledged:
        """Wait for the first row that was sent after ``since`` and that a member (but ``not_to``) took; return it.

        Raises:
            EffectError: There is none in time.
        """
        deadline = time.monotonic() + within_secs
        while not (rows := [row for row in self.acknowledged(since) if row.member != not_to]):
            if time.monotonic() > deadline:
                raise EffectError(f"no member took a row within {within_secs:g} s\n  fix: see the logs of the members")
            time.sleep(_PAUSE_SECS)
        return rows[0]

    def longest_gap_secs(self, since: float, until: float) -> float:
        """Return the longest time between two moments in which no member acknowledged anything."""
        moments = [since, *(row.at for row in self.acknowledged() if since < row.at < until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def dual_secs(self, since: float, former: str) -> float:
        """Return for how long ``former`` went on to acknowledge rows after another member had begun to."""
        rows = self.acknowledged(since)
        begun = next((row.at for row in rows if row.member != former), None)
        last = next((row.at for row in reversed(rows) if row.member == former), None)
        return 0.0 if begun is None or last is None else max(0.0, last - begun)

    def lost(self, leader: str, since: float = 0.0) -> list[Acknowledged]:
        """Return the rows that were sent after ``since`` and acknowledged, and that ``leader`` does not have."""
        acknowledged = self.acknowledged(since)
        with self.connect(leader) as connection:
            kept = set(connection.execute("SELECT client, number FROM written").fetchall())
        return [row for row in acknowledged if (row.member, row.number) not in kept]

    def connect(self, member: str) -> "psycopg.Connection[tuple[object, ...]]":
        """Return a connection to one member."""
        return _connect(self._places[member], _ASK_SECS)


class _Client:
    """Writes to one member, in a thread of its own."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rows: list[Acknowledged] = []
        self._asked: list[float] = []
        self._number = 0
        self._over = threading.Event()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name=f"writer {self._place.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._over.set()
        self._thread.join(_PAUSE_SECS * 20)
        self._shut()  # a member that hangs would hold it for ever
        self._thread.join(_JOIN_SECS)
        self._thread = None

    def since(self, moment: float) -> list[Acknowledged]:
        return self._rows[bisect.bisect_right(self._asked, moment) :]

    def _shut(self) -> None:
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=connection.fileno()) as held:
                try:
                    held.shutdown(socket.SHUT_RDWR)
                finally:
                    held.detach()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with _connect(self._place, _CONNECT_SECS) as self._connection:
                    self._write(self._connection)
            except psycopg.Error:
                self._over.wait(_REFUSED_PAUSE_SECS)

    def _write(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        ready = False
        while not self._over.is_set():
            if not ready:
                replica = connection.execute("SELECT pg_is_in_recovery()").fetchone() != (False,)
                if replica:
                    self._over.wait(_REFUSED_PAUSE_SECS)
                    continue
                connection.execute(_TABLE)
                ready = True
            self._number += 1  # never used twice: whether a row that was not acknowledged is there, nobody knows
            asked = time.monotonic()
            connection.execute("INSERT INTO written VALUES (%s, %s)", (self._place.name, self._number))
            self._rows.append(Acknowledged(self._place.name, self._number, asked, time.monotonic()))
            self._asked.append(asked)
            self._over.wait(_PAUSE_SECS)


def _connect(place: Place, within_secs: int) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host=HOST,
        port=place.postgres_port,
        user=SUPERUSER,
        password=PASSWORD,
        dbname="postgres",
        autocommit=True,
        connect_timeout=within_secs,
    )
