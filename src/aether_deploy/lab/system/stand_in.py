"""What stands for a service in a lab: answers every question with who it is, and gives datagrams back.

Run as a file of its own, with what it is told as JSON; it needs the standard library alone, and little of that, since a
lab starts dozens at once. A service of yours does more; whether it is reached, and where from, is the same.
"""

import asyncio
import json
import ssl
import sys
from typing import Any

_HEAD_BYTES_MAX = 65536
_BACKLOG = 512


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name: bytes) -> None:
        self._name = name
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(self._name + b" " + data, addr)


async def _serve(told: dict[str, Any]) -> None:
    who = told["who"]
    body = json.dumps(who).encode() + b"\n"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    def echo() -> _Datagrams:
        return _Datagrams(who["region"].encode())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(head + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ssl.SSLError):
            pass  # who asks went away, or asks no question
        finally:
            writer.close()

    for each in told["ports"]:
        where = (each["host"], each["port"])
        if each["protocol"] == "UDP":
            await asyncio.get_running_loop().create_datagram_endpoint(echo, local_addr=where)
        else:
            context = _context(each["tls"])
            await asyncio.start_server(answer, *where, ssl=context, limit=_HEAD_BYTES_MAX, backlog=_BACKLOG)
    print("listens", flush=True)
    await asyncio.Event().wait()


def _context(certificate: list[str] | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
