"""A connection to one PostgreSQL on which every word ends in time, however the server hangs.

A server that is stopped still takes connections and questions: its kernel does. A client that waits for an answer
would wait for ever, so each wait here has an end, and what was not answered by then may still be answered later.
"""

import select
import time
from collections.abc import Sequence

import psycopg
from psycopg import pq

from aether_deploy.lab.patroni.configuration import HOST, PASSWORD, SUPERUSER
from aether_deploy.problems import EffectError

_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class SqlError(EffectError):
    """PostgreSQL refused something, or went away."""


class Line:
    """One connection; open once made."""

    def __init__(self, port: int, *, within_secs: float, database: str = "postgres") -> None:
        """Connect.

        Args:
            port: Where PostgreSQL listens, on the loopback address.
            within_secs: How long that may take.
            database: The database.

        Raises:
            TimeoutError: It does not answer in time.
            SqlError: It refuses.
        """
        words = {"host": HOST, "port": port, "user": SUPERUSER, "password": PASSWORD, "dbname": database}
        self._waiting = False
        self._connection = pq.PGconn.connect_start(" ".join(f"{key}={word}" for key, word in words.items()).encode())
        try:
            self._connect(time.monotonic() + within_secs)
        except BaseException:
            self.close()
            raise

    def _connect(self, deadline: float) -> None:
        while (status := self._connection.connect_poll()) != pq.PollingStatus.OK:
            if status == pq.PollingStatus.FAILED:
                raise SqlError(self._said())
            self._wait(deadline, writing=status == pq.PollingStatus.WRITING)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return self._waiting

    def ask(self, text: str, *values: object, within_secs: float) -> list[tuple[str | None, ...]]:
        """Return the rows that a statement gives.

        Args:
            text: The statement, with ``$1`` … for values.
            values: The values.
            within_secs: How long the answer may take.

        Raises:
            TimeoutError: There is no answer in time; :meth:`settle` waits on for it.
            SqlError: PostgreSQL refuses, or is gone.
        """
        given: Sequence[bytes | None] = [str(each).encode() for each in values]
        try:
            self._connection.send_query_params(text.encode(), given)
        except psycopg.Error as error:
            raise SqlError(str(error).strip()) from error
        self._waiting = True
        return self.settle(within_secs)

    def settle(self, within_secs: float) -> list[tuple[str | None, ...]]:
        """Wait on for an answer that is still to come, and return its rows.

        Raises:
            TimeoutError: There is none in time.
            SqlError: PostgreSQL refuses, or is gone.
        """
        deadline = time.monotonic() + within_secs
        rows: list[tuple[str | None, ...]] = []
        refused = ""
        while self._waiting:
            while self._connection.is_busy():
                self._wait(deadline)
                self._consume()
            result = self._connection.get_result()
            if result is None:
                self._waiting = False
            elif result.status in _DONE:
                rows += _rows(result)
            else:
                refused = result.error_message.decode("utf-8", "replace").strip() if result.error_message else "refused"
        if refused:
            raise SqlError(refused)
        return rows

    def _consume(self) -> None:
        try:
            self._connection.consume_input()
        except psycopg.Error as error:
            self._waiting = False
            raise SqlError(str(error).strip()) from error

    def _wait(self, deadline: float, *, writing: bool = False) -> None:
        left = deadline - time.monotonic()
        here = [self._connection.socket]
        if left <= 0 or not any(select.select([] if writing else here, here if writing else [], [], left)[:2]):
            raise TimeoutError("no answer in time")

    def close(self) -> None:
        """End it; safe to call twice."""
        self._connection.finish()

    def _said(self) -> str:
        return self._connection.error_message.decode("utf-8", "replace").strip() or "the connection ended"


def _rows(result: pq.abc.PGresult) -> list[tuple[str | None, ...]]:
    def text(row: int, column: int) -> str | None:
        value = result.get_value(row, column)
        return None if value is None else bytes(value).decode()

    return [tuple(text(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]
