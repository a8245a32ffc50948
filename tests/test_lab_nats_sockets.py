"""Which socket is at the other end of a connection."""

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from aether_deploy.lab.nats import sockets
from aether_deploy.lab.nats.sockets import inode_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux numbers sockets so")


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as caller:
        yield caller


def number_of(caller: socket.socket) -> int:
    return int(os.readlink(f"/proc/self/fd/{caller.fileno()}").removeprefix("socket:[").removesuffix("]"))


def test_a_socket_is_found_by_both_ends(connection: socket.socket) -> None:
    assert inode_of(connection.getsockname(), connection.getpeername()) == number_of(connection)


def test_where_the_kernel_cannot_be_asked_its_list_is_read(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_NETLINK_SOCK_DIAG", 31)  # a protocol that no kernel has

    assert inode_of(connection.getsockname(), connection.getpeername()) == number_of(connection)


def test_nobody_is_found_where_nobody_is_connected() -> None:
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))

        assert inode_of(alone.getsockname(), ("127.0.0.1", 1)) is None
