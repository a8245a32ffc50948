"""Connections that come to a socket, for as long as somebody wants them."""

import socket
import threading
from collections.abc import Iterator

_PAUSE_SECS = 0.1


def accepted(listener: socket.socket, over: threading.Event) -> Iterator[socket.socket]:
    """Yield every connection until it is over.

    Whoever ends it sets ``over`` first, then shuts the listener down. What the system refuses before that (this
    process has too many files open, who came has gone) is asked for again after a pause.
    """
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            if over.wait(_PAUSE_SECS):
                return
            continue
        yield connection
