"""Metrics endpoints that stand for those of pods: what each says is set by whoever plays its players.

One server answers for all. Each pod has a path of its own there, as a real one has an address.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

TARGETS = "/targets"
_TYPE = "text/plain; version=0.0.4"


class Scrape(NamedTuple):
    """One answer to Prometheus.

    Attributes:
        at: When, seconds since the epoch.
        namespace: Namespace of the pod.
        pod: Its name.
        values: What it said, by metric; None where it did not answer.
    """

    at: float
    namespace: str
    pod: str
    values: Mapping[str, float] | None


class Exporters:
    """The endpoints of pods. One that nobody has set does not answer, as a pod that does not run.

    Attributes:
        port: Where they are, on the loopback address.
        scrapes: Every question of Prometheus and its answer, in order.
        connections: Those that are open; they belong to the thread that answers.
    """

    def __init__(self) -> None:
        self.port = 0
        self.scrapes: list[Scrape] = []
        self._said: dict[tuple[str, str], Mapping[str, float]] = {}
        self._known: dict[tuple[str, str], None] = {}
        self.connections: set[asyncio.Transport] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="exporters", daemon=True)
        listening = self._loop.create_server(lambda: _Endpoint(self), "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(listening)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for connection in self.connections:
            connection.abort()
        self._loop.run_until_complete(asyncio.sleep(0))  # in which they are closed
        self._loop.close()

    def expect(self, namespace: str, pods: Iterable[str]) -> None:
        """List pods to Prometheus before they answer: it takes up to ten seconds to look for new ones."""
        self._known |= dict.fromkeys((namespace, pod) for pod in pods)

    def serve(self, namespace: str, pod: str, values: Mapping[str, float]) -> float:
        """Let a pod say ``values`` from now on, by metric, and return that moment, seconds since the epoch."""
        self._known.setdefault((namespace, pod))
        self._said[namespace, pod] = dict(values)
        return time.time()

    def silence(self, namespace: str, pod: str) -> float:
        """Let a pod not answer from now on, and return that moment, seconds since the epoch."""
        self._said.pop((namespace, pod), None)
        return time.time()

    def answer(self, path: str) -> tuple[int, str, str]:
        """Return status, content type and text at ``path``."""
        if path == TARGETS:
            return 200, "application/json", json.dumps(self._targets())
        _, _, namespace, pod, *_ = [*path.split("/"), "", "", "", ""]
        values = self._said.get((namespace, pod))
        self.scrapes.append(Scrape(time.time(), namespace, pod, values))
        if values is None:
            return 503, _TYPE, ""
        return 200, _TYPE, "".join(f"{name} {value}\n" for name, value in values.items())

    def _targets(self) -> list[object]:
        """Return the pods as Prometheus discovers them, with the labels that a PodMonitor would give them."""
        return [
            {
                "targets": [f"127.0.0.1:{self.port}"],
                "labels": {"__metrics_path__": f"/pods/{namespace}/{pod}/metrics", "namespace": namespace, "pod": pod},
            }
            for namespace, pod in list(self._known)
        ]


class _Endpoint(asyncio.Protocol):
    """One connection, which Prometheus keeps. A thread for each of hundreds would cost more than the answers do."""

    def __init__(self, exporters: Exporters) -> None:
        self._exporters = exporters
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._exporters.connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._exporters.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, _, self._read = self._read.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode("latin-1")
            status, content_type, text = self._exporters.answer(path)
            body = text.encode()
            headers = f"HTTP/1.1 {status} .\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(headers.encode("latin-1") + body)
