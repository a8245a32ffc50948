"""What a machine needs for a question that costs nothing: through a front as real ones go, answered at once.

Who waits for longer waits for the machine, which has too much to do, and not for what the question is about.
"""

import contextlib
import socket
import threading

from aether_deploy.lab.system.accepting import accepted
from aether_deploy.lab.system.network import HOST, Address, Network, Server

ANSWER_SECS = 10.0
_NAME = Server("yardstick", "", "echo")


class Yardstick:
    """A server that echoes behind a front, and the question to it.

    Attributes:
        address: Where the server itself listens.
    """

    def __init__(self, network: Network) -> None:
        """Open both; they end with :meth:`close`, or with the network."""
        self._over = threading.Event()
        self._server = socket.create_server((HOST, 0))
        self.address = Address(HOST, int(self._server.getsockname()[1]))
        self._front = network.front(_NAME, lambda: (self.address,))
        self._thread = threading.Thread(target=self._serve, name="yardstick", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Ask once, and wait for the answer, however long it takes; nobody there is an answer, too."""
        with contextlib.suppress(OSError), socket.create_connection(self._front, timeout=ANSWER_SECS) as connection:
            connection.settimeout(ANSWER_SECS)
            connection.sendall(b"?")
            connection.recv(1)

    def close(self) -> None:
        """End the server; safe to call twice."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        for connection in accepted(self._server, self._over):
            with connection, contextlib.suppress(OSError):
                connection.settimeout(ANSWER_SECS)
                connection.sendall(connection.recv(1))
