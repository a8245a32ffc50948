"""Regions on the loopback network for a real Envoy: names, several addresses each, and servers that fail as told.

Each region's workload answers its region's code: to any path over HTTP and HTTPS, and to any datagram. All of it runs
in one thread with an event loop; ports and names are those that are rendered.
"""

import asyncio
import contextlib
import http.client
import itertools
import os
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from aether_deploy.traffic.backend import Landscape
from tests.region_certificates import RegionAuthority

T = TypeVar("T")
State = Literal["up", "refusing", "silent", "not_ready", "redirecting", "expired", "misnamed"]
Certificates = Mapping[State, ssl.SSLContext]
HTTP, HTTPS, UDP = 8080, 8443, 3478
_IN_USE_SECS = 90.0
_TTL_SECS = 2


def own_network() -> str:
    """Return the first three parts of loopback addresses that no other process of these tests uses."""
    number = os.getpid() % (120 * 256)
    return f"127.{2 + number // 256}.{number % 256}"


class Host:
    """One address of a region: what listens there does as ``state`` says."""

    def __init__(self, region: str, address: str, certificates: Certificates) -> None:
        self.region, self.address = region, address
        self.state: State = "up"
        self._certificates = certificates
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._datagrams: asyncio.DatagramTransport | None = None
        self.received = 0

    async def become(self, state: State) -> None:
        """Change what the address does; ``refusing`` is a crash, which ends every connection too."""
        other_tls = self._tls(state) is not self._tls(self.state)
        self.state = state
        if state == "refusing" or other_tls:
            await self.close()
        if state != "refusing" and not self._servers:
            await self._open_ports()

    def _tls(self, state: State) -> ssl.SSLContext:
        return self._certificates.get(state, self._certificates["up"])

    async def close(self) -> None:
        """Close every port and connection."""
        for server in self._servers:
            server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        if self._datagrams is not None:
            self._datagrams.close()
        self._servers, self._datagrams = [], None
        await asyncio.sleep(0)

    async def _open_ports(self) -> None:
        for port, tls in ((HTTP, None), (HTTPS, self._tls(self.state))):
            self._servers.append(await asyncio.start_server(self._serve, self.address, port, ssl=tls, backlog=512))
        loop = asyncio.get_running_loop()
        self._datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self.address, UDP)
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1]
                if b"upgrade: websocket" in head.lower():
                    await _echo(reader, writer)
                    return
                if self.state == "silent":
                    await asyncio.sleep(3600)
                status = _STATUSES.get(self.state, "200 OK") if path == b"/readyz" else "200 OK"
                body = self.region.encode()
                self.received += path != b"/readyz"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


_STATUSES: Mapping[State, str] = {"not_ready": "503 Service Unavailable", "redirecting": "302 Found"}


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Change to a WebSocket, whose frames nobody here reads, and give back whatever comes."""
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    while received := await reader.read(4096):
        writer.write(received)
        await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, host: Host) -> None:
        self._host = host

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._host.state != "silent":
            self._host.received += 1
            self._transport.sendto(self._host.region.encode() + b" " + data, addr)


class _Names(asyncio.DatagramProtocol):
    """A DNS server for the names that one region's cluster asks for."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = names

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        labels, at = [], 12
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode())
            at += 1 + length
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        known = self.names.get(".".join(labels).lower())
        found = known if known is not None and kind == 1 else ()
        flags = 0x8400 if known is not None else 0x8403
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + data[12 : at + 5]
        records = (b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, _TTL_SECS, 4) + socket.inet_aton(each) for each in found)
        self._transport.sendto(head + b"".join(records), addr)


