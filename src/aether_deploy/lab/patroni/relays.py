"""What lies between members and their store, so that one member alone can be cut off from it."""

import contextlib
import socket
import threading
from collections.abc import Iterable

from aether_deploy.lab.patroni.configuration import HOST

_CHUNK_BYTES = 65536


class Relays:
    """A relay for each member; each has a port of its own, behind which the store answers."""

    def __init__(self) -> None:
        self._relays: dict[str, _Relay] = {}

    def open(self, members: Iterable[str], port: int) -> None:
        """Listen for each member, and pass on what it says to ``port``."""
        self._relays = {name: _Relay(port) for name in members}

    def port_of(self, member: str) -> int:
        """Return the port at which a member finds the store."""
        return self._relays[member].port

    def cut(self, member: str) -> None:
        """Let nothing through any more; connections stay open and nobody answers, as when packets are dropped."""
        self._relays[member].gate.clear()

    def mend(self) -> None:
        """Let everything through again, what was held back first."""
        for relay in self._relays.values():
            relay.gate.set()

    def close(self) -> None:
        """End all connections; safe to call twice."""
        for relay in self._relays.values():
            relay.close()
        self._relays = {}


class _Relay:
    """Passes bytes from one port to another, while its gate is open."""

    def __init__(self, target: int) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self._target = target
        self._over = False
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def close(self) -> None:
        self._over = True
        self.gate.set()
        for each in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
            each.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((HOST, self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._ends = [each for each in self._ends if each.fileno() != -1] + [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), name="relay", daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                self.gate.wait()
                sink.sendall(chunk)
        for each in (source, sink):  # one end closed: so does the other
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
