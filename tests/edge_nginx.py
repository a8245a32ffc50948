"""One nginx of our file on this machine, small origins before it, and somebody who knows names."""

import http.server
import os
import re
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from aether_deploy.infrastructure.edge.nginx import NginxPlace, nginx_text, stages_needed
from aether_deploy.infrastructure.edge.policy import EdgeOrigin, EdgePolicy
from aether_deploy.infrastructure.object_store.regions import StoreAddress
from aether_deploy.lab.edge.programs import find_nginx
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.programs import MissingProgramsError
from tests.real import miss

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Running:
    """An edge that runs.

    Attributes:
        http: Port for requests.
        https: Port for those over TLS.
        status: Port of its status.
        daemon: Its process.
        file: The file that it read.
        folder: Where it writes.
    """

    def __init__(self, ports: Sequence[int], daemon: Daemon, file: Path, folder: Path) -> None:
        self.http, self.https, self.status = ports[:3]
        self.daemon, self.file, self.folder = daemon, file, folder


def program() -> Path:
    """Return nginx, or end the calling test."""
    try:
        return find_nginx()
    except MissingProgramsError as error:
        miss(str(error))


@contextmanager
def running(
    policy: EdgePolicy,
    folder: Path,
    *,
    tls: Path | None = None,
    alone: bool = True,
    times: float = 1.0,
    **place: object,
) -> Iterator[Running]:
    """Run the edge of a policy until the block ends.

    Args:
        policy: What it does.
        folder: Where everything of it lies.
        tls: Folder with a certificate; without one nothing listens for TLS.
        alone: One process; a master that is killed would leave its workers behind.
        times: How much longer than rendered it waits for answers.
        place: Further fields of its NginxPlace.
    """
    nginx = program()
    ports, held = free_ports(3 + stages_needed(policy))
    listens = {"http": f"127.0.0.1:{ports[0]}", "status": f"127.0.0.1:{ports[2]}"}
    listens |= {"https": f"127.0.0.1:{ports[1]}"} if tls else {}
    settings = {"cache": str(folder / "cache"), "cache_mb": 64, "run": str(folder), "tls": str(tls), **place}
    where = msgspec.convert(
        {**settings, "listens": listens, "stages": [f"127.0.0.1:{each}" for each in ports[3:]]}, NginxPlace
    )
    text = nginx_text(policy, where).replace("/dev/stderr", str(folder / "errors")).replace(
        "/dev/stdout", str(folder / "requests")
    )  # fmt: skip
    file = folder / "nginx.conf"
    file.write_text(re.sub(r"(?<=_timeout )(\d+)s;", lambda secs: f"{int(secs[1]) * times * 1000:.0f}ms;", text))
    globally = "daemon off;" + (" master_process off;" if alone else "")
    # Workers of root's master would be nobody, who may write nothing here; in a pod nobody is root.
    globally += " user root;" if not alone and os.geteuid() == 0 else ""
    daemon = Daemon("nginx", [str(nginx), "-p", str(folder), "-c", str(file), "-g", globally], folder)
    daemon.start()
    try:
        daemon.wait_until(lambda: _listens(ports[2]), 90.0)
        yield Running(ports, daemon, file, folder)
    finally:
        if not alone and daemon.code is None:
            subprocess.run(
                [str(nginx), "-p", str(folder), "-c", str(file), "-s", "stop"], capture_output=True, check=False
            )
        daemon.kill()
        daemon.reap()
        for each in held:
            each.close()


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def origin(answer: Answer) -> Iterator[int]:
    """Serve what ``answer`` says to every GET, and yield the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        do_GET = answer
        do_HEAD = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def says(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Return what answers everything alike."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def before(policy: EdgePolicy, *ports: int, host: str = "localhost") -> EdgePolicy:
    """Return the policy with origins that stand here, by a name, one on each port."""
    origins = tuple(
        EdgeOrigin(f"o{at}", StoreAddress("http", host, port), "/game-assets") for at, port in enumerate(ports)
    )
    return msgspec.structs.replace(policy, origins=origins)


@contextmanager
def resolver(names: Mapping[str, str]) -> Iterator[int]:
    """Answer questions for addresses of ``names`` over UDP, and yield the port; others do not exist."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked, sock = self.request
            sock.sendto(_dns_answer(asked, names), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def _dns_answer(asked: bytes, names: Mapping[str, str]) -> bytes:
    """Return the answer to one question: RFC 1035, section 4."""
    at, labels = 12, []
    while asked[at]:
        labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    question = asked[12 : at + 5]
    address = names.get(".".join(labels))
    wants_address = asked[at + 1 : at + 3] == b"\x00\x01"
    found = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04" + socket.inet_aton(address or "0.0.0.0")
    answers = found if address and wants_address else b""
    flags = b"\x81\x80" if address else b"\x81\x83"
    return (
        asked[:2] + flags + b"\x00\x01" + (b"\x00\x01" if answers else b"\x00\x00") + b"\x00" * 4 + question + answers
    )