class Land:
    """All regions of a landscape, each with some addresses, and a DNS server for each region's cluster.

    Attributes:
        hosts: The addresses of each region.
        trusted_ca: File with the certificate of who vouches for regions.
    """

    def __init__(self, landscape: Landscape, folder: Path, network: str, *, addresses: int = 2) -> None:
        authority = RegionAuthority(folder)
        names = [landscape.hostname] if landscape.hostname else sorted(landscape.entry.addresses.values())
        certificates: Certificates = {
            "up": authority.server_side("region", *names),
            "expired": authority.server_side("expired", *names, ended=True),
            "misnamed": authority.server_side("misnamed", "other.example.com"),
        }
        self.trusted_ca = authority.file
        self._landscape, self._network = landscape, network
        self.hosts = {
            code: [Host(code, f"{network}.{10 * place + each}", certificates) for each in range(addresses)]
            for place, code in enumerate(landscape.regions, 1)
        }
        self._names: dict[str, dict[str, list[str]]] = {}
        self._resolvers: list[asyncio.DatagramTransport] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def edge_address(self, region: str) -> str:
        """Return where the Envoy of a region listens."""
        return f"{self._network}.{200 + self._landscape.regions.index(region)}"

    def resolver(self, region: str) -> tuple[str, int]:
        """Return address and port of the DNS server of a region's cluster."""
        return self.edge_address(region), 5353

    def start(self) -> None:
        """Open every port."""
        self._thread.start()
        self.do(self._start())

    def stop(self) -> None:
        """Close every port."""
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def all_hosts(self) -> Iterator[Host]:
        for hosts in self.hosts.values():
            yield from hosts

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the thread of the servers, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_IN_USE_SECS)

    def become(self, region: str, *states: State) -> None:
        """Change what a region's addresses do, each as said; one state is for all."""
        hosts = self.hosts[region]
        for host, state in zip(hosts, states * len(hosts) if len(states) == 1 else states, strict=True):
            self.do(host.become(state))

    def rename(self, region: str, hosts: Sequence[Host]) -> None:
        """Change the addresses that the outside's names for a region have."""
        for names in self._names.values():
            for target in (self._landscape.entry, *self._landscape.targets.values()):
                names[target.addresses[region]] = [host.address for host in hosts]

    async def _start(self) -> None:
        for host in self.all_hosts():
            await host.become("up")
        for region in self._landscape.regions:
            self._names[region] = self._names_in(region)
            names = partial(_Names, self._names[region])
            transport, _ = await self._loop.create_datagram_endpoint(names, local_addr=self.resolver(region))
            self._resolvers.append(transport)

    async def _stop(self) -> None:
        for host in self.all_hosts():
            await host.close()
        for transport in self._resolvers:
            transport.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _names_in(self, region: str) -> dict[str, list[str]]:
        """Return the names that a region's cluster knows: its own Services, which have one address, and everybody's
        names for the outside, which have several."""
        names = {}
        for target in (self._landscape.entry, *self._landscape.targets.values()):
            names[f"{target.name}.{self._landscape.namespace}.svc"] = [self.hosts[region][0].address]
            for code, name in target.addresses.items():
                names[name] = [host.address for host in self.hosts[code]]
        return names


def ask_https(address: str, port: int = HTTPS, *, wait_secs: float = _IN_USE_SECS) -> str:
    """Return the region that answers a new TLS connection through an edge; empty where it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address, port), wait_secs) as raw,
        context.wrap_socket(raw) as stream,
    ):
        stream.sendall(b"GET / HTTP/1.1\r\nhost: play\r\n\r\n")
        return stream.recv(4096).partition(b"\r\n\r\n")[2].decode()
    return ""


def ask_http(address: str, port: int = HTTP, *, wait_secs: float = _IN_USE_SECS) -> str:
    """Return the region that answers a request through an edge; the status where it is refused."""
    connection = http.client.HTTPConnection(address, port, timeout=wait_secs)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else str(answer.status)
    finally:
        connection.close()


_PLAYERS = itertools.count()


def ask_udp(address: str, port: int = UDP, *, wait_secs: float) -> str:
    """Return the region that answers a datagram of a new player; empty where none does.

    No two players have the same address and port: to Envoy the second would be the first, whose session goes on.
    """
    number = next(_PLAYERS)
    network = address.rpartition(".")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
        player.settimeout(wait_secs)
        player.bind((f"{network}.{240 + number // 30_000}", 20_000 + number % 30_000))
        player.connect((address, port))
        with contextlib.suppress(OSError):
            player.send(b"hello")
            return player.recv(512).partition(b" ")[0].decode()
    return ""
