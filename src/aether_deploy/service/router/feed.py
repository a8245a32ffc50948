"""What changes, as it changes: server-sent events to everybody who listens.

Who begins to listen is first told how things are, and then every change, so nothing is missed in between.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aether_deploy.service.http.messages import Send, Stream, Unsubscribe


def event(name: str, values: Mapping[str, Any], *, epoch: int) -> bytes:
    """Return one event, its data one line of JSON.

    Rule:
        HTML Standard, section 9.2.6, "Interpreting an event stream".
    """
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (epoch, name.encode("ascii"), msgspec.json.encode(values))


class Feed:
    """Everybody who listens."""

    def __init__(self) -> None:
        self._listeners: dict[object, Send] = {}

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, name: str, values: Mapping[str, Any], *, epoch: int) -> None:
        """Tell everybody."""
        if self._listeners:
            told = event(name, values, epoch=epoch)
            for send in tuple(self._listeners.values()):
                send(told)

    def stream(self, first: Callable[[], bytes]) -> Stream:
        """Return a stream that begins with ``first`` and goes on with what is published."""

        def subscribe(send: Send) -> Unsubscribe:
            mark = object()
            send(first())
            self._listeners[mark] = send
            return lambda: self._listeners.pop(mark, None) and None

        return Stream(subscribe, headers=(("X-Accel-Buffering", "no"),))
