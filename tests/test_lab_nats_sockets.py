"""Which socket is at the other end of a connection."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

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


def test_connections_that_share_a_port_on_one_side_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_NETLINK_SOCK_DIAG", 31)
    with ExitStack() as stack:
        callers = [stack.enter_context(socket.socket()) for _ in range(4)]
        port = 0
        for caller in callers:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            caller.bind(("127.0.0.1", port))
            port = caller.getsockname()[1]
            caller.connect(stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname())

        assert [inode_of(each.getsockname(), each.getpeername()) for each in callers] == list(map(number_of, callers))


def test_nobody_is_found_where_nobody_is_connected() -> None:
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))

        assert inode_of(alone.getsockname(), ("127.0.0.1", 1)) is None
