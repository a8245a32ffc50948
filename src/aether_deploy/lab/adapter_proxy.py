"""A proxy before the metrics adapter that notes what an autoscaler is served, and when.

kube-apiserver comes to it in the adapter's place, and it goes to the adapter as kube-apiserver would: with the
certificate of the front proxy, by which the adapter trusts what is said of the user.
"""

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from aether_deploy.lab.flags import AUTOSCALER

_TIMEOUT_SECS = 15.0
_METRICS_OF = "/namespaces/"  # what else is asked for is which metrics there are
# What belongs to one connection, and encodings that we would have to undo.
_NOT_FORWARDED = ("connection", "host", "accept-encoding", "transfer-encoding", "content-length", "keep-alive")


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the adapter to the autoscaler.

    Attributes:
        began: When it was asked, seconds since the epoch.
        ended: When it had answered, seconds since the epoch.
        path: What it was asked for, with the query.
        status: HTTP status.
        body: Its answer.
    """

    began: float
    ended: float
    path: str
    status: int
    body: dict[str, Any]


class AdapterProxy:
    """The proxy, on a free port of the loopback address while the block runs.

    Attributes:
        port: Its port.
        served: Every answer to the autoscaler, in the order in which they ended.
    """

    def __init__(self, certificates: Path, adapter_port: int) -> None:
        """Prepare the proxy.

        Args:
            certificates: Folder of the control plane, with ``ca``, ``server`` and ``front-proxy``.
            adapter_port: Where the adapter is, on the loopback address.
        """
        self.served: list[Served] = []
        self._adapter_port = adapter_port
        self._client = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        self._client.load_cert_chain(str(certificates / "front-proxy.crt"), str(certificates / "front-proxy.key"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(certificates / "server.crt"), str(certificates / "server.key"))
        self._server = _Server(context, self)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name=self._server.name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.end()
        self._thread.join()

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection to the adapter."""
        return http.client.HTTPSConnection("127.0.0.1", self._adapter_port, context=self._client, timeout=_TIMEOUT_SECS)

    def note(self, began: float, user: str | None, path: str, status: int, content: bytes) -> None:
        """Note an answer, if it was for the autoscaler and about metrics of something."""
        if user != AUTOSCALER or _METRICS_OF not in path:
            return
        try:
            body = json.loads(content)
        except ValueError:
            body = {"message": content.decode("utf-8", "replace")}
        self.served.append(Served(began=began, ended=time.time(), path=path, status=status, body=body))


class _Server(http.server.HTTPServer):
    """A server in TLS, with a thread for each connection, that ends them all: kube-apiserver would keep them."""

    def __init__(self, context: ssl.SSLContext, proxy: AdapterProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.proxy = proxy
        self._context = context
        self._open: dict[ssl.SSLSocket, threading.Thread] = {}
        self.name = f"adapter-proxy:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        # The handshake is left to the connection's thread, so that a client that is slow delays itself alone.
        connection = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=self._serve, args=(connection, client_address), name=self.name, daemon=True)
        self._open[connection] = thread
        thread.start()

    def _serve(self, connection: ssl.SSLSocket, address: Any) -> None:
        with contextlib.suppress(OSError), connection:
            connection.do_handshake()
            self.finish_request(connection, address)
        self._open.pop(connection, None)

    def end(self) -> None:
        """Close the port and every connection."""
        self.server_close()
        for connection, thread in list(self._open.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()


class _Forward(http.server.BaseHTTPRequestHandler):
    """One connection of kube-apiserver, and its own to the adapter."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._adapter = self.server.proxy.connect()

    def finish(self) -> None:
        self._adapter.close()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def _forward(self) -> None:
        began = time.time()
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # Not by name: a user has several groups, each in a header of its own.
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _NOT_FORWARDED]
        if _METRICS_OF in self.path:  # Protobuf, which is preferred, is not for us to read
            headers = [each for each in headers if each[0].lower() != "accept"] + [("Accept", "application/json")]
        status, answer, said = self._ask(content, headers)
        # Noted before it is sent: whatever the autoscaler does with it comes later.
        self.server.proxy.note(began, self.headers.get("X-Remote-User"), self.path, status, answer)
        self.send_response(status)
        for name, value in said:
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _ask(self, content: bytes, headers: Iterable[tuple[str, str]]) -> tuple[int, bytes, list[tuple[str, str]]]:
        answer = b""
        for _ in range(2):  # the adapter may close a connection that was idle
            try:
                self._adapter.putrequest(self.command, self.path, skip_accept_encoding=True)
                for name, value in (*headers, ("Content-Length", str(len(content)))):
                    self._adapter.putheader(name, value)
                self._adapter.endheaders(content or None)
                response = self._adapter.getresponse()
                return response.status, response.read(), response.getheaders()
            except (OSError, http.client.HTTPException) as error:
                self._adapter.close()
                answer = f"the adapter: {error}".encode()
        return HTTPStatus.BAD_GATEWAY, answer, []
